"""Hops `egress-policy` and `ingress-policy`: the endpoint's policy map allows this identity and port, as policies
intend.

The map determines what the program does; the agent reports what policies intend. Exercise 8.
Source: Cilium 1.18 `bpf/lib/policy.h` (`__policy_can_access`).
"""

from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ...plan.plan import PodFacts
from ...sources.byte_order import L4Protocol
from ...sources.maps import policymap
from ...sources.maps.policymap import PolicyEntry, TrafficDirection
from ..context import CheckContext
from ..datapath.resolved_policy import Intent, intent_of
from ..finding.finding import Finding
from .policy_comparison import Comparison, Gate, decision_of

_LookedUp = tuple[PolicyEntry | Absent, tuple[Fact, ...]]
_NO_ENDPOINT = Unavailable(Reason.CILIUM_ENDPOINT_MISSING, "an end of the path has no CiliumEndpoint")


def check_egress_policy(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The source's map, for the destination. Packets passed if the connection has an entry, which is created later."""
    assert context.destination is not None  # the path has this hop only with a destination
    identity = _identity(context.destination)
    gate = Gate(context.source, identity, TrafficDirection.EGRESS, context.connection.sent)
    return judge_gate(context, expected, gate)


def check_ingress_policy(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The destination's map, for the source."""
    assert context.destination is not None  # the path has this hop only with a destination
    identity = _identity(context.source)
    gate = Gate(context.destination, identity, TrafficDirection.INGRESS, context.connection.received)
    return judge_gate(context, expected, gate)


def _identity(pod: PodFacts) -> int | Unavailable:
    return pod.endpoint.identity if pod.endpoint else _NO_ENDPOINT


def judge_gate(context: CheckContext, expected: ExpectedHop, gate: Gate) -> Finding:
    """Compare the map with the policies."""
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
    policies = f": {intent.in_words}" if isinstance(intent, Intent) else ""
    hop.intent(f"{who}{policies}", {"identity": identity, "port": port, **_intent_facts(intent)})
    if gate.passed:
        hop.observed("a packet of this connection passed")
    if isinstance(looked_up, Unavailable):
        return hop.unknown(looked_up)
    entry, lookups = looked_up
    hop.rests_on_maps(lookups[0])
    proxy_port = entry.proxy_port if isinstance(entry, PolicyEntry) else 0
    hop.programmed(decision_of(entry), {"decision": decision_of(entry), "proxyPort": proxy_port})
    return Comparison(context, hop, gate, intent, entry, lookups, who).finding()


def _look_up(
    context: CheckContext, expected: ExpectedHop, gate: Gate, identity: int, port: int
) -> _LookedUp | Unavailable:
    """The entry of the map that decides, and the facts of its lookups."""
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


def _intent_facts(intent: Intent | Unavailable) -> dict[str, object]:
    """The agent's decision as facts: `decision`, and the names of its `policies`."""
    if isinstance(intent, Unavailable):
        return {}
    decision = intent.decision
    verdict = "allow" if decision.allowed else ("deny" if decision.policies else "default deny")
    return {"decision": verdict, "policies": ", ".join(map(str, intent.policies))}
