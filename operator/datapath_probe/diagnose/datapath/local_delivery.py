"""Objects between the arrival of packets at a pod's node and the pod, other than the endpoint map and the policy
program.

In most modes there are none. With native routing, the host's stack routes packets from the uplink to `cilium_host`,
where `cil_from_host` finds the endpoint. With endpoint routes, it routes them to the pod's own device, where
`cil_to_container` is the policy program. With BPF host routing, neither happens.

In: a context, the pod and its endpoint. Out: what is missing. Called by the checks of the destination's endpoint and
programs, and of the delivery of replies.
Source: Cilium 1.18 `bpf/lib/local_delivery.h` (USE_BPF_PROG_FOR_INGRESS_POLICY), `bpf/bpf_lxc.c` (ENABLE_ROUTING),
`bpf/bpf_host.c`, `pkg/endpoint/endpoint.go` (NewDatapathConfiguration).
"""

from dataclasses import replace

from ...api.reasons import Reason
from ...api.vocabulary import Encapsulation
from ...evidence.reading import Absent, Unavailable
from ...plan.plan import PodFacts
from ...sources.agent.agent_endpoint import AgentEndpoint
from ...sources.bpf import bpftool
from ...sources.bpf.bpftool import Direction
from ...sources.iproute2 import links
from ...sources.iproute2.links import CILIUM_HOST
from ...sources.packet import Packet
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.faults import Fault
from ..finding.finding import Finding
from ..finding.hop_check import Contradiction, HopCheck
from ..lookup.attached_programs import Hook, programs
from ..netstack.fib import unforwarded
from ..netstack.foreign_programs import foreign_program_first
from .cilium_host_programs import FROM_HOST, delivers_from_host, fault_from_host
from .held_programs import not_held

TO_CONTAINER = "cil_to_container"


def uses_policy_program(context: CheckContext) -> bool:
    """Whether packets are tail-called into the endpoint's slot of `cilium_call_policy`."""
    return not context.config.routes_to_endpoints


def uses_endpoint_map(context: CheckContext) -> bool:
    """Whether the endpoint map decides where packets of this path go."""
    if not context.config.routes_to_endpoints:
        return True
    return _from_tunnel(context) and context.config.kube_proxy_replacement


def missing_program(
    context: CheckContext, hop: HopCheck, agent: AgentEndpoint
) -> Contradiction | Unavailable | None:
    """The missing program, without which the stack does not deliver packets or bypasses policy; or a foreign program
    before it. None if it is attached first, or this path has no such program.
    """
    node, gate = hop.expected.node, _gate(context, hop.expected.node, agent)
    if gate is None and delivers_from_host(context):
        return fault_from_host(context, node)
    if gate is None or (gate.device == agent.interface_name and not _has_device(context, node, agent)):
        return None
    context.reader.want(gate.link())  # needed by `not_held`: collect it in the same round
    chain = programs(context.reader, gate)
    if isinstance(chain, Unavailable):
        return chain
    hop.programmed(
        ", ".join(attached.program for attached in chain) or f"nothing attached to {gate.device}",
        {"device": gate.device, "programs": ", ".join(attached.program for attached in chain)},
    )
    if any(bpftool.is_program(attached.program, gate.program) for attached in chain):
        return not_held(context, gate, chain) or foreign_program_first(context, node, gate.program, chain)
    message = f"{gate.program} is not attached to {gate.device} on {node}"
    if gate.program == TO_CONTAINER:
        message += ": no policy applies to the pod (was it created before endpoint routes were enabled?)"
    return Contradiction(Reason.PROGRAM_MISSING, message, (Defect.BYPASSED,), (gate.attached,))


def wrong_route(
    context: CheckContext, hop: HopCheck, pod: PodFacts, agent: AgentEndpoint
) -> Contradiction | Unavailable | None:
    """A wrong route of the node's stack to the pod; None if it is correct or not used.

    A route is removed with its device: if the pod's device is missing or down, the interface hop reports that.
    """
    node, device = hop.expected.node, _stack_device(context, agent)
    if device is None or (device == agent.interface_name and not _has_device(context, node, agent, up=True)):
        return None
    fact = links.route_to(node, pod.ip)
    route = context.reader.read(fact, links.parse_route)
    if isinstance(route, Unavailable):
        return route
    if not isinstance(route, Absent):
        hop.programmed(f"route through {route.device}", {"route": route.device})
        if route.device == device:
            return None
    found = "no route" if isinstance(route, Absent) else f"a route through {route.device}"
    message = f"{node} has {found} to its own pod {pod.ip}, which is behind {device}"
    return Contradiction(Reason.ENDPOINT_ROUTE_MISSING, message, (Defect.ROUTED_ELSEWHERE,), (fact,))


def stack_delivers(context: CheckContext) -> bool:
    """Whether packets to a pod of this path traverse the stack of its node before Cilium's program."""
    if context.config.routes_to_endpoints:
        return not (_from_tunnel(context) and context.config.kube_proxy_replacement)
    return _through_cilium_host(context)


def passes_to_stack(context: CheckContext) -> bool:
    """The same, or packets start in the stack of the pod's node: the source is in its network."""
    from_here = context.source.pod.host_network and not context.path.cross_node
    return stack_delivers(context) or from_here


def stack_forwards(context: CheckContext) -> bool:
    """Whether the node's stack forwards packets of this path from a pod's device. It accepts only frames with its own
    MAC address.
    """
    if context.config.bpf_host_routing:
        return False
    if context.path.cross_node:
        return context.path.encapsulation is Encapsulation.NONE
    to_or_from_host = not context.to_endpoint or context.source.pod.host_network
    return context.config.routes_to_endpoints or to_or_from_host


def as_inconclusive(context: CheckContext, finding: Finding) -> Finding:
    """The finding, marked as inconclusive if the stack delivers the packets: correct objects do not exclude a loss."""
    return replace(finding, inconclusive=stack_delivers(context))


def not_forwarded(
    context: CheckContext,
    pod: PodFacts,
    agent: AgentEndpoint,
    packet: Packet,
    device: str,
    reason: Reason,
) -> Fault:
    """A node's stack that does not forward this packet to the pod as received on a device, although it has the route.
    If it has not, `wrong_route` reports that.
    """
    node, out = pod.node.name, _stack_device(context, agent)
    if out is None or context.outcome.met is not False:
        return None
    route = context.reader.read(links.route_to(node, pod.ip), links.parse_route)
    if not isinstance(route, links.Route) or route.device != out:
        return None
    return unforwarded(context, node, packet, device, reason, out)


def _gate(context: CheckContext, node: str, agent: AgentEndpoint) -> Hook | None:
    """The program at the egress of a device that packets to the pod traverse."""
    if context.config.routes_to_endpoints:
        return Hook(node, agent.interface_name, Direction.EGRESS, TO_CONTAINER, agent.id)
    if _through_cilium_host(context):
        return Hook(node, CILIUM_HOST, Direction.EGRESS, FROM_HOST)
    return None


def _stack_device(context: CheckContext, agent: AgentEndpoint) -> str | None:
    """The device that the stack should send packets to; None if it does not deliver them."""
    if not passes_to_stack(context):
        return None
    return agent.interface_name if context.config.routes_to_endpoints else CILIUM_HOST


def _has_device(context: CheckContext, node: str, agent: AgentEndpoint, *, up: bool = False) -> bool:
    """Whether the node's end of the pod's pair is the one that the agent created, and, with `up`, is up. True if
    unknown.
    """
    link = context.reader.read(links.link(node, agent.interface_name), links.parse_link)
    if isinstance(link, Unavailable):
        return True
    return not isinstance(link, Absent) and link.ifindex == agent.ifindex and (link.up or not up)


def _through_cilium_host(context: CheckContext) -> bool:
    """Whether natively routed packets arrive at `cilium_host`."""
    return context.path.cross_node and not _from_tunnel(context) and not context.config.bpf_host_routing


def _from_tunnel(context: CheckContext) -> bool:
    return context.path.cross_node and context.config.routing_mode == "tunnel"
