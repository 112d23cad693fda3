"""Slot 0 of a Service where it differs from the slots of its backends, or from the kind of frontend that it stands for.

Cilium writes the same reverse NAT into all slots, and programs go by that of slot 0. Source: Cilium 1.18
`pkg/loadbalancer/reconciler` (`updateFrontend`), `bpf/lib/lb.h` (`lb4_local`), `bpf/bpf_sock.c` (`sock4_skip_xlate`).
"""

from ...api.reasons import Reason
from ...sources.maps import lbmap
from ...sources.maps.lbmap import ServiceFlag
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.hop_check import Contradiction
from ..lookup.service_frontend import ServiceEntry
from .service_backends import COMPARED_BACKENDS, frontend_of

# Sockets do not translate what is asked of these, unless the address is the node's own.
_NOT_FOR_SOCKETS = {ServiceFlag.EXTERNAL_IP: "an external IP", ServiceFlag.HOST_PORT: "a host port"}


def reverse_nat_of(context: CheckContext, node: str, master: ServiceEntry, slot_0: lbmap.ServiceSlot) -> int:
    """The Service's reverse NAT: that of slot 0, unless it leads elsewhere and the slots of backends name another."""
    frontend = frontend_of(context)
    named = set()
    for number in range(1, min(slot_0.count, COMPARED_BACKENDS) + 1):
        slot = context.reader.read(lbmap.slot(node, master.address, number), lbmap.parse_slot)
        if isinstance(slot, lbmap.ServiceSlot):
            named.add(slot.rev_nat_id)
    if len(named) != 1 or slot_0.rev_nat_id in named:
        return slot_0.rev_nat_id
    entry = context.reader.read(lbmap.revnat(node, slot_0.rev_nat_id), lbmap.parse_revnat)
    right = isinstance(entry, lbmap.RevNatRecord) and (entry.ip, entry.port) == (frontend.ip, frontend.number)
    return slot_0.rev_nat_id if right else named.pop()


def master_slot_mismatch(
    context: CheckContext, node: str, master: ServiceEntry, slot_0: lbmap.ServiceSlot
) -> Contradiction | None:
    """What programs go by in slot 0 and is not the Service's."""
    return _of_another_kind(context, node, master, slot_0) or _of_another_service(
        context, node, master, slot_0
    )


def _of_another_kind(
    context: CheckContext, node: str, master: ServiceEntry, slot_0: lbmap.ServiceSlot
) -> Contradiction | None:
    """A ClusterIP that sockets take for an address which is none of theirs to translate."""
    frontend = frontend_of(context)
    if frontend.node_port or not context.config.socket_lb:
        return None
    flags = slot_0.flags
    if context.plan.config.get("disable-external-ip-mitigation") == "true":
        flags &= ~ServiceFlag.EXTERNAL_IP
    kinds = [kind for flag, kind in _NOT_FOR_SOCKETS.items() if flag in flags]
    if not kinds:
        return None
    message = f"{node} has the ClusterIP {frontend.address} as {' and '.join(kinds)}, which sockets do not translate"
    return Contradiction(Reason.SERVICE_FLAGS_MISMATCH, message, (Defect.NOT_TRANSLATED,), master.rests_on)


def _of_another_service(
    context: CheckContext, node: str, master: ServiceEntry, slot_0: lbmap.ServiceSlot
) -> Contradiction | None:
    """A reverse NAT that is not that of the Service. Sockets keep the address that they asked for themselves."""
    own = reverse_nat_of(context, node, master, slot_0)
    if own == slot_0.rev_nat_id:
        return None
    message = (
        f"{node} has {frontend_of(context).address} with reverse NAT {slot_0.rev_nat_id}, its backends with {own}: "
        "replies do not get the Service's address back"
    )
    defects = (Defect.NOT_TRANSLATED_BACK,) if context.translates else ()
    rests_on = (*master.rests_on, lbmap.slot(node, master.address, 1))
    return Contradiction(Reason.REVERSE_NAT_MISMATCH, message, defects, rests_on)
