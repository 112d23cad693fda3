"""Hops `source-interface` and `destination-interface`: the veth (or netkit) pair between pod and node. Exercise 3.

The pod's end is read from the agent, which sees the pods' network namespaces: nothing is run in the pod.
"""

from collections.abc import Iterator
from dataclasses import replace

from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Unavailable
from ...plan.path import ExpectedHop
from ...plan.plan import PodFacts
from ...sources import netns
from ...sources.agent.agent_endpoint import AgentEndpoint
from ...sources.bpf.bpftool import Direction
from ...sources.iproute2 import links, neighbors, qdisc
from ..context import CheckContext
from ..datapath.local_delivery import stack_forwards, uses_policy_program
from ..failure_model.effect import Defect
from ..finding.faults import Fault, if_expected, worst_of
from ..finding.finding import Finding
from ..finding.hop_check import Contradiction, HopCheck
from ..netstack.fib import refused, unsendable
from ..netstack.foreign_programs import foreign_programs_dropping
from ..netstack.netfilter import ARRIVING, LEAVING, filtered, hooked
from ..netstack.netns import namespace_of
from ..netstack.pod_routing import misrouted_inside, packets_inside
from ..netstack.pod_sockets import doubt
from ..netstack.qdisc import qdisc_drops
from ..netstack.veth import Pair, problem_of, read_pair, too_small


def check_source_interface(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The source pod's pair: if it is broken, no packet reaches the node, or the pod takes none of the replies."""
    return _judge(context, expected, context.source, (Defect.PAIR_BROKEN,), seen=context.connection.left)


def check_destination_interface(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The destination pod's pair: if it is broken, packets die after the policy program, or where the route to the pod
    has gone with its device.
    """
    assert context.destination is not None  # the path has this hop only with a destination
    broken: tuple[Defect, ...] = (Defect.PAIR_BROKEN,)
    if context.config.routes_to_endpoints:
        broken = (Defect.PAIR_BROKEN, Defect.ROUTE_GONE)
    return _judge(context, expected, context.destination, broken, seen=context.connection.answered)


def _judge(
    context: CheckContext, expected: ExpectedHop, pod: PodFacts, broken: tuple[Defect, ...], *, seen: bool
) -> Finding:
    """`broken`: the defects of a pair that is not whole."""
    name = f"{pod.pod.namespace}/{pod.pod.name}"
    hop = context.hop(expected, f"eth0 of {name}")
    agent = context.agent_endpoint(pod)
    context.reader.want(netns.find(expected.node))
    if isinstance(agent, Unavailable):
        return hop.unknown(agent)
    hop.object = f"{agent.interface_name} ↔ {agent.container_interface_name} of {name}"
    hop.intent(
        "interface and MACs as the agent set them up",
        {
            "interface": agent.interface_name,
            "ifindex": agent.ifindex,
            "mac": agent.mac,
            "hostMAC": agent.host_mac,
        },
    )
    if seen:
        hop.observed("packets of this connection passed the pair")
    home = namespace_of(context, pod, agent)
    pair = read_pair(context, pod, agent, home)
    if isinstance(pair, Unavailable):
        return hop.unknown(pair, ask_again=_where(context, expected.node))
    _state(hop, pair)
    not_whole = _not_whole(context, expected.node, pair, broken)
    if not_whole:
        return hop.stale(not_whole)
    for unread in (home, pair.unread):
        if isinstance(unread, Unavailable):
            return hop.unknown(unread, ask_again=_where(context, expected.node))
    assert not isinstance(home, Unavailable)
    finding = hop.ok(f"{agent.interface_name} and {agent.container_interface_name} are each other's peer")
    dropped_on_output = _dropped_on_output(context, expected.node, pod, agent, home.namespace)
    gateway = _wrong_gateway(context, expected.node, pod, pair, home.namespace)
    return worst_of(hop, finding, *dropped_on_output, gateway, too_small(pair, expected.node))


def _not_whole(
    context: CheckContext, node: str, pair: Pair, broken: tuple[Defect, ...]
) -> Contradiction | None:
    """What is wrong with the pair itself. It rests on the node's end alone, if that shows it."""
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
    """Packets of the pod that bear another MAC address than the node's: Cilium's program notes them, the stack drops
    them.
    """
    return (Defect.FRAMES_REFUSED,) if stack_forwards(context) else ()


def _wrong_gateway(context: CheckContext, node: str, pod: PodFacts, pair: Pair, namespace: str) -> Fault:
    """A pod that sends its packets to another MAC address than that of the node's end. Asked only after a failure."""
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
    # that none answers is the fault of the program that should: the hop of that program says so
    if gateway is None or gateway.unreachable or gateway.mac == pair.agent.host_mac:
        return None
    message = (
        f"the pod behind {device} on {node} sends its packets to {gateway.mac or 'no MAC address'}, "
        f"but {device} is {pair.agent.host_mac}"
    )
    return Contradiction(Reason.NEIGHBOR_MAC_MISMATCH, message, lost, (fact,))


def _where(context: CheckContext, node: str) -> tuple[Fact, ...]:
    """What was asked to find the pod's namespace: the pod may have been re-created since."""
    return tuple(asked for asked in (netns.find(node), netns.survey(node)) if context.reader.reads(asked))


def _dropped_on_output(
    context: CheckContext, node: str, pod: PodFacts, agent: AgentEndpoint, namespace: str
) -> Iterator[Fault]:
    """The pod's own routes, a packet filter inside it, or a queue at either end of the pair."""
    source = pod is context.source
    inwards, outwards = Defect.LOST_INTO_POD, Defect.LOST_OUT_OF_POD
    inside = qdisc.losing_in_pod(node, namespace)
    yield from misrouted_inside(context, pod, agent, namespace, outwards)
    yield qdisc_drops(context, node, agent.interface_name, inwards)
    yield qdisc_drops(context, node, agent.container_interface_name, outwards, inside)
    device = agent.container_interface_name
    if uses_policy_program(context):  # else Cilium's program is there, which another hop judges
        yield foreign_programs_dropping(context, node, agent.interface_name, Direction.EGRESS, inwards)
    yield foreign_programs_dropping(context, node, device, Direction.INGRESS, inwards, namespace)
    yield foreign_programs_dropping(context, node, device, Direction.EGRESS, outwards, namespace)
    arriving, leaving = packets_inside(context, pod, device)
    for packet in arriving:
        yield refused(context, node, packet, device, Reason.ROUTE_MISSING, inwards, namespace)
        yield filtered(context, node, ARRIVING, packet, Defect.FILTERED_INTO_POD, namespace)
        yield hooked(context, node, agent.interface_name, "EGRESS", packet, Defect.FILTERED_INTO_POD)
    for packet in leaving:
        yield unsendable(context, node, packet, Reason.ROUTE_MISSING, outwards, namespace)
        yield filtered(context, node, LEAVING, packet, Defect.FILTERED_OUT_OF_POD, namespace)
        yield hooked(context, node, agent.interface_name, "INGRESS", packet, Defect.FILTERED_OUT_OF_POD)
    yield None if source else doubt(context)


def _state(hop: HopCheck, pair: Pair) -> None:
    """The two ends as they are."""
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
