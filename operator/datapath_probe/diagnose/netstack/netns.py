"""In which network namespace of its node a pod lives: the one that has its address, or had it a moment ago; else, or if
several have it, the one that holds the other end of its pair of interfaces.

In: a context, a pod and its agent's endpoint. Called by the checks of the interfaces, by `mtu` and by
`pod_sockets`.
"""

from dataclasses import dataclass

from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Unavailable
from ...plan.plan import PodFacts
from ...sources import netns
from ...sources.agent.agent_endpoint import AgentEndpoint
from ..context import CheckContext


@dataclass(frozen=True, slots=True)
class NetworkNamespace:
    """A pod's namespace. `lacks_address`: its device has not the pod's address; `rests_on`: what shows that."""

    namespace: str
    lacks_address: bool = False
    rests_on: tuple[Fact, ...] = ()


def namespace_of(
    context: CheckContext, pod: PodFacts, agent: AgentEndpoint
) -> NetworkNamespace | Unavailable:
    """The pod's namespace; `Unavailable(NetworkNamespaceNotFound)` where none that the agent sees is known for it."""
    node, ip = pod.node.name, pod.pod.ip
    by_address, of_all = netns.find(node), netns.survey(node)
    namespaces = context.reader.read(by_address, netns.parse)
    if isinstance(namespaces, Unavailable):
        return namespaces
    named = namespaces.get(ip, ())
    if len(named) == 1:
        return NetworkNamespace(named[0])
    earlier = _named_before(context, by_address, ip) if not named else ()
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
    if len(ends) > 1:  # inside a pod there may be pairs whose other ends have the same index elsewhere
        ends = [end for end in ends if end.mac == agent.mac]
    if len(ends) != 1:
        return _not_found(node, ip)
    [end] = ends
    return NetworkNamespace(end.namespace, ip not in end.addresses, (by_address, of_all))


def _named_before(context: CheckContext, by_address: Fact, ip: str) -> tuple[str, ...]:
    """The namespaces that had the address when an earlier look of this run found any."""
    looks = (
        look.get(ip, ())
        for look in context.reader.series(by_address, netns.parse)
        if not isinstance(look, Unavailable)
    )
    return next(filter(None, reversed(tuple(looks))), ())


def _not_found(node: str, ip: str) -> Unavailable:
    message = f"no network namespace that the agent on {node} sees has {ip}"
    return Unavailable(Reason.NAMESPACE_NOT_FOUND, message)
