"""Hops `egress-policy` and `ingress-policy`: does the endpoint's policy map let this identity and port through?

The map says what the program will do; the name of the policy is not in it. Exercise 8.
Source: Cilium 1.18 `bpf/lib/policy.h` (`__policy_can_access`).
"""

from ...api.reasons import Reason
from ...cilium import policymap
from ...cilium.policymap import PolicyEntry, TrafficDirection
from ...evidence.reading import Unavailable
from ...plan.path import ExpectedHop
from ...plan.plan import PodFacts
from ..case import Case
from ..findings import Finding, Rung
from ..judge import Contradiction


def check_egress_policy(case: Case, expected: ExpectedHop) -> Finding:
    """The source's map, asked for the destination. Passed if the connection has an entry: it is written afterwards."""
    assert case.destination is not None  # the path has this hop only with a destination
    last = Rung.TRANSLATED if case.translates else Rung.NOTHING
    return _judge(
        case,
        expected,
        owner=case.source,
        peer=case.destination,
        direction=TrafficDirection.EGRESS,
        rung=last,
        passed=case.connection.sent,
    )


def check_ingress_policy(case: Case, expected: ExpectedHop) -> Finding:
    """The destination's map, asked for the source."""
    assert case.destination is not None  # the path has this hop only with a destination
    return _judge(
        case,
        expected,
        owner=case.destination,
        peer=case.source,
        direction=TrafficDirection.INGRESS,
        rung=Rung.SENT,
        passed=case.connection.received,
    )


def _judge(
    case: Case,
    expected: ExpectedHop,
    owner: PodFacts,
    peer: PodFacts,
    direction: TrafficDirection,
    rung: Rung,
    passed: bool,
) -> Finding:
    """`rung`: how far a packet comes that is denied here."""
    way = direction.name.lower()
    hop = case.hop(expected, f"{way} policy of {owner.pod.namespace}/{owner.pod.name}")
    layout = case.layout(expected.node)
    if isinstance(layout, Unavailable):
        return hop.unknown(layout)
    if owner.endpoint is None or peer.endpoint is None:
        return hop.unknown(Unavailable(Reason.CILIUM_ENDPOINT_MISSING, "an end has no CiliumEndpoint"))
    port = case.backend.port if case.backend else 0
    identity = peer.endpoint.identity
    hop.intent(f"identity {identity} may pass at port {port}/TCP", {"identity": identity, "port": port})
    questions = tuple(
        policymap.lookup(expected.node, layout, owner.endpoint.endpoint_id, direction, who, port)
        for who in (identity, policymap.ANY_IDENTITY)
    )
    of_identity, of_any = (case.lens.read(question, policymap.parse) for question in questions)
    if passed:
        hop.observed("a packet of this connection passed")
    if isinstance(of_identity, Unavailable):
        return hop.unknown(of_identity)
    if isinstance(of_any, Unavailable):
        return hop.unknown(of_any)
    entry = policymap.decide(of_identity, of_any)
    allowed = isinstance(entry, PolicyEntry) and not entry.deny
    said = "allow" if allowed else ("deny" if isinstance(entry, PolicyEntry) else "default deny")
    proxy_port = entry.proxy_port if isinstance(entry, PolicyEntry) else 0
    hop.programmed(said, {"decision": said, "proxyPort": proxy_port})
    if allowed or passed:  # an entry proves that the program let a packet pass, whatever the map says now
        return hop.fine(f"identity {identity} passes at port {port}")
    who = f"{owner.pod.namespace}/{owner.pod.name} on {expected.node}"
    message = f"the {way} policy of {who} does not let identity {identity} pass at port {port}/TCP ({said})"
    return hop.stale(Contradiction(Reason.POLICY_DENIED, message, frozenset({rung}), questions))
