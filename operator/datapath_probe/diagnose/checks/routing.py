"""Hop `node-routing`: the source's node has a route towards the destination's: for the outer packet of a tunnel, or for
the pod itself in native routing.
"""

from ...api.reasons import Reason
from ...api.vocabulary import Encapsulation
from ...cilium import links
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ..case import Case
from ..findings import Finding, Rung
from ..judge import Contradiction


def check_node_routing(case: Case, expected: ExpectedHop) -> Finding:
    """The kernel's own answer to "how do I get there?"."""
    destination = case.destination
    assert destination is not None  # the path has this hop only with a destination
    if destination.node.cilium is None or not destination.node.cilium.internal_ips:
        hop = case.hop(expected, f"route to {destination.node.name}")
        return hop.unknown(
            Unavailable(Reason.CILIUM_NODE_MISSING, f"{destination.node.name} has no CiliumNode")
        )
    node_ip = destination.node.cilium.internal_ips[0]
    native = case.path.encapsulation is Encapsulation.NONE
    target = destination.pod.ip if native else node_ip
    hop = case.hop(expected, f"route to {target}")
    hop.intent(f"{target} is reached through {destination.node.name}", {"nodeIP": node_ip})
    question = links.route_to(expected.node, target)
    route = case.lens.read(question, links.parse_route)
    if case.connection.received:
        hop.observed("packets of this connection reached the other node")
    if isinstance(route, Unavailable):
        return hop.unknown(route)
    predicts = frozenset({Rung.SENT})
    if isinstance(route, Absent):
        hop.programmed("no route")
        message = f"{expected.node} has no route to {target}"
        return hop.stale(Contradiction(Reason.NO_NODE_ROUTE, message, predicts, (question,)))
    way = f"via {route.gateway} dev {route.device}" if route.gateway else f"dev {route.device}"
    hop.programmed(
        way, {"gateway": route.gateway or "", "device": route.device, "source": route.source or ""}
    )
    if (
        native
        and case.config.auto_direct_node_routes
        and route.gateway not in destination.node.cilium.internal_ips
    ):
        message = f"{expected.node} sends {target} {way}, but it is on {node_ip}"
        return hop.stale(Contradiction(Reason.NO_NODE_ROUTE, message, predicts, (question,)))
    return hop.fine(f"{target} {way}")
