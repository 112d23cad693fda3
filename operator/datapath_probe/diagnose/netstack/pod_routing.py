"""A pod's own routes, rules and addresses, which can lose packets although its interface pair is correct.

Read only after a failed request, as a route lookup in the pod's network namespace. Called by the checks of interfaces.
Source: Linux 6.x `net/ipv4/route.c`, which refuses a source address that the namespace does not have.
"""

from collections.abc import Iterator

from ...addresses import IpAddress
from ...api.reasons import Reason
from ...evidence.reading import Absent, Unavailable
from ...plan.plan import PodFacts
from ...sources.agent.agent_endpoint import AgentEndpoint
from ...sources.iproute2 import links
from ...sources.packet import Packet
from ..connection.backend_selection import MAX_CANDIDATES
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.faults import Fault, if_expected
from ..finding.hop_check import Contradiction


def peers(context: CheckContext, pod: PodFacts) -> tuple[tuple[IpAddress, int | None], ...]:
    """The peers of the pod as its own kernel sees them, by address and port: for the source, the Service if its address
    is translated outside the pod. With socket load-balancing and an unknown backend, every candidate.
    """
    plan = context.plan
    if pod is not context.source:
        return ((context.source.ip, context.client_port),)
    if context.translates and plan.frontend:
        return ((plan.frontend.ip, plan.frontend.number),)
    chosen = (context.backend,) if context.backend else plan.backends[:MAX_CANDIDATES]
    return tuple((backend.ip, backend.port) for backend in chosen)


def packets_inside(context: CheckContext, pod: PodFacts, device: str) -> tuple[list[Packet], list[Packet]]:
    """The packets that may arrive in the pod and leave it through its device, as its own kernel sees them."""
    own, is_source, l4 = context.client_port, pod is context.source, context.protocol.lower()
    if not is_source:
        own = context.backend.port if context.backend else 0
    ip, by, request, reply = pod.ip, frozenset({device}), "NEW", "ESTABLISHED"
    others = peers(context, pod)
    arriving = [Packet(l4, peer, ip, own, port, by, reply if is_source else request) for peer, port in others]
    leaving = [Packet(l4, ip, peer, port, own, by, request if is_source else reply) for peer, port in others]
    return [one.of_handshake() for one in arriving], [one.of_handshake() for one in leaving]


def misrouted_inside(
    context: CheckContext, pod: PodFacts, agent: AgentEndpoint, namespace: str, defect: Defect
) -> Iterator[Fault]:
    """A pod that sends packets of this connection through another interface, or from another address."""
    if context.outcome.met is not False:
        return
    for target, _ in peers(context, pod):
        if target not in pod.pod.ips:
            yield _misrouted(context, pod, agent, namespace, target, defect)


def _misrouted(
    context: CheckContext,
    pod: PodFacts,
    agent: AgentEndpoint,
    namespace: str,
    target: IpAddress,
    defect: Defect,
) -> Fault:
    is_source = pod is context.source
    fact = links.pod_route_to(pod.node.name, namespace, target, None if is_source else pod.ip)
    route = context.reader.read(fact, links.parse_route)
    if isinstance(route, Unavailable):
        return if_expected(route)
    name = f"{pod.pod.namespace}/{pod.pod.name}"
    if isinstance(route, Absent):
        message = (
            f"pod {name} can't send to {target} from {pod.ip}: it has no route there, or no such address"
        )
        return Contradiction(Reason.ROUTE_MISSING, message, (defect,), (fact,))
    if route.device != agent.container_interface_name:
        message = f"pod {name} sends to {target} through {route.device}, not {agent.container_interface_name}"
        return Contradiction(Reason.ROUTE_MISSING, message, (defect,), (fact,))
    if is_source and route.source and route.source not in pod.pod.ips:
        message = f"pod {name} sends to {target} from {route.source}, which is not its address {pod.ip}"
        return Contradiction(Reason.INTERFACE_MISMATCH, message, (defect,), (fact,))
    return None
