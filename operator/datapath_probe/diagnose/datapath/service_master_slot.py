"""Slot 0 of a Service, if it contradicts the slots of its backends or the type of its frontend.

Cilium writes the same reverse NAT ID into all slots, and programs use the one of slot 0. Source: Cilium 1.18
`pkg/loadbalancer/reconciler` (`updateFrontend`), `bpf/lib/lb.h` (`lb4_local`), `bpf/bpf_sock.c` (`sock4_skip_xlate`).
"""

from ...addresses import family_of
from ...api.reasons import Reason
from ...sources.maps import lbmap
from ...sources.maps.lbmap import ServiceFlag
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.hop_check import Contradiction
from ..lookup.service_frontend import ServiceEntry
from .service_backends import COMPARED_BACKENDS, frontend_of

# Socket load-balancing does not translate these, unless the address is the node's own.
_NOT_FOR_SOCKETS = {ServiceFlag.EXTERNAL_IP: "an external IP", ServiceFlag.HOST_PORT: "a host port"}


def reverse_nat_of(context: CheckContext, node: str, master: ServiceEntry, slot_0: lbmap.ServiceSlot) -> int:
    """The Service's reverse NAT ID: that of slot 0, unless its entry has another address and all backend slots agree on
    another ID.
    """
    frontend = frontend_of(context)
    named = set()
    for number in range(1, min(slot_0.count, COMPARED_BACKENDS) + 1):
        slot = context.reader.read(lbmap.slot(node, master.address, number), lbmap.parse_slot)
        if isinstance(slot, lbmap.ServiceSlot):
            named.add(slot.rev_nat_id)
    if len(named) != 1 or slot_0.rev_nat_id in named:
        return slot_0.rev_nat_id
    entry = context.reader.read(
        lbmap.revnat(node, slot_0.rev_nat_id, family_of(frontend.ip)), lbmap.parse_revnat
    )
    right = isinstance(entry, lbmap.RevNatRecord) and (entry.ip, entry.port) == (frontend.ip, frontend.number)
    return slot_0.rev_nat_id if right else named.pop()


def master_slot_mismatch(
    context: CheckContext, node: str, master: ServiceEntry, slot_0: lbmap.ServiceSlot
) -> Contradiction | None:
    """What is wrong in slot 0."""
    return _of_another_kind(context, node, master, slot_0) or _of_another_service(
        context, node, master, slot_0
    )


def _of_another_kind(
    context: CheckContext, node: str, master: ServiceEntry, slot_0: lbmap.ServiceSlot
) -> Contradiction | None:
    """A ClusterIP with flags of a frontend that socket load-balancing does not translate."""
    frontend = frontend_of(context)
    if frontend.node_port or not context.config.socket_lb:
        return None
    flags = slot_0.flags
    if context.plan.config.get("disable-external-ip-mitigation") == "true":
        flags &= ~ServiceFlag.EXTERNAL_IP
    kinds = [kind for flag, kind in _NOT_FOR_SOCKETS.items() if flag in flags]
    if not kinds:
        return None
    message = (
        f"{node} has the ClusterIP {frontend.address} as {' and '.join(kinds)}, which socket load-balancing does not "
        "translate"
    )
    return Contradiction(Reason.SERVICE_FLAGS_MISMATCH, message, (Defect.NOT_TRANSLATED,), master.rests_on)


def _of_another_service(
    context: CheckContext, node: str, master: ServiceEntry, slot_0: lbmap.ServiceSlot
) -> Contradiction | None:
    """A reverse NAT ID of another Service. It does no harm with socket load-balancing, which does not use it."""
    own = reverse_nat_of(context, node, master, slot_0)
    if own == slot_0.rev_nat_id:
        return None
    message = (
        f"{node} has {frontend_of(context).address} with reverse NAT {slot_0.rev_nat_id}, its backends with {own}: "
        "replies are not translated back to the Service's address"
    )
    defects = (Defect.NOT_TRANSLATED_BACK,) if context.translates else ()
    rests_on = (*master.rests_on, lbmap.slot(node, master.address, 1))
    return Contradiction(Reason.REVERSE_NAT_MISMATCH, message, defects, rests_on)
