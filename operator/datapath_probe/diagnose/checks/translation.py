"""Hops `service-translation` and `reply-translation`: this connection was translated to one of the backends, and its
replies are translated back to the Service's address. Exercise 7.

Source: Cilium 1.18 `bpf/bpf_lxc.c` (`__per_packet_lb_svc_xlate_4`), `bpf/lib/lb.h` (`lb4_rev_nat`).
"""

from ...addresses import family_of, with_port
from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ...plan.plan import Backend, Frontend
from ...sources.maps import conntrack, lbmap
from ..context import CheckContext
from ..datapath.service_backends import (
    COMPARED_BACKENDS,
    frontend_of,
    has_affinity,
    master_at,
    programmed_of,
)
from ..datapath.service_master_slot import reverse_nat_of
from ..datapath.socket_lb import socket_lb_fault, sockets_unread
from ..failure_model.effect import Defect
from ..finding.faults import worst_of
from ..finding.finding import Finding
from ..finding.hop_check import Contradiction, HopCheck


def check_service_translation(context: CheckContext, expected: ExpectedHop) -> Finding:
    """This connection was translated to one of the backends."""
    frontend = frontend_of(context)
    hop = context.hop(expected, f"{frontend.address}/{context.protocol}")
    chosen = context.connection.chosen
    if chosen:
        hop.observed(
            f"this connection goes to {with_port(chosen.ip, chosen.port)}",
            {"backend": with_port(chosen.ip, chosen.port), **context.connection.service_facts},
        )
        left_over = _left_over(context, expected.node, chosen)
        if left_over:
            return hop.stale(left_over)
        translated = hop.ok(f"{frontend.address} → {with_port(chosen.ip, chosen.port)}")
        return worst_of(hop, translated, socket_lb_fault(context))
    untranslated = socket_lb_fault(context)
    if untranslated:
        return hop.stale(untranslated)
    if context.connection.untranslated:
        hop.observed(f"a connection to {frontend.address} itself left the pod")
        return hop.broken(
            Reason.NOT_TRANSLATED,
            f"{expected.node} forwarded a packet to {frontend.address} without selecting a backend",
        )
    unseen = Unavailable(Reason.NOT_OBSERVED, "no trace of this connection shows which backend was selected")
    return hop.unknown(sockets_unread(context) or unseen)


def check_sockets(context: CheckContext, expected: ExpectedHop) -> Finding:
    """Whether the source's sockets are translated, whatever they connect to."""
    hop = context.hop(expected, "sockets of the source")
    return worst_of(hop, hop.ok("sockets are translated"), socket_lb_fault(context))


def _left_over(context: CheckContext, node: str, chosen: Backend) -> Contradiction | None:
    """An old conntrack entry that sends this connection to a backend that is in no slot."""
    frontend, port = frontend_of(context), context.client_port
    to = with_port(chosen.ip, chosen.port)
    if not context.connection.translated or port is None or chosen in context.plan.backends:
        return None
    master = master_at(context, node)
    if not isinstance(master.slot, lbmap.ServiceSlot) or has_affinity(context, master.slot):
        return None
    programmed = programmed_of(context, node, master, master.slot)
    if (
        isinstance(programmed, Unavailable)
        or programmed.count > COMPARED_BACKENDS
        or to in programmed.backends
    ):
        return None
    fact = conntrack.service_entry(node, context.source.ip, port, frontend.ip, frontend.number)
    message = (
        f"conntrack of {node} sends this connection to {to}, which is in none of the Service's slots: the entry "
        f"is older than the connection, and was created for another one from port {port}"
    )
    return Contradiction(Reason.BACKEND_STALE, message, (Defect.OTHER_BACKEND,), (fact, *programmed.rests_on))


def check_reply_translation(context: CheckContext, expected: ExpectedHop) -> Finding:
    """Replies are translated back to the Service's address."""
    frontend = frontend_of(context)
    hop = context.hop(expected, f"{frontend.address}/{context.protocol}")
    hop.intent(f"replies come from {frontend.address}")
    master = master_at(context, expected.node)
    if isinstance(master.slot, Unavailable):
        return hop.unknown(master.slot)
    if isinstance(master.slot, Absent):
        return hop.unknown(
            Unavailable(Reason.FRONTEND_MISSING, "without a frontend there is no reverse NAT to compare")
        )
    number = reverse_nat_of(context, expected.node, master, master.slot)
    hop.object = f"reverse NAT {number}"
    fact = lbmap.revnat(expected.node, number, family_of(frontend.ip))
    hop.rests_on_maps(fact)
    entry = context.reader.read(fact, lbmap.parse_revnat)
    if isinstance(entry, Unavailable):
        return hop.unknown(entry)
    if context.connection.connected:
        hop.observed("the source pod received replies from the Service's address")
    return _judge_reverse_nat(hop, entry, frontend, fact)


def _judge_reverse_nat(
    hop: HopCheck, entry: lbmap.RevNatRecord | Absent, frontend: Frontend, fact: Fact
) -> Finding:
    defects = (Defect.NOT_TRANSLATED_BACK,)
    if isinstance(entry, Absent):
        hop.programmed("no entry")
        message = (
            f"{hop.expected.node} has no {hop.object}: replies keep the backend's address and are rejected"
        )
        return hop.stale(Contradiction(Reason.REVERSE_NAT_MISSING, message, defects, (fact,)))
    hop.programmed(with_port(entry.ip, entry.port), {"address": with_port(entry.ip, entry.port)})
    if (entry.ip, entry.port) != (frontend.ip, frontend.number):
        restored = with_port(entry.ip, entry.port)
        message = f"{hop.object} of {hop.expected.node} restores {restored}, not the Service's address"
        return hop.stale(Contradiction(Reason.REVERSE_NAT_MISMATCH, message, defects, (fact,)))
    return hop.ok(f"{hop.object} restores {with_port(entry.ip, entry.port)}")
