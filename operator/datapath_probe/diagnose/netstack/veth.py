"""The pair of interfaces between a pod and its node, as it is and as the agent set it up. Called by the checks of the
interfaces.
"""

from dataclasses import dataclass

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
    """Both ends of the pair, and what the agent set up. `pod` None: not found, or `unread` says why not; `lacking`: the
    pod's address, where its end does not have it.
    """

    agent: AgentEndpoint
    host: links.Link | Absent
    pod: links.Link | Absent | None
    routes: tuple[links.Route, ...]
    rests_on: tuple[Fact, ...]  # the first: the node's end
    lacking: str = ""
    unread: Unavailable | None = None


def read_pair(
    context: CheckContext, pod: PodFacts, agent: AgentEndpoint, home: NetworkNamespace | Unavailable
) -> Pair | Unavailable:
    """Both ends; the node's alone where it is all that is known."""
    node = pod.node.name
    host_fact = links.link(node, agent.interface_name)
    host = context.reader.read(host_fact, links.parse_link)
    if isinstance(home, Unavailable):
        return host if isinstance(host, Unavailable) else _node_end(agent, host, host_fact, home)
    pod_fact = links.pod_link(node, home.namespace, agent.container_interface_name)
    route_fact = links.pod_routes(node, home.namespace)
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
    rests_on = (host_fact, pod_fact, route_fact, *home.rests_on)
    return Pair(agent, host, inside, routes, rests_on, pod.pod.ip if home.lacks_address else "")


def _node_end(
    agent: AgentEndpoint, host: links.Link | Absent, fact: Fact, unread: Unavailable | None = None
) -> Pair:
    """The node's end, where it is all that is known."""
    return Pair(agent, host, None, (), (fact,), unread=unread)


def problem_of(pair: Pair) -> tuple[Reason, str] | None:
    """The first thing that is wrong with a pair, or with the node's end if that is all that is known."""
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
    """What the pod needs beside its device to speak through it."""
    if not any(route.destination == "default" for route in pair.routes):
        return Reason.ROUTE_MISSING, f"the pod behind {host} has no default route"
    if pair.lacking:
        inside = pair.agent.container_interface_name
        return Reason.ROUTE_MISSING, f"{inside} behind {host} does not have the pod's address {pair.lacking}"
    return None


def too_small(pair: Pair, node: str) -> Fault:
    """An end of the pair that takes less than is sent to it: the node's end less than the pod sends, or the pod's end
    less than the pod's route has it announce to its peers.
    """
    host, pod = pair.host, pair.pod
    if not (isinstance(host, links.Link) and isinstance(pod, links.Link)):
        return None
    sent, announced = largest_packet(pod, pair.routes), route_mtu(pair.routes)
    if host.mtu < sent:
        message = (
            f"{host.name} on {node} takes packets of up to {host.mtu} octets, the pod sends up to {sent}"
        )
    elif announced and pod.mtu < announced:
        message = f"{pod.name} behind {host.name} on {node} takes up to {pod.mtu} octets, its route says {announced}"
    else:
        return None
    return Contradiction(Reason.MTU_TOO_SMALL, message, (Defect.DATA_LOST,), pair.rests_on)
