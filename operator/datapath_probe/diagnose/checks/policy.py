"""Hops `egress-policy` and `ingress-policy`: does the endpoint's policy map let this identity and port through, and do
policies mean it to?

The map says what the program will do, the agent which policies want it so. Exercise 8.
Source: Cilium 1.18 `bpf/lib/policy.h` (`__policy_can_access`).
"""

from dataclasses import dataclass

from ...api.reasons import Reason
from ...cilium import policymap
from ...cilium.policymap import PolicyEntry, TrafficDirection
from ...evidence.question import Question
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ...plan.plan import PodFacts
from ..case import Case
from ..findings import Finding, Rung
from ..judge import Contradiction, Hop
from ..policy_intent import Intent, intent_of

_NO_ENDPOINT = Unavailable(Reason.CILIUM_ENDPOINT_MISSING, "an end has no CiliumEndpoint")


@dataclass(frozen=True, slots=True)
class Gate:
    """One endpoint's policy in one direction, and who wants to pass: the `identity` at the other end.

    `rung`: how far a packet comes that is denied here; `passed`: one of this connection came further.
    """

    owner: PodFacts
    identity: int | Unavailable
    direction: TrafficDirection
    rung: Rung
    passed: bool

    @property
    def name(self) -> str:
        """ "ingress policy of default/deathstar"."""
        return f"{self.direction.name.lower()} policy of {self.owner.pod.namespace}/{self.owner.pod.name}"


def check_egress_policy(case: Case, expected: ExpectedHop) -> Finding:
    """The source's map, asked for the destination. Passed if the connection has an entry: it is written afterwards."""
    assert case.destination is not None  # the path has this hop only with a destination
    last = Rung.TRANSLATED if case.translates else Rung.NOTHING
    identity = _identity(case.destination)
    gate = Gate(case.source, identity, TrafficDirection.EGRESS, last, case.connection.sent)
    return judge_gate(case, expected, gate)


def check_ingress_policy(case: Case, expected: ExpectedHop) -> Finding:
    """The destination's map, asked for the source."""
    assert case.destination is not None  # the path has this hop only with a destination
    identity = _identity(case.source)
    gate = Gate(case.destination, identity, TrafficDirection.INGRESS, Rung.SENT, case.connection.received)
    return judge_gate(case, expected, gate)


def _identity(pod: PodFacts) -> int | Unavailable:
    return pod.endpoint.identity if pod.endpoint else _NO_ENDPOINT


def judge_gate(case: Case, expected: ExpectedHop, gate: Gate) -> Finding:
    """The map, held against the policies."""
    hop = case.hop(expected, gate.name)
    identity = gate.identity
    if isinstance(identity, Unavailable):
        return hop.unknown(identity)
    if gate.owner.endpoint is None:
        return hop.unknown(_NO_ENDPOINT)
    port = case.backend.port if case.backend else 0
    intent = intent_of(case, gate.owner, gate.direction, identity, port)
    looked_up = _look_up(case, expected, gate, identity, port)
    who = f"identity {identity} at port {port}/TCP"
    said = f": {intent.in_words}" if isinstance(intent, Intent) else ""
    hop.intent(f"{who}{said}", {"identity": identity, "port": port, **_meant(intent)})
    if gate.passed:
        hop.observed("a packet of this connection passed")
    if isinstance(looked_up, Unavailable):
        return hop.unknown(looked_up)
    entry, questions = looked_up
    allowed = isinstance(entry, PolicyEntry) and not entry.deny
    decision = "allow" if allowed else ("deny" if isinstance(entry, PolicyEntry) else "default deny")
    proxy_port = entry.proxy_port if isinstance(entry, PolicyEntry) else 0
    hop.programmed(decision, {"decision": decision, "proxyPort": proxy_port})
    if isinstance(intent, Intent) and intent.decision.allowed is not allowed:
        return _mismatch(hop, gate, intent, f"{decision} for {who}", questions)
    if isinstance(entry, PolicyEntry) and allowed:
        return _let_through(hop, gate, entry, intent, who)
    if isinstance(intent, Intent) and intent.audited:
        return hop.fine(f"the {gate.name} is only audited: {who} passes in spite of {intent.in_words}")
    if gate.passed:  # an entry proves that the program let a packet pass, whatever the map says now
        return hop.fine(f"{who} passes")
    message = f"the {gate.name} on {expected.node} does not let {who} pass{said or f': {decision}'}"
    return hop.stale(Contradiction(Reason.POLICY_DENIED, message, frozenset({gate.rung}), questions))


def _look_up(
    case: Case, expected: ExpectedHop, gate: Gate, identity: int, port: int
) -> tuple[PolicyEntry | Absent, tuple[Question, ...]] | Unavailable:
    """The decisive entry of the map, and the questions that led to it."""
    assert gate.owner.endpoint is not None
    layout = case.layout(expected.node)
    if isinstance(layout, Unavailable):
        return layout
    questions = tuple(
        policymap.lookup(expected.node, layout, gate.owner.endpoint.endpoint_id, gate.direction, who, port)
        for who in (identity, policymap.ANY_IDENTITY)
    )
    of_identity, of_any = (case.lens.read(question, policymap.parse) for question in questions)
    if isinstance(of_identity, Unavailable):
        return of_identity
    if isinstance(of_any, Unavailable):
        return of_any
    return policymap.decide(of_identity, of_any), questions


def _let_through(hop: Hop, gate: Gate, entry: PolicyEntry, intent: Intent | Unavailable, who: str) -> Finding:
    """The map allows. Who passes it as it is, passes; a proxy or an authentication behind it is not followed."""
    if entry.proxy_port:
        why = f"the {gate.name} hands {who} to the L7 proxy (port {entry.proxy_port}), which is not followed"
        return hop.unknown(Unavailable(Reason.UNSUPPORTED_CONFIGURATION, why))
    if entry.auth_type and not gate.passed:
        why = f"the {gate.name} lets {who} pass only authenticated, which is not followed"
        return hop.unknown(Unavailable(Reason.UNSUPPORTED_CONFIGURATION, why))
    if isinstance(intent, Unavailable):
        return hop.unknown(intent)
    return hop.fine(f"{who} passes")


def _mismatch(
    hop: Hop, gate: Gate, intent: Intent, programmed: str, questions: tuple[Question, ...]
) -> Finding:
    """The map does not hold what the agent has resolved."""
    message = f"the map of the {gate.name} says {programmed}, but the agent's policy is: {intent.in_words}"
    stops = frozenset({gate.rung}) if intent.decision.allowed else frozenset[Rung]()
    rests_on = (*questions, *intent.rests_on)
    return hop.stale(Contradiction(Reason.POLICY_MAP_MISMATCH, message, stops, rests_on))


def _meant(intent: Intent | Unavailable) -> dict[str, object]:
    """The agent's decision as facts: `decision`, and the names of the `policies` behind it."""
    if isinstance(intent, Unavailable):
        return {}
    decision = intent.decision
    verdict = "allow" if decision.allowed else ("deny" if decision.policies else "default deny")
    return {"decision": verdict, "policies": ", ".join(map(str, intent.policies))}
