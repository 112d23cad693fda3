"""Packets that are lost because of their size: a device with a smaller MTU than the packets that it receives. Small
packets pass, so the connection is established and then stalls; with small requests, the fault is latent.

A device whose MTU is too small for a packet to send fragments it, or reports an error to the sender. A device whose MTU
is too small for a received packet drops it. Called by the checks of routes and interfaces.
Source: Linux 6.x `is_skb_forwardable`; Cilium 1.18 `pkg/mtu` (the MTU of a pod's routes is smaller than that of the
node's device).
"""

from dataclasses import dataclass

from ...api.reasons import Reason
from ...api.vocabulary import Encapsulation
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...plan.plan import NodeFacts, PodFacts
from ...sources.iproute2 import links
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.hop_check import Contradiction
from .netns import namespace_of

# inner Ethernet header, and the IPv4, UDP and VXLAN or Geneve headers around it
OUTER_HEADERS = 14 + 20 + 8 + 8


@dataclass(frozen=True, slots=True)
class _Limit:
    """The largest packet of a device in octets, and the facts that show it."""

    octets: int
    name: str
    rests_on: tuple[Fact, ...]


_Known = _Limit | Unavailable | None  # None: no such device, which other hops report


def largest_packet(link: links.Link, routes: tuple[links.Route, ...]) -> int:
    """The largest packet that a pod sends, in octets: the MTU of its route overrides that of the device."""
    return route_mtu(routes) or link.mtu


def route_mtu(routes: tuple[links.Route, ...]) -> int | None:
    """The MTU of a pod's default route, which also sets the MSS that the pod advertises; None: that of the device
    applies.
    """
    return min((route.mtu for route in routes if route.destination == "default" and route.mtu), default=None)


def too_small_uplink(
    context: CheckContext, one: PodFacts, another: PodFacts
) -> Contradiction | Unavailable | None:
    """A node's device with a smaller MTU than packets from the other node, for a connection between these pods."""
    packets = _packet_of(context, one), _packet_of(context, another)
    uplinks = _uplink(context, one.node, another.node), _uplink(context, another.node, one.node)
    known = (*packets, *uplinks)
    limits = [limit for limit in known if isinstance(limit, _Limit)]
    if len(limits) < len(known):
        return next((limit for limit in known if isinstance(limit, Unavailable)), None)
    # each end of a connection advertises its MSS
    packet = min(limits[0].octets, limits[1].octets)
    if context.path.encapsulation is not Encapsulation.NONE:
        packet += OUTER_HEADERS
    here, there = limits[2:]
    rests_on = tuple(fact for limit in limits for fact in limit.rests_on)
    for sender, receiver, node in ((here, there, another.node.name), (there, here, one.node.name)):
        sent = min(packet, sender.octets)
        if receiver.octets < sent:
            message = (
                f"{receiver.name} on {node} accepts packets of up to {receiver.octets} octets, "
                f"but receives packets of up to {sent}"
            )
            return Contradiction(Reason.MTU_TOO_SMALL, message, (Defect.DATA_LOST,), rests_on, node)
    return None


def _packet_of(context: CheckContext, pod: PodFacts) -> _Known:
    """The largest packet of a pod."""
    node, agent = pod.node.name, context.agent_endpoint(pod)
    if isinstance(agent, Unavailable):
        return agent
    pod_netns = namespace_of(context, pod, agent)
    if isinstance(pod_netns, Unavailable):
        return None if pod_netns.reason == Reason.NAMESPACE_NOT_FOUND else pod_netns
    of_link = links.pod_link(node, pod_netns.name, agent.container_interface_name)
    of_routes = links.pod_routes(node, pod_netns.name, context.plan.family)
    link = context.reader.read(of_link, links.parse_link)
    routes = context.reader.read(of_routes, links.parse_routes)
    if isinstance(link, Absent):
        return None
    if isinstance(link, Unavailable):
        return link
    if isinstance(routes, Unavailable):
        return routes
    return _Limit(largest_packet(link, routes), link.name, (of_link, of_routes))


def _uplink(context: CheckContext, node: NodeFacts, other: NodeFacts) -> _Known:
    """The device through which a node reaches the other one."""
    ips = context.wire_ips(other)
    if not ips:
        return None
    route = context.reader.read(links.route_to(node.name, ips[0]), links.parse_route)
    if isinstance(route, Unavailable):
        return route
    if isinstance(route, Absent):
        return None
    fact = links.link(node.name, route.device)
    link = context.reader.read(fact, links.parse_link)
    if isinstance(link, Unavailable):
        return link
    return None if isinstance(link, Absent) else _Limit(link.mtu, link.name, (fact,))
