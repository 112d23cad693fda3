"""Hops of a Service: `service-lookup`, `service-translation`, `reply-translation`. Exercise 7.

Source: Cilium 1.18 `bpf/lib/lb.h` (`lb4_local`), `bpf/bpf_lxc.c` (`__per_packet_lb_svc_xlate_4`),
`pkg/loadbalancer/reconciler`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...api.reasons import Reason
from ...api.vocabulary import HopName, HopVerdict
from ...cilium import conntrack, lbmap
from ...cilium.layout import Layout
from ...cilium.lbmap import ServiceFlag
from ...evidence.question import Question
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ...plan.plan import Backend, Frontend
from ..case import Case
from ..findings import Finding, Rung
from ..frontend import Master, address_of, master_of
from ..judge import ANYWHERE, Contradiction, Hop
from ..sockets import untranslating

# Beyond this many backends only their number and the one that was chosen are compared.
COMPARED_BACKENDS = 32
_NO_AFFINITY = "None"
# What becomes of packets to such a Service is not decided by its backends.
_REDIRECTED = {
    lbmap.ServiceFlag.LOCAL_REDIRECT: "a local redirect policy",
    lbmap.ServiceFlag.L7_LOAD_BALANCER: "L7 load balancing by a proxy",
}
_AFFINITY_BY_SETTING = ("1.16.", "1.17.")

_NOT_TRANSLATED = frozenset({Rung.NOTHING})


@dataclass(frozen=True, slots=True)
class _Programmed:
    """Backends as "ip:port"; `dangling`: what slots name and is not there; `count`: of slots; `states`: by backend."""

    count: int
    backends: frozenset[str]
    dangling: tuple[str, ...]
    rests_on: tuple[Question, ...]
    states: Mapping[str, int] = field(default_factory=dict)


def check_service_lookup(case: Case, expected: ExpectedHop) -> Finding:
    """The node's frontend and backends equal the endpoints that Kubernetes holds ready for this node."""
    frontend = _frontend(case)
    wanted = {f"{backend.ip}:{backend.port}" for backend in case.plan.backends}
    hop = case.hop(expected, f"{frontend.address}/{case.protocol}")
    hop.intent(
        f"{len(wanted)} ready endpoint(s)",
        {"frontend": frontend.address, "backends": ", ".join(sorted(wanted))},
    )
    for number in range(1, 1 + len(case.plan.backends[:COMPARED_BACKENDS])):
        case.lens.want(lbmap.slot(expected.node, address_of(frontend), number))  # as many as there should be
    master = _master(case, expected.node)
    if isinstance(master.slot, Unavailable):
        return hop.unknown(master.slot)
    if isinstance(master.slot, Absent) or master.surrogate:
        hop.programmed("no such frontend")
        return hop.stale(_no_frontend(expected.node, frontend, master))
    redirected = _redirected(expected.node, frontend, master.slot)
    if redirected:
        return hop.strays(redirected)
    programmed = _programmed(case, expected.node, master, master.slot)
    if isinstance(programmed, Unavailable):
        return hop.unknown(programmed)
    have = programmed.backends
    hop.programmed(
        f"{programmed.count} backend(s)",
        {"backends": ", ".join(sorted(have)), "revNAT": master.slot.rev_nat_id},
    )
    if not wanted and not have:
        return hop.broken(
            Reason.NO_READY_BACKENDS,
            f"Service {frontend.service.namespace}/{frontend.service.name} has no ready endpoint for {expected.node}",
        )
    contradiction = _compare(case, wanted, programmed, master.slot) or _affinity(case, master.slot, master)
    if contradiction:
        return hop.stale(contradiction)
    if _may_be_remembered(case, frontend):
        message = "session affinity may remember another backend: nothing shows which one was chosen"
        return hop.unknown(Unavailable(Reason.NOT_OBSERVED, message))
    return hop.fine(f"{len(have)} backend(s) as Kubernetes says")


def _redirected(node: str, frontend: Frontend, slot_0: lbmap.ServiceSlot) -> str | None:
    """Why the Service's backends do not say where its packets go."""
    by = [name for flag, name in _REDIRECTED.items() if flag in slot_0.flags]
    if not by:
        return None
    return f"{node} has {' and '.join(by)} for {frontend.address}: ways through that are not followed"


def balances_as_planned(case: Case) -> bool:
    """Whether the source's node is seen to balance to the planned backends, and to no other."""
    frontend = case.plan.frontend
    if frontend is None or len(case.plan.backends) > COMPARED_BACKENDS:
        return False
    if frontend.service.session_affinity != _NO_AFFINITY and case.config.socket_lb:
        return False  # to whom a socket sticks nobody can look up
    lookup = ExpectedHop(HopName.SERVICE_LOOKUP, case.path.source_node)
    return check_service_lookup(case, lookup).verdict is HopVerdict.OK


def _no_frontend(node: str, frontend: Frontend, master: Master) -> Contradiction:
    message = f"{node} has no load-balancing entry for {frontend.address}"
    if master.surrogate:
        message = f"{message}; sockets find the one of {master.address.ip}:{master.address.port}"
    predicts = ANYWHERE if master.surrogate else _NOT_TRANSLATED
    return Contradiction(Reason.FRONTEND_MISSING, message, predicts, master.rests_on)


def _compare(
    case: Case, wanted: set[str], programmed: _Programmed, master: lbmap.ServiceSlot
) -> Contradiction | None:
    if programmed.count > COMPARED_BACKENDS or len(wanted) > COMPARED_BACKENDS:
        return _compare_many(case, wanted, programmed)
    node, have, rests_on = case.path.source_node, programmed.backends, programmed.rests_on
    missing, stale = ", ".join(sorted(wanted - have)), ", ".join(sorted(have - wanted))
    if programmed.dangling:
        message = (
            f"{node} counts {programmed.count} backends, but {', '.join(programmed.dangling)} is missing: "
            "connections that choose it are dropped"
        )
        return Contradiction(Reason.BACKEND_MISSING, message, _NOT_TRANSLATED, rests_on)
    chosen = case.connection.chosen
    if not missing and not stale:
        affinity = _has_affinity(case, master)
        remembered = _remembered(chosen, wanted, rests_on, node) if affinity else None
        return remembered or _inactive(case, programmed, node)
    if not have:
        message = f"{node} has no backend at all, Kubernetes has {missing}"
        return Contradiction(Reason.BACKEND_MISSING, message, _NOT_TRANSLATED, rests_on)
    if not stale:
        message = f"{node} does not balance to {missing}"
        return Contradiction(Reason.BACKEND_MISSING, message, rests_on=rests_on)
    hit_stale = ANYWHERE if chosen and f"{chosen.ip}:{chosen.port}" in have - wanted else frozenset()
    if missing:
        message = f"{node} balances to {stale} instead of {missing}"
        return Contradiction(Reason.BACKEND_MISMATCH, message, hit_stale, rests_on)
    message = f"{node} still balances to {stale}, which is no ready endpoint"
    return Contradiction(Reason.BACKEND_STALE, message, hit_stale, rests_on)


def _has_affinity(case: Case, master: lbmap.ServiceSlot) -> bool:
    """Whether clients stick to a backend: as Kubernetes wants it, or as the node does it."""
    wanted = _frontend(case).service.session_affinity != _NO_AFFINITY
    return wanted or ServiceFlag.AFFINITY in master.flags


def _affinity(case: Case, slot_0: lbmap.ServiceSlot, master: Master) -> Contradiction | None:
    """Clients that stick to their backend though they should not, or the other way round: it harms no connection."""
    node, wanted = case.path.source_node, _frontend(case).service.session_affinity
    sticks = ServiceFlag.AFFINITY in slot_0.flags
    if sticks is (wanted != _NO_AFFINITY) or not (sticks or _serves_affinity(case, node)):
        return None
    message = (
        f"{node} balances {'with' if sticks else 'without'} session affinity, that of the Service is {wanted}"
    )
    return Contradiction(Reason.BACKEND_MISMATCH, message, rests_on=master.rests_on)


def _serves_affinity(case: Case, node: str) -> bool:
    """Whether Cilium serves session affinity there: before 1.18 only in kube-proxy's place, or where it is told to."""
    layout = case.layout(node)
    always = isinstance(layout, Layout) and not layout.version.startswith(_AFFINITY_BY_SETTING)
    told = case.plan.config.get("enable-session-affinity", "true" if always else "false")
    return case.config.kube_proxy_replacement or told == "true"


def _remembered(
    chosen: Backend | None, wanted: set[str], rests_on: tuple[Question, ...], node: str
) -> Contradiction | None:
    """A backend that no slot names, and this connection was sent to: only session affinity still knows it."""
    if chosen is None or f"{chosen.ip}:{chosen.port}" in wanted:
        return None
    message = (
        f"{node} sent this connection to {chosen.ip}:{chosen.port}, which is no ready endpoint and in none of the "
        "Service's slots: session affinity remembers it"
    )
    return Contradiction(Reason.BACKEND_STALE, message, ANYWHERE, rests_on)


def _inactive(case: Case, programmed: _Programmed, node: str) -> Contradiction | None:
    """A backend that the node keeps as one that is on its way out, though its pod is ready. New connections are sent to
    it all the same; one that reuses the ports of an earlier one is not.
    """
    for backend in case.plan.backends:
        state = programmed.states.get(f"{backend.ip}:{backend.port}", lbmap.BackendState.ACTIVE)
        ready = backend.target and backend.target.pod.ready and not backend.target.pod.terminating
        if ready and state != lbmap.BackendState.ACTIVE:
            known = state in set(lbmap.BackendState)
            name = lbmap.BackendState(state).name.lower() if known else f"of state {state}"
            message = f"{node} has backend {backend.ip}:{backend.port} as {name}, but its pod is ready"
            return Contradiction(Reason.BACKEND_MISMATCH, message, rests_on=programmed.rests_on)
    return None


def _may_be_remembered(case: Case, frontend: Frontend) -> bool:
    """Whether session affinity may have sent this connection to a backend that no slot names, for all that is known."""
    connection = case.connection
    if case.report is None or frontend.service.session_affinity == _NO_AFFINITY:
        return False
    known = connection.chosen or connection.untranslated or isinstance(connection.service, Absent)
    return not known


def _compare_many(case: Case, wanted: set[str], programmed: _Programmed) -> Contradiction | None:
    """So many are only counted, but for the one that was chosen."""
    node, chosen = case.path.source_node, case.connection.chosen
    if chosen and f"{chosen.ip}:{chosen.port}" not in wanted:
        message = f"{node} still balances to {chosen.ip}:{chosen.port}, which is no ready endpoint"
        return Contradiction(Reason.BACKEND_STALE, message, ANYWHERE, programmed.rests_on)
    if programmed.count == len(wanted):
        return None
    message = f"{node} has {programmed.count} backends, Kubernetes has {len(wanted)}"
    return Contradiction(Reason.BACKEND_MISMATCH, message, rests_on=programmed.rests_on)


def _programmed(
    case: Case, node: str, master: Master, slot_0: lbmap.ServiceSlot
) -> _Programmed | Unavailable:
    rests_on = [*master.rests_on]
    if slot_0.count > COMPARED_BACKENDS:
        return _Programmed(slot_0.count, frozenset(), (), master.rests_on)
    states: dict[str, int] = {}
    dangling: list[str] = []
    failed: Unavailable | None = None
    for number in range(1, slot_0.count + 1):
        slot_question = lbmap.slot(node, master.address, number)
        slot = case.lens.read(slot_question, lbmap.parse_slot)
        rests_on.append(slot_question)
        if isinstance(slot, Unavailable):
            failed = slot
            continue
        if isinstance(slot, Absent):
            dangling.append(f"slot {number}")
            continue
        backend_question = lbmap.backend(node, slot.backend_id)
        backend = case.lens.read(backend_question, lbmap.parse_backend)
        rests_on.append(backend_question)
        if isinstance(backend, Unavailable):
            failed = backend
        elif isinstance(backend, Absent):
            dangling.append(f"backend {slot.backend_id}")
        else:
            states[f"{backend.ip}:{backend.port}"] = backend.state
    return failed or _Programmed(slot_0.count, frozenset(states), tuple(dangling), tuple(rests_on), states)


def check_service_translation(case: Case, expected: ExpectedHop) -> Finding:
    """This connection was sent to one of the backends."""
    frontend = _frontend(case)
    hop = case.hop(expected, f"{frontend.address}/{case.protocol}")
    chosen = case.connection.chosen
    if chosen:
        hop.observed(
            f"this connection goes to {chosen.ip}:{chosen.port}",
            {"backend": f"{chosen.ip}:{chosen.port}", **case.connection.service_facts},
        )
        left_over = _left_over(case, expected.node, chosen)
        if left_over:
            return hop.stale(left_over)
        return hop.fine(f"{frontend.address} → {chosen.ip}:{chosen.port}")
    unattached = untranslating(case, expected.node)
    if isinstance(unattached, Contradiction):
        return hop.stale(unattached)
    if case.connection.untranslated:
        hop.observed(f"a connection to {frontend.address} itself left the pod")
        return hop.broken(
            Reason.NOT_TRANSLATED,
            f"{expected.node} let a packet to {frontend.address} pass without choosing a backend",
        )
    return hop.unknown(
        Unavailable(Reason.NOT_OBSERVED, "no trace of this connection shows which backend was chosen")
    )


def _left_over(case: Case, node: str, chosen: Backend) -> Contradiction | None:
    """An entry that sends this connection where nothing that the node balances by does: it was there before."""
    frontend, port = _frontend(case), case.client_port
    to = f"{chosen.ip}:{chosen.port}"
    if not case.connection.translated or port is None or chosen in case.plan.backends:
        return None
    master = _master(case, node)
    if not isinstance(master.slot, lbmap.ServiceSlot) or _has_affinity(case, master.slot):
        return None
    programmed = _programmed(case, node, master, master.slot)
    if (
        isinstance(programmed, Unavailable)
        or programmed.count > COMPARED_BACKENDS
        or to in programmed.backends
    ):
        return None
    question = conntrack.service_entry(node, case.source.pod.ip, port, frontend.ip, frontend.number)
    message = (
        f"conntrack of {node} sends this connection to {to}, which none of the Service's slots names: the entry is "
        f"older than the connection, and was made for another one from port {port}"
    )
    return Contradiction(Reason.BACKEND_STALE, message, ANYWHERE, (question, *programmed.rests_on))


def check_reply_translation(case: Case, expected: ExpectedHop) -> Finding:
    """Replies get the Service's address back."""
    frontend = _frontend(case)
    hop = case.hop(expected, f"{frontend.address}/{case.protocol}")
    hop.intent(f"replies come from {frontend.address}")
    master = _master(case, expected.node).slot
    if isinstance(master, Unavailable):
        return hop.unknown(master)
    if isinstance(master, Absent):
        return hop.unknown(
            Unavailable(Reason.FRONTEND_MISSING, "without a frontend there is no reverse NAT to compare")
        )
    hop.object = f"reverse NAT {master.rev_nat_id}"
    question = lbmap.revnat(expected.node, master.rev_nat_id)
    entry = case.lens.read(question, lbmap.parse_revnat)
    if isinstance(entry, Unavailable):
        return hop.unknown(entry)
    if case.connection.connected:
        hop.observed("the source pod saw answers from the Service's address")
    return _judge_reverse_nat(hop, entry, frontend, question)


def _judge_reverse_nat(
    hop: Hop, entry: lbmap.RevNatRecord | Absent, frontend: Frontend, question: Question
) -> Finding:
    predicts = frozenset({Rung.REPLIED})
    if isinstance(entry, Absent):
        hop.programmed("no entry")
        message = (
            f"{hop.expected.node} has no {hop.object}: replies keep the backend's address and are refused"
        )
        return hop.stale(Contradiction(Reason.REVERSE_NAT_MISSING, message, predicts, (question,)))
    hop.programmed(f"{entry.ip}:{entry.port}", {"address": f"{entry.ip}:{entry.port}"})
    if (entry.ip, entry.port) != (frontend.ip, frontend.number):
        message = (
            f"{hop.object} of {hop.expected.node} restores {entry.ip}:{entry.port}, not the Service's address"
        )
        return hop.stale(Contradiction(Reason.REVERSE_NAT_MISMATCH, message, predicts, (question,)))
    return hop.fine(f"{hop.object} restores {entry.ip}:{entry.port}")


def _master(case: Case, node: str) -> Master:
    return master_of(case.lens, node, _frontend(case), case.config.socket_lb)


def _frontend(case: Case) -> Frontend:
    assert case.plan.frontend is not None  # the path has these hops only with a Service
    return case.plan.frontend
