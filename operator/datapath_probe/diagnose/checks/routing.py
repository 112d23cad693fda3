"""Hops `node-routing` and `reply-routing`: one node has a route towards the other: for the outer packet of a tunnel,
or for the pod itself in native routing; and nothing on the way out swallows it.
"""

from collections.abc import Iterator
from dataclasses import replace

from ...api.reasons import Reason
from ...api.vocabulary import Encapsulation, HopName
from ...evidence.question import Question
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ...plan.plan import NodeFacts, PodFacts
from ...sources.agent.agent_endpoint import AgentEndpoint
from ...sources.bpf.bpftool import Direction
from ...sources.iproute2 import links, neighbors
from ...sources.iproute2.links import CILIUM_HOST
from ...sources.packet import Packet
from ..context import Case
from ..datapath.local_delivery import turned_back
from ..datapath.native_device_programs import detached_at_uplinks
from ..finding.faults import Suspect, unheard, unless
from ..finding.finding import Finding, Rung
from ..finding.hop_check import Contradiction, Hop
from ..netstack import host_path
from ..netstack.fib import unforwarded, unsendable
from ..netstack.foreign_programs import strangers
from ..netstack.mtu import too_small_uplink
from ..netstack.netfilter import FORWARDED, LEAVING, filtered
from ..netstack.packet_model import pod_device, request_packet, tunnel_packet, uplinks
from ..netstack.qdisc import queue_loses

_LOOPBACK = "lo"


def check_node_routing(case: Case, expected: ExpectedHop) -> Finding:
    """From the source's node to the destination's."""
    assert case.destination is not None  # the path has this hop only with a destination
    return _judge(case, expected, case.destination, Rung.SENT, seen=case.connection.received)


def check_reply_routing(case: Case, expected: ExpectedHop) -> Finding:
    """From the destination's node to the source's."""
    return _judge(case, expected, case.source, Rung.ANSWERED, seen=case.connection.replied)


def _judge(case: Case, expected: ExpectedHop, towards: PodFacts, rung: Rung, seen: bool) -> Finding:
    """To the pod itself in native routing, else to its node."""
    address = towards.pod.ip if case.path.encapsulation is Encapsulation.NONE else None
    pod = None if case.source.pod.host_network else towards
    return judge_route(case, expected, towards.node, address, frozenset({rung}), seen, pod)


def judge_route(
    case: Case,
    expected: ExpectedHop,
    towards: NodeFacts,
    address: str | None,
    predicts: frozenset[Rung],
    seen: bool,
    pod: PodFacts | None = None,
) -> Finding:
    """The kernel's own answer to "how do I get there?", and what may happen to packets on the way out.

    `address` on that node, None: the node's own. `pod`: the end there, where packets go from pod to pod.
    """
    node_ips = towards.cilium.internal_ips if towards.cilium else ()
    if not node_ips:
        hop = case.hop(expected, f"route to {towards.name}")
        message = f"{towards.name} has no CiliumNode with an address"
        return hop.unknown(Unavailable(Reason.CILIUM_NODE_MISSING, message))
    target = address or node_ips[0]
    hop = case.hop(expected, f"route to {target}")
    hop.intent(f"{target} is reached through {towards.name}", {"nodeIP": node_ips[0]})
    if seen:
        hop.observed("packets of this connection reached the other node")
    question = links.route_to(expected.node, target)
    route = case.lens.read(question, links.parse_route)
    if isinstance(route, Unavailable):
        return hop.unknown(route)
    if isinstance(route, Absent):
        hop.programmed("no route")
        message = f"{expected.node} has no route to {target}"
        return hop.stale(Contradiction(Reason.NO_NODE_ROUTE, message, predicts, (question,)))
    way = _way(route)
    hop.programmed(
        way, {"gateway": route.gateway or "", "device": route.device, "source": route.source or ""}
    )
    astray = _astray(case, expected.node, target, node_ips, route)
    if astray:
        return hop.stale(Contradiction(Reason.NO_NODE_ROUTE, astray, predicts, (question,)))
    neighbour = _neighbour(case, expected, towards, target, route, predicts)
    swallowed = _swallowed(case, hop, pod, route, predicts) if pod else _of_hosts(case, hop, route, predicts)
    too_small = _too_small(case, pod)
    finding = unless(hop, hop.fine(f"{target} {way}"), neighbour, *swallowed, too_small)
    detour = _detour(case, hop, target, route, question) if target in node_ips else None
    return unless(hop, finding, detour, *_detached(case, hop, towards))


def _of_hosts(case: Case, hop: Hop, route: links.Route, predicts: frozenset[Rung]) -> Iterator[Suspect]:
    """The same where an end is in its node's own network."""
    reply = hop.expected.name is HopName.REPLY_ROUTING
    return host_path.swallowed(case, route.device, predicts, reply=reply)


def _astray(case: Case, node: str, target: str, node_ips: tuple[str, ...], route: links.Route) -> str | None:
    """What is wrong with a route that does not lead to the other node."""
    if target not in node_ips and case.config.auto_direct_node_routes and route.gateway not in node_ips:
        return f"{node} sends packets to {target} {_way(route)}, but the pod is on {node_ips[0]}"
    return f"{node} keeps packets to {target} for itself" if route.device == _LOOPBACK else None


def _way(route: links.Route) -> str:
    return f"via {route.gateway} dev {route.device}" if route.gateway else f"dev {route.device}"


def _detour(case: Case, hop: Hop, target: str, route: links.Route, question: Question) -> Suspect:
    """A router on the way to a node that is a neighbour: its subnet is at the very device."""
    if route.gateway is None or case.outcome.met is False:
        return None
    node, of_subnet = hop.expected.node, links.routes_for(hop.expected.node, target)
    routes = case.lens.read(of_subnet, links.parse_routes)
    if isinstance(routes, Unavailable):
        return None
    for other in routes:
        if "/" in other.destination and other.gateway is None and other.device == route.device:
            subnet = f"{other.destination} is at {route.device}"
            message = f"{node} sends packets to {target} via {route.gateway}, though {subnet}"
            return Contradiction(Reason.NO_NODE_ROUTE, message, rests_on=(question, of_subnet))
    return None


def _detached(case: Case, hop: Hop, towards: NodeFacts) -> Iterator[Suspect]:
    """Cilium's own programs at the uplinks, of this direction."""
    sender = next((node for node in case.plan.nodes if node.name == hop.expected.node), None)
    return detached_at_uplinks(case, sender, towards) if sender else iter(())


def _too_small(case: Case, towards: PodFacts | None) -> Suspect:
    """Uplinks are judged once, on the way there, for either direction."""
    if towards is None or towards is not case.destination:
        return None
    suspect = too_small_uplink(case, case.source, towards)
    return unheard(suspect) if isinstance(suspect, Unavailable) else suspect


def _neighbour(
    case: Case,
    expected: ExpectedHop,
    towards: NodeFacts,
    target: str,
    route: links.Route,
    predicts: frozenset[Rung],
) -> Suspect:
    """The link-layer address of the other node, or of the router on the way to it. Asked only after a failure."""
    node_ips = towards.cilium.internal_ips if towards.cilium else ()
    next_hop = route.gateway or target
    if case.outcome.met is not False:
        return None
    question = neighbors.neighbour(expected.node, next_hop, route.device)
    neighbour = case.lens.read(question, neighbors.parse_neighbour)
    if isinstance(neighbour, Unavailable):
        return unheard(neighbour)
    if isinstance(neighbour, Absent):
        return None
    if neighbour.unreachable:
        who = f"{towards.name} ({next_hop})" if next_hop in node_ips else f"{next_hop}, the way to {target},"
        message = f"{who} does not answer {expected.node} on {route.device}"
        return Contradiction(Reason.NEIGHBOUR_UNREACHABLE, message, predicts, (question,))
    if next_hop not in node_ips:
        return None
    own = _facing(case, towards, expected.node)
    if isinstance(own, Unavailable):
        return unheard(own)
    if isinstance(own, Absent) or own.mac == neighbour.mac:
        return None
    message = (
        f"{expected.node} sends packets for {next_hop} to {neighbour.mac}, but {own.name} there is {own.mac}"
    )
    return Contradiction(Reason.NEIGHBOUR_WRONG, message, predicts, (question,))


def _facing(case: Case, node: NodeFacts, other: str) -> links.Link | Absent | Unavailable:
    """The device by which the node reaches the other one."""
    peer = next((known.cilium for known in case.plan.nodes if known.name == other and known.cilium), None)
    if peer is None or not peer.internal_ips:
        return Absent()
    route = case.lens.read(links.route_to(node.name, peer.internal_ips[0]), links.parse_route)
    if not isinstance(route, links.Route):
        return route
    return case.lens.read(links.link(node.name, route.device), links.parse_link)


def _swallowed(
    case: Case, hop: Hop, towards: PodFacts, route: links.Route, predicts: frozenset[Rung]
) -> Iterator[Suspect]:
    """A packet filter or a queue on the way out; in native routing also a filter of the node that they come to."""
    assert case.destination is not None
    node = hop.expected.node
    sender = case.source if towards is case.destination else case.destination
    yield queue_loses(case, node, route.device, predicts)
    yield strangers(case, node, route.device, Direction.EGRESS, predicts)
    if case.path.encapsulation is not Encapsulation.NONE:
        outer = tunnel_packet(case, sender.node, towards.node)
        if outer:
            yield filtered(case, node, LEAVING, outer, predicts)
            yield unsendable(case, node, outer, Reason.NO_NODE_ROUTE, predicts)
        return
    packet = request_packet(case, frozenset(), reply=towards is case.source)
    assert packet is not None
    yield from _forwarded(case, node, sender, packet, route.device, predicts)
    for arrival in _arriving(case, sender, towards, packet, predicts):
        yield replace(arrival, node=towards.node.name) if isinstance(arrival, Contradiction) else arrival


def _forwarded(
    case: Case, node: str, sender: PodFacts, packet: Packet, uplink: str, predicts: frozenset[Rung]
) -> Iterator[Suspect]:
    """The sender's node, whose stack passes on what comes from the pod's device."""
    device = pod_device(case, sender)
    yield filtered(case, node, FORWARDED, replace(packet, devices=device | {uplink, CILIUM_HOST}), predicts)
    if not case.config.bpf_host_routing:
        for name in device:
            yield unforwarded(case, node, packet, name, Reason.NO_NODE_ROUTE, predicts)


def _arriving(
    case: Case, sender: PodFacts, towards: PodFacts, packet: Packet, predicts: frozenset[Rung]
) -> Iterator[Suspect]:
    """The node that packets come to, whose stack passes on what comes from its uplink."""
    there = towards.node.name
    arrived = uplinks(case, sender.node, towards.node, of=there)
    devices = arrived | pod_device(case, towards) | {CILIUM_HOST}
    yield filtered(case, there, FORWARDED, replace(packet, devices=devices), predicts)
    agent = case.agent_endpoint(towards)
    for device in sorted(arrived):
        yield strangers(case, there, device, Direction.INGRESS, predicts)
        if isinstance(agent, AgentEndpoint):
            yield turned_back(case, towards, agent, packet, device, Reason.NO_NODE_ROUTE, predicts)
