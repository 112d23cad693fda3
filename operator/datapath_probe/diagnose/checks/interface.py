"""Hops `source-interface` and `destination-interface`: the veth (or netkit) pair between pod and node. Exercise 3.

The pod's end is read by the agent, which has access to the pods' network namespaces: nothing runs in the pod.
"""

from collections.abc import Iterator
from dataclasses import replace

from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Unavailable
from ...plan.path import ExpectedHop
from ...plan.plan import PodFacts
from ...sources import kernel_counters, netns
from ...sources.agent.agent_endpoint import AgentEndpoint
from ...sources.bpf.bpftool import Direction
from ...sources.iproute2 import links, neighbors, qdisc
from ..context import CheckContext
from ..datapath.held_programs import not_held
from ..datapath.local_delivery import stack_forwards, uses_policy_program
from ..failure_model.effect import Defect
from ..finding.faults import Fault, if_expected, worst_of
from ..finding.finding import Finding
from ..finding.hop_check import Contradiction, HopCheck
from ..lookup.attached_programs import Hook, programs
from ..netstack.fib import rejected_on_input, unroutable
from ..netstack.foreign_programs import foreign_programs_dropping
from ..netstack.kernel_filters import filtered
from ..netstack.netfilter import ARRIVING, LEAVING, filtered_at_device
from ..netstack.netns import namespace_of
from ..netstack.pod_routing import misrouted_inside, packets_inside
from ..netstack.pod_sockets import socket_contradiction
from ..netstack.qdisc import qdisc_drops
from ..netstack.veth import Pair, problem_of, read_pair, too_small


def check_source_interface(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The source pod's pair: if it is broken, no packet reaches the node, or no reply reaches the pod."""
    return _judge(context, expected, context.source, (Defect.PAIR_BROKEN,), seen=context.connection.left)


def check_destination_interface(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The destination pod's pair: if it is broken, packets are lost after the policy program, or at the node's route,
    which was removed with the device.
    """
    assert context.destination is not None  # the path has this hop only with a destination
    broken: tuple[Defect, ...] = (Defect.PAIR_BROKEN,)
    if context.config.routes_to_endpoints:
        broken = (Defect.PAIR_BROKEN, Defect.ROUTE_GONE)
    return _judge(context, expected, context.destination, broken, seen=context.connection.answered)


def _judge(
    context: CheckContext, expected: ExpectedHop, pod: PodFacts, broken: tuple[Defect, ...], *, seen: bool
) -> Finding:
    """`broken`: the defects of a broken pair."""
    name = f"{pod.pod.namespace}/{pod.pod.name}"
    hop = context.hop(expected, f"eth0 of {name}")
    agent = context.agent_endpoint(pod)
    context.reader.want(netns.find(expected.node))
    if isinstance(agent, Unavailable):
        return hop.unknown(agent)
    hop.object = f"{agent.interface_name} ↔ {agent.container_interface_name} of {name}"
    hop.intent(
        "interface and MACs of the agent's endpoint",
        {
            "interface": agent.interface_name,
            "ifindex": agent.ifindex,
            "mac": agent.mac,
            "hostMAC": agent.host_mac,
        },
    )
    if seen:
        hop.observed("packets of this connection traversed the pair")
    pod_netns = namespace_of(context, pod, agent)
    pair = read_pair(context, pod, agent, pod_netns)
    if isinstance(pair, Unavailable):
        return hop.unknown(pair, ask_again=_where(context, expected.node))
    _state(hop, pair)
    faulty = _broken_pair(context, expected.node, pair, broken)
    if faulty:
        return hop.stale(faulty)
    for unread in (pod_netns, pair.unread):
        if isinstance(unread, Unavailable):
            return hop.unknown(unread, ask_again=_where(context, expected.node))
    assert not isinstance(pod_netns, Unavailable)
    finding = hop.ok(f"{agent.interface_name} and {agent.container_interface_name} are each other's peer")
    losses = _losses(context, expected.node, pod, agent, pod_netns.name)
    gateway = _wrong_gateway(context, expected.node, pod, pair, pod_netns.name)
    extra = _extra_program(context, expected.node, agent)
    return worst_of(hop, finding, extra, *losses, gateway, too_small(pair, expected.node))


def _broken_pair(
    context: CheckContext, node: str, pair: Pair, broken: tuple[Defect, ...]
) -> Contradiction | None:
    """A fault of the pair itself. It rests on the node's end alone if that is enough to show it."""
    problem = problem_of(pair)
    if problem is None:
        return None
    reason, message = problem
    if reason is Reason.MAC_MISMATCH:
        broken += _not_forwarded(context)
    shown_by_node = problem == problem_of(replace(pair, pod=None))
    rests_on = pair.rests_on[:1] if shown_by_node else pair.rests_on
    return Contradiction(reason, f"{message} on {node}", broken, rests_on)


def _not_forwarded(context: CheckContext) -> tuple[Defect, ...]:
    """The defect of packets with a MAC address other than the node's: Cilium's program creates an entry for them, then
    the stack drops them.
    """
    return (Defect.FRAMES_REFUSED,) if stack_forwards(context) else ()


def _wrong_gateway(context: CheckContext, node: str, pod: PodFacts, pair: Pair, namespace: str) -> Fault:
    """A pod that sends packets to a MAC address other than that of the node's end. Read only after a failure."""
    default = next((route for route in pair.routes if route.destination == "default"), None)
    lost = _not_forwarded(context)
    if context.outcome.met is not False or context.config.datapath_mode != "veth" or not lost:
        return None
    if default is None or default.gateway is None:
        return None
    fact = neighbors.neighbors_in_pod(node, namespace, pair.agent.container_interface_name)
    known = context.reader.read(fact, neighbors.parse_neighbors)
    if isinstance(known, Unavailable):
        return if_expected(known)
    gateway, device = known.get(default.gateway), pair.agent.interface_name
    # the hop of the program that should answer ARP reports a gateway without a MAC address
    if gateway is None or gateway.unreachable or gateway.mac == pair.agent.host_mac:
        return None
    message = (
        f"the pod behind {device} on {node} sends its packets to {gateway.mac or 'no MAC address'}, "
        f"but {device} is {pair.agent.host_mac}"
    )
    return Contradiction(Reason.NEIGHBOR_MAC_MISMATCH, message, lost, (fact,))


def _extra_program(context: CheckContext, node: str, agent: AgentEndpoint) -> Fault:
    """A program of Cilium at the egress of the pod's device, where in this mode it has none."""
    if not uses_policy_program(context):
        return None
    hook = Hook(node, agent.interface_name, Direction.EGRESS, "", agent.id)
    chain = programs(context.reader, hook)
    return None if isinstance(chain, Unavailable) else not_held(context, hook, chain, Defect.LOST_INTO_POD)


def _where(context: CheckContext, node: str) -> tuple[Fact, ...]:
    """The facts that locate the pod's namespace: the pod may have been re-created since."""
    return tuple(fact for fact in (netns.find(node), netns.survey(node)) if context.reader.reads(fact))


def _losses(
    context: CheckContext, node: str, pod: PodFacts, agent: AgentEndpoint, namespace: str
) -> Iterator[Fault]:
    """The pod's own routes, its packet filter, and queueing disciplines and programs at both ends of the pair."""
    source = pod is context.source
    inwards, outwards = Defect.LOST_INTO_POD, Defect.LOST_OUT_OF_POD
    inside = qdisc.losing_in_pod(node, namespace)
    yield from misrouted_inside(context, pod, agent, namespace, outwards)
    yield qdisc_drops(context, node, agent.interface_name, inwards)
    yield qdisc_drops(context, node, agent.container_interface_name, outwards, inside)
    device = agent.container_interface_name
    if context.outcome.met is False:
        context.reader.want(kernel_counters.fact(node, namespace))  # for hints
    if uses_policy_program(context):  # otherwise Cilium attaches a program there, which another hop reports
        yield foreign_programs_dropping(context, node, agent.interface_name, Direction.EGRESS, inwards)
    yield foreign_programs_dropping(context, node, device, Direction.INGRESS, inwards, namespace)
    yield foreign_programs_dropping(context, node, device, Direction.EGRESS, outwards, namespace)
    arriving, leaving = packets_inside(context, pod, device)
    for packet in arriving:
        yield rejected_on_input(context, node, packet, device, Reason.ROUTE_MISSING, inwards, namespace)
        arrived = packet.arriving_at(device)
        yield filtered(context, node, ARRIVING, arrived, Defect.FILTERED_INTO_POD, namespace)
        yield filtered_at_device(
            context, node, agent.interface_name, "EGRESS", packet, Defect.FILTERED_INTO_POD
        )
    for packet in leaving:
        yield unroutable(context, node, packet, Reason.ROUTE_MISSING, outwards, namespace)
        yield filtered(context, node, LEAVING, packet, Defect.FILTERED_OUT_OF_POD, namespace)
        yield filtered_at_device(
            context, node, agent.interface_name, "INGRESS", packet, Defect.FILTERED_OUT_OF_POD
        )
    yield None if source else socket_contradiction(context)


def _state(hop: HopCheck, pair: Pair) -> None:
    """State the two ends."""
    facts: dict[str, object] = {}
    for end, link in (("host", pair.host), ("pod", pair.pod)):
        if isinstance(link, links.Link):
            facts[f"{end}Ifindex"] = link.ifindex
            facts[f"{end}PeerIfindex"] = link.peer_ifindex or ""
            facts[f"{end}MAC"] = link.mac
            facts[f"{end}MTU"] = link.mtu
    default = next((route for route in pair.routes if route.destination == "default"), None)
    if default:
        facts["podDefaultRoute"] = f"via {default.gateway} dev {default.device}"
    hop.programmed("both ends of the pair", facts)
