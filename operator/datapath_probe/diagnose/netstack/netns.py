"""Finds the network namespace of a pod: the one that has its address, or had it a moment ago; if there is none or more
than one, the one with the other end of its interface pair.

In: a context, a pod and its endpoint. Called by the checks of interfaces, `mtu` and `pod_sockets`.
"""

from dataclasses import dataclass

from ...addresses import IpAddress
from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Unavailable
from ...plan.plan import PodFacts
from ...sources import netns
from ...sources.agent.agent_endpoint import AgentEndpoint
from ..context import CheckContext


@dataclass(frozen=True, slots=True)
class NetworkNamespace:
    """A pod's network namespace. `lacks_address`: its device does not have the pod's address; `rests_on`: what shows
    that.
    """

    name: str
    lacks_address: bool = False
    rests_on: tuple[Fact, ...] = ()


def namespace_of(
    context: CheckContext, pod: PodFacts, agent: AgentEndpoint
) -> NetworkNamespace | Unavailable:
    """The pod's network namespace; `Unavailable(NetworkNamespaceNotFound)` if the agent sees none for it."""
    node, ip = pod.node.name, pod.ip
    by_address, of_all = netns.find(node), netns.survey(node)
    namespaces = context.reader.read(by_address, netns.parse)
    if isinstance(namespaces, Unavailable):
        return namespaces
    found = namespaces.get(ip, ())
    if len(found) == 1:
        return NetworkNamespace(found[0])
    earlier = _named_before(context, by_address, ip) if not found else ()
    if len(earlier) == 1:
        return NetworkNamespace(earlier[0], lacks_address=True, rests_on=(by_address,))
    devices = context.reader.read(of_all, netns.parse_survey)
    if isinstance(devices, Unavailable):
        return devices
    ends = [
        device
        for device in devices
        if device.peer_ifindex == agent.ifindex and device.name == agent.container_interface_name
    ]
    if len(ends) > 1:  # a pair inside a pod may have a peer with the same index in another namespace
        ends = [end for end in ends if end.mac == agent.mac]
    if len(ends) != 1:
        return _not_found(node, ip)
    [end] = ends
    return NetworkNamespace(end.namespace, ip not in end.addresses, (by_address, of_all))


def _named_before(context: CheckContext, by_address: Fact, ip: IpAddress) -> tuple[str, ...]:
    """The namespaces that had the address in the last earlier reading of this run that found any."""
    looks = (
        look.get(ip, ())
        for look in context.reader.series(by_address, netns.parse)
        if not isinstance(look, Unavailable)
    )
    return next(filter(None, reversed(tuple(looks))), ())


def _not_found(node: str, ip: IpAddress) -> Unavailable:
    message = f"no network namespace that the agent on {node} sees has {ip}"
    return Unavailable(Reason.NAMESPACE_NOT_FOUND, message)
