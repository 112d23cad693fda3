"""What comes of a CiliumEndpoint or CiliumNode that is wrong or missing: other nodes go by it, and so do their maps.

An object explains a failure only as far as the datapath is seen to follow it: a map that is right all the same, or
wrong in another way, is not its doing. In: a context, a pod and its role. Out: the defects that follow. Called by
`checks.ipam`.
Source: Cilium 1.18 `pkg/k8s/watchers/cilium_endpoint.go`, `pkg/datapath/linux/node.go` (direct routes).
"""

from enum import StrEnum

from ...api.vocabulary import Encapsulation
from ...evidence.reading import Absent, Unavailable
from ...plan.plan import PodFacts
from ...sources.agent import agent_endpoint
from ...sources.iproute2 import links
from ..context import CheckContext
from ..failure_model.effect import Defect
from .ipcache_match import IpcacheMatch, known

Defects = tuple[Defect, ...]


class Role(StrEnum):
    """An end of the path."""

    SOURCE = "source"
    DESTINATION = "destination"


_UNKNOWN = {Role.SOURCE: Defect.SOURCE_UNKNOWN, Role.DESTINATION: Defect.DESTINATION_UNKNOWN}
_LED = {Role.SOURCE: Defect.REPLIES_LED_ELSEWHERE, Role.DESTINATION: Defect.REQUESTS_LED_ELSEWHERE}


def without_endpoint(context: CheckContext, role: Role, pod: PodFacts) -> Defects:
    """No CiliumEndpoint: the pod's agent may know no such endpoint either, or the other node has forgotten it."""
    agent = context.reader.read(agent_endpoint.at(pod.node.name, pod.ip), agent_endpoint.parse)
    return (_UNKNOWN[role],) if isinstance(agent, Absent) else by_address(context, role, pod)


def by_address(context: CheckContext, role: Role, pod: PodFacts) -> Defects:
    """A CiliumEndpoint without the pod's address: the other node's ipcache has no entry for the pod."""
    record = _record(context, role, pod)
    if record is None or record.own:
        return ()
    lost = _tunneled(context) and (record.found is None or record.found.tunnel_endpoint is None)
    return (*_judged(context, role), *((_LED[role],) if lost else ()))


def by_identity(context: CheckContext, role: Role, pod: PodFacts) -> Defects:
    """A CiliumEndpoint with another identity than the agent's."""
    record = _record(context, role, pod)
    found = record.found if record else None
    followed = found and pod.endpoint and found.identity == pod.endpoint.identity
    return _judged(context, role) if followed else ()


def by_node(context: CheckContext, role: Role, pod: PodFacts) -> Defects:
    """A CiliumEndpoint on another node: tunnels lead there."""
    record = _record(context, role, pod)
    found = record.found if record else None
    followed = found and pod.endpoint and found.tunnel_endpoint == pod.endpoint.node_ip
    return (_LED[role],) if followed and _tunneled(context) else ()


def by_no_node(context: CheckContext, role: Role, pod: PodFacts) -> Defects:
    """No CiliumNode: the other node has no direct route to its pods."""
    other = _other(context, role)
    if other is None or not _routed_directly(context) or pod.node.node is None:
        return ()
    route = context.reader.read(links.route_to(other, pod.ip), links.parse_route)
    led = isinstance(route, links.Route) and route.gateway in pod.node.node.internal_ips
    return (_LED[role],) if isinstance(route, links.Route | Absent) and not led else ()


def by_cidr(context: CheckContext, role: Role) -> Defects:
    """An address outside its node's CIDR: direct routes lead to CIDRs, a tunnel to addresses."""
    return (_LED[role],) if _routed_directly(context) else ()


def _record(context: CheckContext, role: Role, pod: PodFacts) -> IpcacheMatch | None:
    """What the other node's ipcache has of the pod; None: not known."""
    other = _other(context, role)
    record = known(context, other, pod.ip) if other else None
    return None if isinstance(record, Unavailable) else record


def _other(context: CheckContext, role: Role) -> str | None:
    return context.path.destination_node if role is Role.SOURCE else context.path.source_node


def _tunneled(context: CheckContext) -> bool:
    return context.path.cross_node and context.path.encapsulation is not Encapsulation.NONE


def _routed_directly(context: CheckContext) -> bool:
    direct = context.path.encapsulation is Encapsulation.NONE and context.config.auto_direct_node_routes
    return context.path.cross_node and direct


def _judged(context: CheckContext, role: Role) -> Defects:
    """Policies take the pod for someone else: the source's node where it is the destination; the destination's where
    packets do not bring the identity along.
    """
    if role is Role.DESTINATION:
        return (Defect.DESTINATION_MISJUDGED,)
    return () if _tunneled(context) else (Defect.SOURCE_MISJUDGED,)
