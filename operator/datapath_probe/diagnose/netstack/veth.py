"""The interface pair between a pod and its node, compared with what the agent set up. Called by the checks of
interfaces.
"""

from dataclasses import dataclass

from ...addresses import IpAddress
from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...plan.plan import PodFacts
from ...sources.agent.agent_endpoint import AgentEndpoint
from ...sources.iproute2 import links
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.faults import Fault
from ..finding.hop_check import Contradiction
from .mtu import largest_packet, route_mtu
from .netns import NetworkNamespace


@dataclass(frozen=True, slots=True)
class Pair:
    """Both ends of the pair, and what the agent set up. `pod`: None if not found, or not read, as `unread` says.
    `lacking`: the pod's address, if its end does not have it.
    """

    agent: AgentEndpoint
    host: links.Link | Absent
    pod: links.Link | Absent | None
    routes: tuple[links.Route, ...]
    rests_on: tuple[Fact, ...]  # the first: the node's end
    lacking: IpAddress | None = None
    unread: Unavailable | None = None


def read_pair(
    context: CheckContext, pod: PodFacts, agent: AgentEndpoint, pod_netns: NetworkNamespace | Unavailable
) -> Pair | Unavailable:
    """Both ends, or the node's end alone if the other is not known."""
    node = pod.node.name
    host_fact = links.link(node, agent.interface_name)
    host = context.reader.read(host_fact, links.parse_link)
    if isinstance(pod_netns, Unavailable):
        return host if isinstance(host, Unavailable) else _node_end(agent, host, host_fact, pod_netns)
    pod_fact = links.pod_link(node, pod_netns.name, agent.container_interface_name)
    route_fact = links.pod_routes(node, pod_netns.name, context.plan.family)
    inside = context.reader.read(pod_fact, links.parse_link)
    routes = context.reader.read(route_fact, links.parse_routes)
    if isinstance(host, Unavailable):
        return host
    if isinstance(host, Absent):
        return _node_end(agent, host, host_fact)
    if isinstance(inside, Unavailable):
        return _node_end(agent, host, host_fact, inside)
    if isinstance(routes, Unavailable):
        return _node_end(agent, host, host_fact, routes)
    rests_on = (host_fact, pod_fact, route_fact, *pod_netns.rests_on)
    return Pair(agent, host, inside, routes, rests_on, pod.ip if pod_netns.lacks_address else None)


def _node_end(
    agent: AgentEndpoint, host: links.Link | Absent, fact: Fact, unread: Unavailable | None = None
) -> Pair:
    """The node's end alone."""
    return Pair(agent, host, None, (), (fact,), unread=unread)


def problem_of(pair: Pair) -> tuple[Reason, str] | None:
    """The first problem of the pair, or of the node's end if the other is not known."""
    host, pod, agent = pair.host, pair.pod, pair.agent
    inside = agent.container_interface_name
    if isinstance(host, Absent):
        return Reason.INTERFACE_MISSING, f"there is no interface {agent.interface_name}"
    if isinstance(pod, Absent):
        return Reason.INTERFACE_MISSING, f"the pod behind {host.name} has no {inside}"
    if host.ifindex != agent.ifindex:
        return Reason.INTERFACE_MISMATCH, f"{host.name} has index {host.ifindex} instead of {agent.ifindex}"
    if pod and (host.peer_ifindex != pod.ifindex or pod.peer_ifindex != host.ifindex):
        return (
            Reason.INTERFACE_MISMATCH,
            f"{host.name} ({host.ifindex}) and {inside} ({pod.ifindex}) are not a pair",
        )
    for link in (host, pod):
        if link and not link.up:
            return Reason.INTERFACE_DOWN, f"{link.name} is down"
    if pod and pod.mac != agent.mac:
        return Reason.MAC_MISMATCH, f"{inside} has MAC {pod.mac} instead of {agent.mac}"
    if host.mac != agent.host_mac:
        return Reason.MAC_MISMATCH, f"{host.name} has MAC {host.mac} instead of {agent.host_mac}"
    return _unrouted(pair, host.name) if pod else None


def _unrouted(pair: Pair, host: str) -> tuple[Reason, str] | None:
    """What else the pod needs to use its device: a default route and its address."""
    if not any(route.destination == "default" for route in pair.routes):
        return Reason.ROUTE_MISSING, f"the pod behind {host} has no default route"
    if pair.lacking:
        inside = pair.agent.container_interface_name
        return Reason.ROUTE_MISSING, f"{inside} behind {host} does not have the pod's address {pair.lacking}"
    return None


def too_small(pair: Pair, node: str) -> Fault:
    """An end of the pair with an MTU that is too small: the node's end for packets that the pod sends, or the pod's end
    for the MSS that the pod advertises.
    """
    host, pod = pair.host, pair.pod
    if not (isinstance(host, links.Link) and isinstance(pod, links.Link)):
        return None
    sent, advertised = largest_packet(pod, pair.routes), route_mtu(pair.routes)
    if host.mtu < sent:
        message = f"{host.name} on {node} accepts packets of up to {host.mtu} octets, but the pod sends up to {sent}"
    elif advertised and pod.mtu < advertised:
        message = (
            f"{pod.name} behind {host.name} on {node} accepts packets of up to {pod.mtu} octets, but its route allows "
            f"{advertised}"
        )
    else:
        return None
    return Contradiction(Reason.MTU_TOO_SMALL, message, (Defect.DATA_LOST,), pair.rests_on)
