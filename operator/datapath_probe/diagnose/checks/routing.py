"""Hops `node-routing` and `reply-routing`: one node has a route to the other, for the outer packet of a tunnel or, with
native routing, for the pod itself; and nothing drops packets on the output path.
"""

from collections.abc import Iterator
from dataclasses import replace

from ...addresses import IpAddress
from ...api.reasons import Reason
from ...api.vocabulary import Encapsulation, HopName
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ...plan.plan import NodeFacts, PodFacts
from ...sources.agent.agent_endpoint import AgentEndpoint
from ...sources.bpf.bpftool import Direction
from ...sources.iproute2 import links, neighbors
from ...sources.iproute2.links import CILIUM_HOST
from ...sources.packet import Packet
from ..context import CheckContext
from ..datapath.local_delivery import not_forwarded
from ..datapath.native_device_programs import faults_at_uplinks
from ..failure_model.effect import Defect
from ..finding.faults import Fault, if_expected, worst_of
from ..finding.finding import Finding
from ..finding.hop_check import Contradiction, HopCheck
from ..netstack import host_path
from ..netstack.fib import unforwarded, unroutable
from ..netstack.foreign_programs import foreign_programs_dropping
from ..netstack.kernel_filters import filtered
from ..netstack.local_addresses import Held, held_by
from ..netstack.mtu import too_small_uplink
from ..netstack.netfilter import FORWARDED, LEAVING
from ..netstack.next_hop import next_hop_unanswered
from ..netstack.packet_model import arriving_at, pod_device, request_packet, tunnel_packet, uplinks
from ..netstack.qdisc import qdisc_drops

_LOOPBACK = "lo"


def check_node_routing(context: CheckContext, expected: ExpectedHop) -> Finding:
    """From the source's node to the destination's."""
    assert context.destination is not None  # the path has this hop only with a destination
    return _judge(context, expected, context.destination, seen=context.connection.received)


def check_reply_routing(context: CheckContext, expected: ExpectedHop) -> Finding:
    """From the destination's node to the source's."""
    return _judge(context, expected, context.source, seen=context.connection.replied)


def _judge(context: CheckContext, expected: ExpectedHop, towards: PodFacts, *, seen: bool) -> Finding:
    """The route to the pod itself with native routing, otherwise to its node."""
    address = towards.ip if context.path.encapsulation is Encapsulation.NONE else None
    if not context.source.pod.host_network:
        return judge_route(context, expected, towards.node, address, seen, towards)
    finding = judge_route(context, expected, towards.node, address, seen)
    if address or towards is context.source:
        return finding
    hop = context.hop(expected, f"route to {towards.ip}")
    return worst_of(hop, finding, *_outside_tunnel(context, expected.node, towards))


def _outside_tunnel(context: CheckContext, node: str, pod: PodFacts) -> Iterator[Fault]:
    """Packets of a host to a pod that its stack does not give to Cilium, which would send them through the tunnel."""
    fact = links.route_to(node, pod.ip)
    route = context.reader.read(fact, links.parse_route)
    if isinstance(route, Unavailable):
        yield if_expected(route)
        return
    if isinstance(route, links.Route) and route.device == CILIUM_HOST:
        return
    held = held_by(context, node, pod.ip)
    if isinstance(held, Held):
        message = f"{held}: it does not send packets to the pod"
        yield Contradiction(Reason.ADDRESS_CONFLICT, message, (Defect.LOST,), held.rests_on)
        return
    instead = f": it sends packets {_via(route)}" if isinstance(route, links.Route) else ""
    message = f"{node} has no route through {CILIUM_HOST} to {pod.ip}, a pod of {pod.node.name}{instead}"
    yield Contradiction(Reason.NODE_ROUTE_MISSING, message, (Defect.LOST,), (fact,))


def judge_route(
    context: CheckContext,
    expected: ExpectedHop,
    towards: NodeFacts,
    address: IpAddress | None,
    seen: bool,
    pod: PodFacts | None = None,
) -> Finding:
    """The kernel's route lookup, and what may drop packets on the output path.

    `address`: the destination address; None for the node's own. `pod`: the pod at that end; None if an end is a host.
    """
    node_ips = context.wire_ips(towards)
    if not node_ips:
        hop = context.hop(expected, f"route to {towards.name}")
        message = f"{towards.name} has no CiliumNode with an address"
        return hop.unknown(Unavailable(Reason.CILIUM_NODE_MISSING, message))
    target = address or node_ips[0]
    hop = context.hop(expected, f"route to {target}")
    hop.intent(f"{target} is reached through {towards.name}", {"nodeIP": node_ips[0]})
    if seen:
        hop.observed("packets of this connection reached the other node")
    fact = links.route_to(expected.node, target)
    route = context.reader.read(fact, links.parse_route)
    if isinstance(route, Unavailable):
        return hop.unknown(route)
    if isinstance(route, Absent):
        hop.programmed("no route")
        message = f"{expected.node} has no route to {target}"
        return hop.stale(Contradiction(Reason.NODE_ROUTE_MISSING, message, (Defect.LOST,), (fact,)))
    hop.programmed(
        _via(route), {"gateway": route.gateway or "", "device": route.device, "source": route.source or ""}
    )
    wrong = _wrong_route(context, expected.node, target, node_ips, route)
    if wrong:
        return hop.stale(Contradiction(Reason.NODE_ROUTE_MISSING, wrong, (Defect.LOST,), (fact,)))
    finding = _judge_beyond_route(context, hop, towards, pod, target, route)
    detour = _detour(context, hop, target, route, fact) if target in node_ips else None
    return worst_of(hop, finding, detour, *_at_uplinks(context, hop, towards))


def _judge_beyond_route(
    context: CheckContext,
    hop: HopCheck,
    towards: NodeFacts,
    pod: PodFacts | None,
    target: IpAddress,
    route: links.Route,
) -> Finding:
    """The finding beyond a correct route: neighbor entry, packet filters, qdiscs and programs, MTUs."""
    neighbor = _neighbor(context, hop.expected, towards, target, route)
    dropped = _dropped_on_output(context, hop, pod, route) if pod else _dropped_from_host(context, hop, route)
    ok = hop.ok(f"{target} {_via(route)}")
    return worst_of(hop, ok, neighbor, *dropped, _too_small(context, pod))


def _dropped_from_host(context: CheckContext, hop: HopCheck, route: links.Route) -> Iterator[Fault]:
    """Faults on the output path if an end is in its node's own network."""
    reply = hop.expected.name is HopName.REPLY_ROUTING
    return host_path.dropped_on_output(context, route.device, reply=reply)


def _wrong_route(
    context: CheckContext, node: str, target: IpAddress, node_ips: tuple[IpAddress, ...], route: links.Route
) -> str | None:
    """What is wrong with a route that does not lead to the other node."""
    if target not in node_ips and context.config.auto_direct_node_routes and route.gateway not in node_ips:
        return f"{node} sends packets to {target} {_via(route)}, but the pod is on {node_ips[0]}"
    return f"{node} delivers packets to {target} to itself" if route.device == _LOOPBACK else None


def _via(route: links.Route) -> str:
    return f"via {route.gateway} dev {route.device}" if route.gateway else f"dev {route.device}"


def _detour(context: CheckContext, hop: HopCheck, target: IpAddress, route: links.Route, fact: Fact) -> Fault:
    """A gateway on the route to a node in a directly connected subnet."""
    if route.gateway is None or context.outcome.met is False:
        return None
    node, of_subnet = hop.expected.node, links.routes_for(hop.expected.node, target)
    routes = context.reader.read(of_subnet, links.parse_routes)
    if isinstance(routes, Unavailable):
        return None
    for other in routes:
        if "/" in other.destination and other.gateway is None and other.device == route.device:
            subnet = f"{other.destination} is directly connected to {route.device}"
            message = f"{node} sends packets to {target} via {route.gateway}, although {subnet}"
            return Contradiction(Reason.NODE_ROUTE_MISSING, message, rests_on=(fact, of_subnet))
    return None


def _at_uplinks(context: CheckContext, hop: HopCheck, towards: NodeFacts) -> Iterator[Fault]:
    """Faults of Cilium's programs at the uplinks of this direction."""
    sender = next((node for node in context.plan.nodes if node.name == hop.expected.node), None)
    return faults_at_uplinks(context, sender, towards) if sender else iter(())


def _too_small(context: CheckContext, towards: PodFacts | None) -> Fault:
    """Uplinks with an MTU that is too small, judged once for both directions."""
    if towards is None or towards is not context.destination:
        return None
    fault = too_small_uplink(context, context.source, towards)
    return if_expected(fault) if isinstance(fault, Unavailable) else fault


def _neighbor(
    context: CheckContext,
    expected: ExpectedHop,
    towards: NodeFacts,
    target: IpAddress,
    route: links.Route,
) -> Fault:
    """The neighbor entry of the other node, or of the gateway to it. Read only after a failure."""
    node_ips = context.wire_ips(towards)
    next_hop = route.gateway or target
    end = f"{towards.name} ({next_hop})" if next_hop in node_ips else None
    unanswered = next_hop_unanswered(context, expected.node, route, target, end)
    if unanswered or end is None or context.outcome.met is not False:
        return unanswered
    fact = neighbors.neighbor(expected.node, next_hop, route.device)
    neighbor = context.reader.read(fact, neighbors.parse_neighbor)
    if not isinstance(neighbor, neighbors.Neighbor):
        return None
    own = _device_towards(context, towards, expected.node)
    if isinstance(own, Unavailable):
        return if_expected(own)
    if isinstance(own, Absent) or own.mac == neighbor.mac:
        return None
    message = (
        f"{expected.node} sends packets for {next_hop} to {neighbor.mac}, but {own.name} there is {own.mac}"
    )
    return Contradiction(Reason.NEIGHBOR_MAC_MISMATCH, message, (Defect.LOST,), (fact,))


def _device_towards(context: CheckContext, node: NodeFacts, other: str) -> links.Link | Absent | Unavailable:
    """The device through which the node reaches the other one."""
    peer = next((known for known in context.plan.nodes if known.name == other), None)
    ips = context.wire_ips(peer) if peer else ()
    if not ips:
        return Absent()
    route = context.reader.read(links.route_to(node.name, ips[0]), links.parse_route)
    if not isinstance(route, links.Route):
        return route
    return context.reader.read(links.link(node.name, route.device), links.parse_link)


def _dropped_on_output(
    context: CheckContext, hop: HopCheck, towards: PodFacts, route: links.Route
) -> Iterator[Fault]:
    """Packet filters, qdiscs and programs on the output path; with native routing also on the receiver."""
    assert context.destination is not None
    node = hop.expected.node
    sender = context.source if towards is context.destination else context.destination
    yield qdisc_drops(context, node, route.device)
    yield foreign_programs_dropping(context, node, route.device, Direction.EGRESS)
    if context.path.encapsulation is not Encapsulation.NONE:
        outer = tunnel_packet(context, sender.node, towards.node)
        if outer:
            yield filtered(context, node, LEAVING, outer)
            yield unroutable(context, node, outer, Reason.NODE_ROUTE_MISSING)
        return
    packet = request_packet(context, frozenset(), reply=towards is context.source)
    assert packet is not None
    yield from _forwarded(context, node, sender, packet, route.device)
    for fault in _dropped_on_input(context, sender, towards, packet):
        yield replace(fault, node=towards.node.name) if isinstance(fault, Contradiction) else fault


def _forwarded(
    context: CheckContext,
    node: str,
    sender: PodFacts,
    packet: Packet,
    uplink: str,
) -> Iterator[Fault]:
    """The sender's node, whose stack forwards packets from the pod's device."""
    device = pod_device(context, sender)
    forwarded = arriving_at(replace(packet, devices=frozenset({uplink, CILIUM_HOST})), device)
    yield filtered(context, node, FORWARDED, forwarded)
    if not context.config.bpf_host_routing:
        for name in device:
            yield unforwarded(context, node, packet, name, Reason.NODE_ROUTE_MISSING)


def _dropped_on_input(
    context: CheckContext, sender: PodFacts, towards: PodFacts, packet: Packet
) -> Iterator[Fault]:
    """The receiver, whose stack forwards packets from its uplink."""
    there = towards.node.name
    arrived = uplinks(context, sender.node, towards.node, of=there)
    devices = pod_device(context, towards) | {CILIUM_HOST}
    yield filtered(context, there, FORWARDED, arriving_at(replace(packet, devices=devices), arrived))
    agent = context.agent_endpoint(towards)
    for device in sorted(arrived):
        yield foreign_programs_dropping(context, there, device, Direction.INGRESS)
        if isinstance(agent, AgentEndpoint):
            yield not_forwarded(context, towards, agent, packet, device, Reason.NODE_ROUTE_MISSING)
