"""What drops packets to or from an end in a node's own network: packet filter rules, queueing disciplines, and foreign
programs at the uplinks.

Read after a failed request. Called by the checks of routes, and on paths without a route by the check of the node's own
address. Source: Linux 6.x netfilter (OUTPUT for packets that a host sends, INPUT for those it receives, FORWARD for
others); Cilium 1.18 `pkg/datapath/iptables` (in tunnel mode, packets from pods to nodes have their node's address).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ...api.reasons import Reason
from ...api.vocabulary import Encapsulation
from ...evidence.reading import Unavailable
from ...plan.plan import NodeFacts
from ...sources.bpf.bpftool import Direction
from ...sources.iproute2.links import CILIUM_HOST
from ...sources.packet import Packet
from ..connection.conntrack_entries import client_address
from ..context import CheckContext
from ..finding.faults import Fault
from ..finding.hop_check import Contradiction
from .fib import rejected_on_input
from .foreign_programs import foreign_programs_dropping
from .kernel_filters import filtered
from .netfilter import ARRIVING, FORWARDED, LEAVING
from .packet_model import arriving_at, pod_device, request_packet, tunnel_packet, uplinks
from .qdisc import qdisc_drops


@dataclass(frozen=True, slots=True)
class _Ends:
    """The nodes at both ends of one direction, and which end is in its node's own network."""

    sender: NodeFacts
    receiver: NodeFacts
    from_host: bool
    to_host: bool


def dropped_on_output(context: CheckContext, uplink: str, *, reply: bool = False) -> Iterator[Fault]:
    """Faults from one node to the other: on the sender at this uplink, and on the receiver."""
    if context.outcome.met is not False:
        return
    ends, packet = _ends(context, reply=reply), _packet(context, reply=reply)
    if ends is None or packet is None:
        return
    here, there = ends.sender.name, ends.receiver.name
    yield qdisc_drops(context, here, uplink)
    yield foreign_programs_dropping(context, here, uplink, Direction.EGRESS)
    tunneled = context.path.encapsulation is not Encapsulation.NONE
    outer = tunnel_packet(context, ends.sender, ends.receiver) if tunneled else None
    if outer:
        yield filtered(context, here, LEAVING, outer)
    sender, receiver = pod_device(context, context.source), pod_device(context, context.destination)
    if reply:
        sender, receiver = receiver, sender
    packet = replace(packet, devices=receiver | {uplink, CILIUM_HOST})
    if ends.from_host:
        yield filtered(context, here, LEAVING, packet)
    elif not tunneled and not context.config.bpf_host_routing:
        yield filtered(context, here, FORWARDED, arriving_at(packet, sender))
    for fault in _dropped_on_input(context, ends, packet, tunneled=tunneled):
        yield replace(fault, node=there) if isinstance(fault, Contradiction) else fault


def input_blocked(context: CheckContext, node: str, *, reply: bool = False) -> Iterator[Fault]:
    """Faults on one node: a packet filter rule for a pod's packets to the host's stack, or a stack that does not accept
    them from the pod's device.
    """
    packet = _packet(context, reply=reply) if context.outcome.met is False else None
    if packet is None:
        return
    devices = pod_device(context, context.destination if reply else context.source)
    yield filtered(
        context, node, ARRIVING, arriving_at(replace(packet, devices=frozenset({CILIUM_HOST})), devices)
    )
    for device in devices:
        yield rejected_on_input(context, node, packet, device, Reason.NODE_ROUTE_MISSING)


def _dropped_on_input(
    context: CheckContext, ends: _Ends, packet: Packet, *, tunneled: bool
) -> Iterator[Fault]:
    """Faults on the receiver. The decapsulation hop judges packets that arrive in a tunnel."""
    there = ends.receiver.name
    arrived = uplinks(context, ends.sender, ends.receiver, of=there)
    # what comes out of a tunnel is handed to the stack at Cilium's own device
    packet = arriving_at(
        _masqueraded(context, ends, packet), frozenset({CILIUM_HOST}) if tunneled else arrived
    )
    if ends.to_host:
        yield filtered(context, there, ARRIVING, packet)
        if packet.input_device:
            yield rejected_on_input(context, there, packet, packet.input_device, Reason.NODE_ROUTE_MISSING)
    elif not tunneled and not context.config.bpf_host_routing:
        yield filtered(context, there, FORWARDED, packet)
    for device in sorted(arrived) if not tunneled else ():
        yield foreign_programs_dropping(context, there, device, Direction.INGRESS)


def _masqueraded(context: CheckContext, ends: _Ends, packet: Packet) -> Packet:
    """The packet as it reaches another node: in tunnel mode, but outside the tunnel, with the address of the pod's node
    and any port.
    """
    node_ips = context.wire_ips(ends.sender)
    outside = context.config.routing_mode == "tunnel" and context.path.encapsulation is Encapsulation.NONE
    if not outside or ends.from_host or not ends.to_host or not node_ips:
        return packet
    return replace(packet, source=node_ips[0], source_port=None)


def _ends(context: CheckContext, *, reply: bool) -> _Ends | None:
    here, there = context.source.node, context.backend.place if context.backend else None
    if there is None:
        return None
    from_host, to_host = context.source.pod.host_network, not context.to_endpoint
    return _Ends(there, here, to_host, from_host) if reply else _Ends(here, there, from_host, to_host)


def _packet(context: CheckContext, *, reply: bool) -> Packet | None:
    """The first packet of the request or of its reply, with the sender's addresses."""
    if context.backend is None:
        return None
    client = client_address(context.plan, context.backend, context.reader, context.config)
    if isinstance(client, Unavailable):
        return None
    return request_packet(context, frozenset(), reply=reply, client=client)
