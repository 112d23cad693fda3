"""Hops `node-routing` and `reply-routing`: one node has a route towards the other: for the outer packet of a tunnel,
or for the pod itself in native routing.
"""

from ...api.reasons import Reason
from ...api.vocabulary import Encapsulation
from ...cilium import links
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ...plan.plan import PodFacts
from ..case import Case
from ..findings import Finding, Rung
from ..judge import Contradiction


def check_node_routing(case: Case, expected: ExpectedHop) -> Finding:
    """From the source's node to the destination's."""
    assert case.destination is not None  # the path has this hop only with a destination
    return _judge(case, expected, case.destination, Rung.SENT, seen=case.connection.received)


def check_reply_routing(case: Case, expected: ExpectedHop) -> Finding:
    """From the destination's node to the source's."""
    return _judge(case, expected, case.source, Rung.ANSWERED, seen=case.connection.replied)


def _judge(case: Case, expected: ExpectedHop, towards: PodFacts, rung: Rung, seen: bool) -> Finding:
    """The kernel's own answer to "how do I get there?"."""
    node_ips = towards.node.cilium.internal_ips if towards.node.cilium else ()
    if not node_ips:
        hop = case.hop(expected, f"route to {towards.node.name}")
        message = f"{towards.node.name} has no CiliumNode with an address"
        return hop.unknown(Unavailable(Reason.CILIUM_NODE_MISSING, message))
    native = case.path.encapsulation is Encapsulation.NONE
    target = towards.pod.ip if native else node_ips[0]
    hop = case.hop(expected, f"route to {target}")
    hop.intent(f"{target} is reached through {towards.node.name}", {"nodeIP": node_ips[0]})
    if seen:
        hop.observed("packets of this connection reached the other node")
    question = links.route_to(expected.node, target)
    route = case.lens.read(question, links.parse_route)
    if isinstance(route, Unavailable):
        return hop.unknown(route)
    predicts = frozenset({rung})
    if isinstance(route, Absent):
        hop.programmed("no route")
        message = f"{expected.node} has no route to {target}"
        return hop.stale(Contradiction(Reason.NO_NODE_ROUTE, message, predicts, (question,)))
    way = f"via {route.gateway} dev {route.device}" if route.gateway else f"dev {route.device}"
    hop.programmed(
        way, {"gateway": route.gateway or "", "device": route.device, "source": route.source or ""}
    )
    if native and case.config.auto_direct_node_routes and route.gateway not in node_ips:
        message = f"{expected.node} sends packets to {target} {way}, but the pod is on {node_ips[0]}"
        return hop.stale(Contradiction(Reason.NO_NODE_ROUTE, message, predicts, (question,)))
    return hop.fine(f"{target} {way}")
