"""Hops of a Service: `service-lookup`, `service-translation`, `reply-translation`. Exercise 7.

Source: Cilium 1.18 `bpf/lib/lb.h`, `bpf/bpf_lxc.c` (`__per_packet_lb_svc_xlate_4`), `pkg/maps/lbmap`.
"""

from dataclasses import dataclass, replace

from ...api.reasons import Reason
from ...api.vocabulary import HopName, HopVerdict
from ...cilium import lbmap
from ...cilium.wire import L4Protocol
from ...evidence.question import Question
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ...plan.plan import Backend, Frontend
from ..case import Case
from ..findings import Finding, Rung
from ..judge import ANYWHERE, Contradiction, Hop

# Beyond this many backends only their number and the one that was chosen are compared.
COMPARED_BACKENDS = 32

_NOT_TRANSLATED = frozenset({Rung.NOTHING})


@dataclass(frozen=True, slots=True)
class _Programmed:
    """A frontend as the node has it. `backends` as "ip:port"; `dangling`: what slots name and is not there."""

    master: lbmap.ServiceSlot
    backends: tuple[str, ...]
    dangling: tuple[str, ...]
    rests_on: tuple[Question, ...]


def check_service_lookup(case: Case, expected: ExpectedHop) -> Finding:
    """The node's frontend and backends equal the endpoints that Kubernetes holds ready for this node."""
    frontend = _frontend(case)
    wanted = {f"{backend.ip}:{backend.port}" for backend in case.plan.backends}
    hop = case.hop(expected, f"{frontend.ip}:{frontend.port.port}/{case.protocol}")
    hop.intent(
        f"{len(wanted)} ready endpoint(s)",
        {"frontend": f"{frontend.ip}:{frontend.port.port}", "backends": ", ".join(sorted(wanted))},
    )
    programmed = _programmed(case, expected.node, frontend)
    if isinstance(programmed, Unavailable):
        return hop.unknown(programmed)
    if isinstance(programmed, Absent):
        hop.programmed("no such frontend")
        return hop.stale(
            Contradiction(
                Reason.FRONTEND_MISSING,
                f"{expected.node} has no load-balancing entry for {frontend.ip}:{frontend.port.port}",
                _NOT_TRANSLATED,
                _master(case, expected.node, frontend).rests_on,
            )
        )
    have = set(programmed.backends)
    hop.programmed(
        f"{programmed.master.count} backend(s)",
        {"backends": ", ".join(sorted(have)), "revNAT": programmed.master.rev_nat_id},
    )
    if not wanted and not have:
        return hop.broken(
            Reason.NO_READY_BACKENDS,
            f"Service {frontend.service.namespace}/{frontend.service.name} has no ready endpoint for {expected.node}",
        )
    contradiction = _compare(case, wanted, have, programmed)
    return (
        hop.stale(contradiction) if contradiction else hop.fine(f"{len(have)} backend(s) as Kubernetes says")
    )


def balances_as_planned(case: Case) -> bool:
    """Whether the source's node is seen to balance to the planned backends, and to no other."""
    if case.plan.frontend is None or len(case.plan.backends) > COMPARED_BACKENDS:
        return False
    lookup = ExpectedHop(HopName.SERVICE_LOOKUP, case.path.source_node)
    return check_service_lookup(case, lookup).verdict is HopVerdict.OK


def _compare(case: Case, wanted: set[str], have: set[str], programmed: _Programmed) -> Contradiction | None:
    node = case.path.source_node
    if programmed.master.count > COMPARED_BACKENDS or len(wanted) > COMPARED_BACKENDS:
        chosen = case.connection.chosen
        if chosen and f"{chosen.ip}:{chosen.port}" not in wanted:
            message = f"{node} still balances to {chosen.ip}:{chosen.port}, which is no ready endpoint"
            return Contradiction(Reason.BACKEND_STALE, message, ANYWHERE, programmed.rests_on)
        if programmed.master.count == len(wanted):
            return None
        return Contradiction(
            Reason.BACKEND_MISMATCH,
            f"{node} has {programmed.master.count} backends, Kubernetes has {len(wanted)}",
            rests_on=programmed.rests_on,
        )
    missing, stale = sorted(wanted - have), sorted(have - wanted)
    if programmed.dangling:
        return Contradiction(
            Reason.BACKEND_MISSING,
            f"{node} counts {programmed.master.count} backends, but {', '.join(programmed.dangling)} is missing: "
            "connections that choose it are dropped",
            _NOT_TRANSLATED,
            programmed.rests_on,
        )
    chosen = case.connection.chosen
    if not missing and not stale:
        return _remembered(chosen, wanted, programmed.rests_on, node)
    hit_stale = ANYWHERE if chosen and f"{chosen.ip}:{chosen.port}" in stale else frozenset()
    if not have:
        return Contradiction(
            Reason.BACKEND_MISSING,
            f"{node} has no backend at all, Kubernetes has {', '.join(missing)}",
            _NOT_TRANSLATED,
            programmed.rests_on,
        )
    if missing and stale:
        return Contradiction(
            Reason.BACKEND_MISMATCH,
            f"{node} balances to {', '.join(stale)} instead of {', '.join(missing)}",
            hit_stale,
            programmed.rests_on,
        )
    if stale:
        return Contradiction(
            Reason.BACKEND_STALE,
            f"{node} still balances to {', '.join(stale)}, which is no ready endpoint",
            hit_stale,
            programmed.rests_on,
        )
    return Contradiction(
        Reason.BACKEND_MISSING,
        f"{node} does not balance to {', '.join(missing)}",
        rests_on=programmed.rests_on,
    )


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


def _programmed(case: Case, node: str, frontend: Frontend) -> _Programmed | Absent | Unavailable:
    for number in range(1, 1 + len(case.plan.backends[:COMPARED_BACKENDS])):
        case.lens.want(lbmap.slot(node, _address(frontend), number))  # as many as there should be
    found = _master(case, node, frontend)
    master = found.slot
    if isinstance(master, Absent | Unavailable):
        return master
    rests_on = [*found.rests_on]
    if master.count > COMPARED_BACKENDS:
        return _Programmed(master, (), (), tuple(rests_on))
    backends: list[str] = []
    dangling: list[str] = []
    failed: Unavailable | None = None
    for number in range(1, master.count + 1):
        slot_question = lbmap.slot(node, found.address, number)
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
            backends.append(f"{backend.ip}:{backend.port}")
    return failed or _Programmed(master, tuple(backends), tuple(dangling), tuple(rests_on))


@dataclass(frozen=True, slots=True)
class _Master:
    """Slot 0, under the address that has one."""

    address: lbmap.Frontend
    slot: lbmap.ServiceSlot | Absent | Unavailable
    rests_on: tuple[Question, ...]


def _master(case: Case, node: str, frontend: Frontend) -> _Master:
    """As programs look for it: by protocol, then by none, as Cilium before 1.17 made all entries."""
    address = _address(frontend)
    question = lbmap.slot(node, address, 0)
    slot = case.lens.read(question, lbmap.parse_slot)
    if not isinstance(slot, Absent):
        return _Master(address, slot, (question,))
    of_any = replace(address, protocol=L4Protocol.ANY)
    question_of_any = lbmap.slot(node, of_any, 0)
    slot_of_any = case.lens.read(question_of_any, lbmap.parse_slot)
    if isinstance(slot_of_any, Unavailable) and slot_of_any.reason == Reason.NOT_COLLECTED:
        return _Master(address, slot, (question,))  # saved by a version that did not ask
    return _Master(of_any, slot_of_any, (question, question_of_any))


def check_service_translation(case: Case, expected: ExpectedHop) -> Finding:
    """This connection was sent to one of the backends."""
    frontend = _frontend(case)
    hop = case.hop(expected, f"{frontend.ip}:{frontend.port.port}/{case.protocol}")
    chosen = case.connection.chosen
    if chosen:
        hop.observed(
            f"this connection goes to {chosen.ip}:{chosen.port}",
            {"backend": f"{chosen.ip}:{chosen.port}", **case.connection.service_facts},
        )
        return hop.fine(f"{frontend.ip}:{frontend.port.port} → {chosen.ip}:{chosen.port}")
    if case.connection.untranslated:
        hop.observed("a connection to the ClusterIP itself left the pod")
        return hop.broken(
            Reason.NOT_TRANSLATED,
            f"{expected.node} let a packet to {frontend.ip}:{frontend.port.port} pass without choosing a backend",
        )
    return hop.unknown(
        Unavailable(Reason.NOT_OBSERVED, "no trace of this connection shows which backend was chosen")
    )


def check_reply_translation(case: Case, expected: ExpectedHop) -> Finding:
    """Replies get the Service's address back."""
    frontend = _frontend(case)
    hop = case.hop(expected, f"{frontend.ip}:{frontend.port.port}/{case.protocol}")
    hop.intent(f"replies come from {frontend.ip}:{frontend.port.port}")
    master = _master(case, expected.node, frontend).slot
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
    if (entry.ip, entry.port) != (frontend.ip, frontend.port.port):
        message = (
            f"{hop.object} of {hop.expected.node} restores {entry.ip}:{entry.port}, not the Service's address"
        )
        return hop.stale(Contradiction(Reason.REVERSE_NAT_MISMATCH, message, predicts, (question,)))
    return hop.fine(f"{hop.object} restores {entry.ip}:{entry.port}")


def _address(frontend: Frontend) -> lbmap.Frontend:
    return lbmap.Frontend(frontend.ip, frontend.port.port, L4Protocol[frontend.port.protocol])


def _frontend(case: Case) -> Frontend:
    assert case.plan.frontend is not None  # the path has these hops only with a Service
    return case.plan.frontend
