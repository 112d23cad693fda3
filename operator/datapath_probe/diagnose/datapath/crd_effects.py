"""What comes of a CiliumEndpoint or CiliumNode that is wrong or missing: other nodes go by it, and so do their maps.

An object explains a failure only as far as the datapath is seen to follow it: a map that is right all the same, or
wrong in another way, is not its doing. In: a case, a pod and its role. Out: the last rungs of packets that meet the
consequence. Called by `checks.ipam`.
Source: Cilium 1.18 `pkg/k8s/watchers/cilium_endpoint.go`, `pkg/datapath/linux/node.go` (direct routes).
"""

from enum import StrEnum

from ...api.vocabulary import Encapsulation
from ...evidence.reading import Absent, Unavailable
from ...plan.plan import PodFacts
from ...sources.agent import agent_endpoint
from ...sources.iproute2 import links
from ..context import Case
from ..finding.finding import Rung
from .ipcache_match import Known, known

Rungs = frozenset[Rung]
_NOWHERE: Rungs = frozenset()


class Role(StrEnum):
    """An end of the path."""

    SOURCE = "source"
    DESTINATION = "destination"


# A pod that its own agent does not know has neither programs nor map entries.
_UNKNOWN_AT_HOME = {
    Role.SOURCE: frozenset({Rung.NOTHING, Rung.ANSWERED, Rung.REPLIED}),
    Role.DESTINATION: frozenset({Rung.NOTHING, Rung.TRANSLATED, Rung.SENT, Rung.RECEIVED}),
}


def by_no_endpoint(case: Case, role: Role, pod: PodFacts) -> Rungs:
    """No CiliumEndpoint: the pod's agent may know no such endpoint either, or the other node has forgotten it."""
    agent = case.lens.read(agent_endpoint.at(pod.node.name, pod.pod.ip), agent_endpoint.parse)
    return _UNKNOWN_AT_HOME[role] if isinstance(agent, Absent) else by_address(case, role, pod)


def by_address(case: Case, role: Role, pod: PodFacts) -> Rungs:
    """A CiliumEndpoint without the pod's address: the other node's ipcache has no entry for the pod."""
    record = _record(case, role, pod)
    if record is None or record.own:
        return _NOWHERE
    lost = _tunneled(case) and (record.found is None or record.found.tunnel_endpoint is None)
    return _judged(case, role) | (_led(role) if lost else _NOWHERE)


def by_identity(case: Case, role: Role, pod: PodFacts) -> Rungs:
    """A CiliumEndpoint with another identity than the agent's."""
    record = _record(case, role, pod)
    found = record.found if record else None
    followed = found and pod.endpoint and found.identity == pod.endpoint.identity
    return _judged(case, role) if followed else _NOWHERE


def by_node(case: Case, role: Role, pod: PodFacts) -> Rungs:
    """A CiliumEndpoint on another node: tunnels lead there."""
    record = _record(case, role, pod)
    found = record.found if record else None
    followed = found and pod.endpoint and found.tunnel_endpoint == pod.endpoint.node_ip
    return _led(role) if followed and _tunneled(case) else _NOWHERE


def by_no_node(case: Case, role: Role, pod: PodFacts) -> Rungs:
    """No CiliumNode: the other node has no direct route to its pods."""
    other = _other(case, role)
    if other is None or not _routed_directly(case) or pod.node.node is None:
        return _NOWHERE
    route = case.lens.read(links.route_to(other, pod.pod.ip), links.parse_route)
    led = isinstance(route, links.Route) and route.gateway in pod.node.node.internal_ips
    return _led(role) if isinstance(route, links.Route | Absent) and not led else _NOWHERE


def by_cidr(case: Case, role: Role) -> Rungs:
    """An address outside its node's CIDR: direct routes lead to CIDRs, a tunnel to addresses."""
    return _led(role) if _routed_directly(case) else _NOWHERE


def _record(case: Case, role: Role, pod: PodFacts) -> Known | None:
    """What the other node's ipcache has of the pod; None: not known."""
    other = _other(case, role)
    record = known(case, other, pod.pod.ip) if other else None
    return None if isinstance(record, Unavailable) else record


def _other(case: Case, role: Role) -> str | None:
    return case.path.destination_node if role is Role.SOURCE else case.path.source_node


def _tunneled(case: Case) -> bool:
    return case.path.cross_node and case.path.encapsulation is not Encapsulation.NONE


def _routed_directly(case: Case) -> bool:
    direct = case.path.encapsulation is Encapsulation.NONE and case.config.auto_direct_node_routes
    return case.path.cross_node and direct


def _led(role: Role) -> Rungs:
    """Packets to the pod go elsewhere: requests, or replies."""
    return frozenset({Rung.ANSWERED if role is Role.SOURCE else Rung.SENT})


def _judged(case: Case, role: Role) -> Rungs:
    """Policies take the pod for someone else: the source's node where it is the destination; the destination's where
    packets do not bring the identity along.
    """
    if role is Role.DESTINATION:
        return frozenset({Rung.TRANSLATED if case.translates else Rung.NOTHING})
    return _NOWHERE if _tunneled(case) else frozenset({Rung.SENT})
