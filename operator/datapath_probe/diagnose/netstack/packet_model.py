"""The packets of a run's request and reply between the two nodes, as kernels and packet filters see them."""

from dataclasses import replace

from ...addresses import IpAddress
from ...plan.plan import NodeFacts, PodFacts
from ...sources.agent.agent_endpoint import AgentEndpoint
from ...sources.iproute2 import links
from ...sources.packet import Packet
from ..context import CheckContext
from .mtu import OUTER_HEADERS


def tunnel_packet(context: CheckContext, sender: NodeFacts, receiver: NodeFacts) -> Packet | None:
    """The outer packet from one node to another; None if a node has no CiliumNode with an address."""
    ends = [context.wire_ips(node)[:1] for node in (sender, receiver)]
    if not all(ends):
        return None
    (source,), (destination,) = ends
    devices = uplinks(context, sender, receiver)
    outer = Packet("udp", source, destination, context.config.tunnel_port, devices=devices)
    return outer.of_handshake(OUTER_HEADERS)


def request_packet(
    context: CheckContext, devices: frozenset[str], *, reply: bool = False, client: IpAddress | None = None
) -> Packet | None:
    """The packet of the request, or of its reply, between the nodes; None while the destination is not known. `client`:
    the source address, if it is not the pod's own.
    """
    if context.backend is None:
        return None
    requester, server = (
        (client or context.source.ip, context.client_port),
        (context.backend.ip, context.backend.port),
    )
    (source, source_port), (destination, destination_port) = (
        (server, requester) if reply else (requester, server)
    )
    state = "ESTABLISHED" if reply else "NEW"
    l4 = context.protocol.lower()
    packet = Packet(l4, source, destination, destination_port, source_port, devices, state)
    return packet.of_handshake()


def arriving_at(packet: Packet, devices: frozenset[str]) -> Packet:
    """The packet as it arrives at one of these devices; at which is known if there is only one."""
    if len(devices) == 1:
        return packet.arriving_at(*devices)
    return replace(packet, devices=packet.devices | devices)


def pod_device(context: CheckContext, pod: PodFacts | None) -> frozenset[str]:
    """The node's end of the pod's interface pair, if known; a host has none."""
    agent = context.agent_endpoint(pod) if pod and not pod.pod.host_network else None
    return frozenset({agent.interface_name}) if isinstance(agent, AgentEndpoint) else frozenset()


def uplinks(
    context: CheckContext, one: NodeFacts, another: NodeFacts, of: str | None = None
) -> frozenset[str]:
    """The devices through which two nodes reach each other, or those of one of them."""
    found = set()
    for node, other in ((one, another), (another, one)):
        ips = context.wire_ips(other)
        if of not in (None, node.name) or not ips:
            continue
        route = context.reader.read(links.route_to(node.name, ips[0]), links.parse_route)
        if isinstance(route, links.Route):
            found.add(route.device)
    return frozenset(found)
