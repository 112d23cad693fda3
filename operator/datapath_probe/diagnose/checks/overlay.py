"""Hops of the overlay: the tunnel device and its programs on both nodes, for requests and replies. Exercise 6.

Each node's device is judged once, for requests; for replies, only the other program is judged.
Source: Cilium 1.18 `pkg/datapath/loader/loader.go` (programs), `pkg/datapath/tunnel` (device, port).
"""

from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ...plan.plan import NodeFacts
from ...sources.bpf import bpftool
from ...sources.bpf.bpftool import Direction
from ...sources.iproute2 import links
from ...sources.maps.conntrack import CtEntry, CtFlag
from ..context import CheckContext
from ..datapath.cilium_host_programs import fault_from_host
from ..datapath.held_programs import not_held
from ..datapath.tail_calls import overlay_call_missing
from ..failure_model.effect import Defect
from ..finding.faults import worst_of
from ..finding.finding import Finding
from ..finding.hop_check import Contradiction, HopCheck
from ..lookup.attached_programs import Hook, programs
from ..netstack.fib import rejected_on_input
from ..netstack.foreign_programs import foreign_program_first, foreign_programs_dropping
from ..netstack.kernel_filters import filtered
from ..netstack.netfilter import ARRIVING
from ..netstack.packet_model import arriving_at, tunnel_packet, uplinks
from ..netstack.qdisc import qdisc_drops

TO_OVERLAY, FROM_OVERLAY = "cil_to_overlay", "cil_from_overlay"


def check_overlay_encapsulation(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The source's node: its tunnel device, and `cil_to_overlay` at the egress."""
    hop = _hop(context, expected, TO_OVERLAY)
    if context.connection.received:
        hop.observed("packets of this connection reached the other node")
    finding = _device(context, hop) or _program(context, hop, TO_OVERLAY, Direction.EGRESS)
    from_host = fault_from_host(context, expected.node) if context.source.pod.host_network else None
    return worst_of(hop, finding, from_host, qdisc_drops(context, expected.node, _name(context)))


def check_overlay_decapsulation(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The destination's node: its tunnel device, and `cil_from_overlay` at the ingress."""
    hop = _hop(context, expected, FROM_OVERLAY)
    incoming = context.connection.incoming
    if isinstance(incoming, CtEntry) and CtFlag.FROM_TUNNEL in incoming.flags:
        names = ", ".join(flag.name or "" for flag in CtFlag if flag in incoming.flags)
        hop.observed("packets of this connection came out of the tunnel", {"conntrackFlags": names})
    finding = _device(context, hop) or _program(context, hop, FROM_OVERLAY, Direction.INGRESS)
    assert context.backend is not None  # the path has these hops only with a destination
    return _unless_lost(context, hop, finding, context.source.node, context.backend.place)


def check_reply_encapsulation(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The destination's node: `cil_to_overlay`."""
    hop = _hop(context, expected, TO_OVERLAY)
    _observe_reply(context, hop)
    finding = _program(context, hop, TO_OVERLAY, Direction.EGRESS)
    return worst_of(hop, finding, qdisc_drops(context, expected.node, _name(context)))


def check_reply_decapsulation(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The source's node: `cil_from_overlay`."""
    hop = _hop(context, expected, FROM_OVERLAY)
    _observe_reply(context, hop)
    finding = _program(context, hop, FROM_OVERLAY, Direction.INGRESS)
    assert context.backend is not None  # the path has these hops only with a destination
    return _unless_lost(context, hop, finding, context.backend.place, context.source.node)


def _hop(context: CheckContext, expected: ExpectedHop, program: str) -> HopCheck:
    config = context.config
    hop = context.hop(expected, f"{program}@{_name(context)}")
    hop.intent(
        f"{config.tunnel_protocol} on port {config.tunnel_port}",
        {"tunnelProtocol": config.tunnel_protocol, "tunnelPort": config.tunnel_port},
    )
    return hop


def _name(context: CheckContext) -> str:
    return f"cilium_{context.config.tunnel_protocol}"


def _observe_reply(context: CheckContext, hop: HopCheck) -> None:
    if context.connection.replied:
        hop.observed("replies of this connection reached the source's node")


def _device(context: CheckContext, hop: HopCheck) -> Finding | None:
    """The finding of a faulty tunnel device of the node; None if it is correct."""
    config, node, device = context.config, hop.expected.node, _name(context)
    fact = links.link(node, device)
    link = context.reader.read(fact, links.parse_link)
    of_node = context.agent_config(node)
    context.reader.read(
        bpftool.attached(node, device), bpftool.parse_attached
    )  # needed by `_program`: collect it in the same round
    if isinstance(link, Unavailable):
        return hop.unknown(link)
    if isinstance(link, Absent):
        hop.programmed("no such device")
        return _stale(hop, Reason.TUNNEL_DEVICE_MISSING, f"{node} has no {device}", fact)
    hop.programmed(
        f"{device} is {'up' if link.up else 'down'}",
        {"device": device, "ifindex": link.ifindex, "up": link.up, "port": link.tunnel_port or ""},
    )
    if not link.up:
        return _stale(hop, Reason.TUNNEL_DEVICE_DOWN, f"{device} is down on {node}", fact)
    if link.tunnel_port and link.tunnel_port != config.tunnel_port:
        message = f"{device} on {node} uses port {link.tunnel_port} instead of {config.tunnel_port}"
        return _stale(hop, Reason.TUNNEL_MISCONFIGURED, message, fact)
    if isinstance(of_node, Unavailable):
        return hop.unknown(of_node)
    if (of_node.routing_mode, of_node.tunnel_protocol) != (config.routing_mode, config.tunnel_protocol):
        message = (
            f"the agent on {node} runs with routing-mode {of_node.routing_mode}, "
            f"the ConfigMap has {config.routing_mode}: the agent has not restarted since the change"
        )
        return hop.unknown(Unavailable(Reason.IN_TRANSITION, message))
    return None


def _unless_lost(
    context: CheckContext,
    hop: HopCheck,
    finding: Finding,
    sender: NodeFacts | None,
    receiver: NodeFacts | None,
) -> Finding:
    """The finding, unless tunnel packets do not reach the program, or the program can't pass them on."""
    assert sender is not None
    assert receiver is not None  # an end of a tunnel is a known node
    node, packet = hop.expected.node, tunnel_packet(context, sender, receiver)
    arrived = uplinks(context, sender, receiver, of=node)
    faults = [filtered(context, node, ARRIVING, arriving_at(packet, arrived)) if packet else None]
    for device in sorted(arrived):
        faults.append(foreign_programs_dropping(context, node, device, Direction.INGRESS))
        if packet:
            faults.append(rejected_on_input(context, node, packet, device, Reason.NODE_ROUTE_MISSING))
    return worst_of(hop, finding, *faults, overlay_call_missing(context, node))


def _stale(hop: HopCheck, reason: Reason, message: str, fact: Fact) -> Finding:
    return hop.stale(Contradiction(reason, message, (Defect.LOST,), (fact,)))


def _program(context: CheckContext, hop: HopCheck, program: str, direction: Direction) -> Finding:
    """Whether the program is attached to the node's tunnel device."""
    node, device = hop.expected.node, _name(context)
    hook = Hook(node, device, direction, program)
    context.reader.want(hook.link())  # needed by `not_held`: collect it in the same round
    chain = programs(context.reader, hook)
    if isinstance(chain, Unavailable):
        return hop.unknown(chain)
    names = ", ".join(attached.program for attached in chain)
    hop.programmed(names or "nothing attached", {"programs": names})
    if not any(bpftool.is_program(attached.program, program) for attached in chain):
        message = f"{program} is not attached to {device} on {node}"
        return hop.stale(Contradiction(Reason.PROGRAM_MISSING, message, (Defect.BYPASSED,), (hook.attached,)))
    first = not_held(context, hook, chain) or foreign_program_first(context, node, program, chain)
    return hop.fault(first) if first else hop.ok(f"{device} has {program}")
