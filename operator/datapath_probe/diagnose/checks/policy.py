"""Hops `egress-policy` and `ingress-policy`: does the endpoint's policy map let this identity and port through, and do
policies mean it to?

The map says what the program will do, the agent which policies want it so. Exercise 8.
Source: Cilium 1.18 `bpf/lib/policy.h` (`__policy_can_access`).
"""

from dataclasses import dataclass

from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ...plan.plan import PodFacts
from ...sources.byte_order import L4Protocol
from ...sources.maps import policymap
from ...sources.maps.policymap import PolicyEntry, TrafficDirection
from ..context import CheckContext
from ..datapath.resolved_policy import Intent, facts, intent_of
from ..failure_model.effect import Defect
from ..finding.finding import Finding
from ..finding.hop_check import Contradiction, Hop
from .expected_denial import denied_by, denies, let_through

_LookedUp = tuple[PolicyEntry | Absent, tuple[Fact, ...]]
# Of pods whose L7 traffic people want to see, whatever policies say.
_PROXIED_BY_ANNOTATION = ("1.16.", "1.17.")
_NO_ENDPOINT = Unavailable(Reason.CILIUM_ENDPOINT_MISSING, "an end has no CiliumEndpoint")


@dataclass(frozen=True, slots=True)
class Gate:
    """One endpoint's policy in one direction, and who wants to pass: the `identity` at the other end.

    `passed`: a packet of this connection came further.
    """

    owner: PodFacts
    identity: int | Unavailable
    direction: TrafficDirection
    passed: bool

    @property
    def name(self) -> str:
        """ "ingress policy of default/deathstar"."""
        return f"{self.direction.name.lower()} policy of {self.owner.pod.namespace}/{self.owner.pod.name}"


def check_egress_policy(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The source's map, asked for the destination. Passed if the connection has an entry: it is written afterwards."""
    assert context.destination is not None  # the path has this hop only with a destination
    identity = _identity(context.destination)
    gate = Gate(context.source, identity, TrafficDirection.EGRESS, context.connection.sent)
    return judge_gate(context, expected, gate)


def check_ingress_policy(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The destination's map, asked for the source."""
    assert context.destination is not None  # the path has this hop only with a destination
    identity = _identity(context.source)
    gate = Gate(context.destination, identity, TrafficDirection.INGRESS, context.connection.received)
    return judge_gate(context, expected, gate)


def _identity(pod: PodFacts) -> int | Unavailable:
    return pod.endpoint.identity if pod.endpoint else _NO_ENDPOINT


def judge_gate(context: CheckContext, expected: ExpectedHop, gate: Gate) -> Finding:
    """The map, held against the policies."""
    hop = context.hop(expected, gate.name)
    identity = gate.identity
    if isinstance(identity, Unavailable):
        return hop.unknown(identity)
    if gate.owner.endpoint is None:
        return hop.unknown(_NO_ENDPOINT)
    port = context.backend.port if context.backend else 0
    intent = intent_of(context, gate.owner, gate.direction, identity, port)
    looked_up = _look_up(context, expected, gate, identity, port)
    who = f"identity {identity} at port {port}/{context.protocol}"
    said = f": {intent.in_words}" if isinstance(intent, Intent) else ""
    hop.intent(f"{who}{said}", {"identity": identity, "port": port, **_meant(intent)})
    if gate.passed:
        hop.observed("a packet of this connection passed")
    if isinstance(looked_up, Unavailable):
        return hop.unknown(looked_up)
    entry, _ = looked_up
    proxy_port = entry.proxy_port if isinstance(entry, PolicyEntry) else 0
    hop.programmed(_decision(entry), {"decision": _decision(entry), "proxyPort": proxy_port})
    return _compare(context, hop, gate, intent, looked_up, who)


def _compare(
    context: CheckContext, hop: Hop, gate: Gate, intent: Intent | Unavailable, looked_up: _LookedUp, who: str
) -> Finding:
    """What the map says, what policies mean, and what became of the connection."""
    entry, facts = looked_up
    programmed = f"{_decision(entry)} for {who}"
    missed = let_through(context, gate.direction, intent, programmed)
    if isinstance(missed, Unavailable):
        return hop.unknown(missed)
    if missed:
        return hop.broken(Reason.POLICY_NOT_ENFORCED, missed, certain=denies(intent))
    if isinstance(intent, Intent) and intent.decision.allowed is not _allows(entry):
        defects = (Defect.DENIED,) if intent.decision.allowed else ()
        return _mismatch(context, hop, gate, intent, programmed, facts, defects)
    if isinstance(entry, PolicyEntry) and _allows(entry):
        detour = _detour(context, hop.expected.node, gate, entry, intent)
        if detour and isinstance(intent, Intent):
            return _mismatch(context, hop, gate, intent, f"{programmed}{detour.how}", facts, (detour.defect,))
        return _let_pass(context, hop, gate, entry, intent, who)
    if isinstance(intent, Intent) and intent.audited:
        return hop.ok(f"{who} passes in spite of {intent.in_words}")
    if context.plan.expect.denied:
        return hop.ok(f"{who}: {denied_by(context, hop.expected, intent)}, as expected")
    if gate.passed:  # an entry proves that the program let a packet pass, whatever the map says now
        return hop.ok(f"{who} passes")
    said = intent.in_words if isinstance(intent, Intent) else _decision(entry)
    message = f"the {gate.name} on {hop.expected.node} does not let {who} pass: {said}"
    return hop.stale(Contradiction(Reason.POLICY_DENIED, message, (Defect.DENIED,), facts))


def _look_up(
    context: CheckContext, expected: ExpectedHop, gate: Gate, identity: int, port: int
) -> _LookedUp | Unavailable:
    """The decisive entry of the map, and the facts that led to it."""
    assert gate.owner.endpoint is not None
    layout = context.layout(expected.node)
    if isinstance(layout, Unavailable):
        return layout
    facts = tuple(
        policymap.lookup(
            expected.node,
            layout,
            gate.owner.endpoint.endpoint_id,
            gate.direction,
            who,
            port,
            L4Protocol[context.protocol],
        )
        for who in (identity, policymap.ANY_IDENTITY)
    )
    of_identity, of_any = (context.reader.read(fact, policymap.parse) for fact in facts)
    if isinstance(of_identity, Unavailable):
        return of_identity
    if isinstance(of_any, Unavailable):
        return of_any
    return policymap.decide(of_identity, of_any), facts


def _allows(entry: PolicyEntry | Absent) -> bool:
    return isinstance(entry, PolicyEntry) and not entry.deny


def _decision(entry: PolicyEntry | Absent) -> str:
    if isinstance(entry, Absent):
        return "default deny"
    return "deny" if entry.deny else "allow"


def _let_pass(
    context: CheckContext, hop: Hop, gate: Gate, entry: PolicyEntry, intent: Intent | Unavailable, who: str
) -> Finding:
    """The map allows. Who passes it as it is, passes; a proxy or an authentication behind it is not followed."""
    if context.outcome.denied_at is hop.expected.name:
        message = f"{who} was denied, though map and policy of the endpoint let it pass"
        return hop.broken(Reason.POLICY_DENIED, message)
    if entry.proxy_port:
        why = f"the {gate.name} hands {who} to the L7 proxy (port {entry.proxy_port}), which is not followed"
        return hop.not_followed(why)
    if entry.auth_type and not gate.passed:
        why = f"the {gate.name} lets {who} pass only authenticated, which is not followed"
        return hop.not_followed(why)
    if isinstance(intent, Unavailable):
        return hop.unknown(intent, ask_again=_heard(context, gate.owner))
    if not intent.enforced and entry.prefix_bits and not context.run.second_look:
        why = "the map has an entry for this port: policy may be enforced since a moment"
        return hop.unknown(Unavailable(Reason.UNCONFIRMED, why), ask_again=intent.rests_on)
    return hop.ok(f"{who} passes")


@dataclass(frozen=True, slots=True)
class _Detour:
    """`how` the map lets pass what policies let pass as it is, and what that does to packets."""

    how: str
    defect: Defect


def _detour(
    context: CheckContext, node: str, gate: Gate, entry: PolicyEntry, intent: Intent | Unavailable
) -> _Detour | None:
    """What the map asks of packets and no policy does: that they have authenticated, or that a L7 proxy decides."""
    if isinstance(intent, Unavailable):
        return None
    if entry.auth_type and not intent.decision.authenticated:
        return _Detour(", if authenticated", Defect.DENIED)
    layout = context.layout(node)
    by_annotation = isinstance(layout, Unavailable) or layout.version.startswith(_PROXIED_BY_ANNOTATION)
    if entry.proxy_port and not intent.decision.proxied and not by_annotation:
        return _Detour(f", if the L7 proxy (port {entry.proxy_port}) does", Defect.PROXIED)
    return None


def _heard(context: CheckContext, owner: PodFacts) -> tuple[Fact, ...]:
    """What the agent has said of the owner's policy. While policies change, its answers do not fit each other; one of
    them, heard before, may be too old.
    """
    if owner.endpoint is None:
        return ()
    asked = facts(owner.endpoint, owner.node.name)
    return tuple(fact for fact in asked if context.reader.reads(fact))


def _mismatch(
    context: CheckContext,
    hop: Hop,
    gate: Gate,
    intent: Intent,
    programmed: str,
    facts: tuple[Fact, ...],
    defects: tuple[Defect, ...],
) -> Finding:
    """The map does not hold what the agent has resolved. The map must say so twice; what the agent says is asked for
    again with it, and may be heard for the first time then.
    """
    message = f"the map of the {gate.name} says {programmed}, but the agent's policy is: {intent.in_words}"
    rests_on = facts if context.run.second_look else (*facts, *intent.rests_on)
    return hop.stale(Contradiction(Reason.POLICY_MAP_MISMATCH, message, defects, rests_on))


def _meant(intent: Intent | Unavailable) -> dict[str, object]:
    """The agent's decision as facts: `decision`, and the names of the `policies` behind it."""
    if isinstance(intent, Unavailable):
        return {}
    decision = intent.decision
    verdict = "allow" if decision.allowed else ("deny" if decision.policies else "default deny")
    return {"decision": verdict, "policies": ", ".join(map(str, intent.policies))}
