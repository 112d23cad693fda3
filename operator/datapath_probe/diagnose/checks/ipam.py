"""Hop `ipam`: pod, CiliumEndpoint and agent agree on address and identity, and the address is in the node's pod CIDR.

Judges the source and, if it is known, the destination. Exercise 2.
"""

from collections.abc import Sequence
from ipaddress import ip_network

from ...addresses import IpAddress, family_of
from ...api.reasons import Reason
from ...evidence.reading import Absent, Unavailable
from ...plan.objects import CiliumEndpoint, CiliumNode
from ...plan.path import ExpectedHop
from ...plan.plan import NodeFacts, PodFacts
from ...sources.agent import agent_endpoint
from ...sources.agent.agent_endpoint import AgentEndpoint
from ..context import CheckContext
from ..datapath.crd_effects import (
    Role,
    by_address,
    by_cidr,
    by_identity,
    by_no_node,
    by_node,
    without_endpoint,
)
from ..failure_model.effect import Defect
from ..finding.finding import Finding
from ..finding.hop_check import Contradiction

# Other nodes have another address for the pod's node.
_MISROUTED = (Defect.REQUESTS_MISROUTED, Defect.REPLIES_MISROUTED)
# In these modes, pod addresses come from the CIDRs of the CiliumNode; in cloud modes, from the provider.
_MODES_WITH_CIDR = frozenset({"kubernetes", "cluster-pool", "cluster-pool-v2beta", "multi-pool"})


def check_ipam(context: CheckContext, expected: ExpectedHop) -> Finding:
    """One finding for both ends, the source first."""
    ends = [(Role.SOURCE, context.source)]
    if context.destination:
        ends.append((Role.DESTINATION, context.destination))
    return judge_ipam(context, expected, ends)


def judge_ipam(
    context: CheckContext, expected: ExpectedHop, ends: Sequence[tuple[Role, PodFacts]]
) -> Finding:
    """One finding for these ends, by role. The agent's endpoint of the first must be known, the others are optional."""
    _, first = ends[0]
    hop = context.hop(expected, f"pod {first.pod.namespace}/{first.pod.name}")
    facts: dict[str, object] = {"ipam": context.config.ipam}
    for role, pod in ends:
        facts[f"{role}IP"] = pod.ip
        facts[f"{role}Identity"] = pod.endpoint.identity if pod.endpoint else ""
        facts[f"{role}PodCIDRs"] = ", ".join(_cidrs(pod.node, context.config.ipam))
    hop.intent("pod, CiliumEndpoint and pod CIDR", facts)
    for role, pod in ends:
        contradiction = _objects_disagree(context, role, pod)
        if contradiction:
            hop.object = f"{role} pod {pod.pod.namespace}/{pod.pod.name}"
            return hop.stale(contradiction)
    agent = context.agent_endpoint(first)
    if isinstance(agent, Unavailable):
        return hop.unknown(agent)
    for role, pod in ends:
        known = context.agent_endpoint(pod)
        if isinstance(known, AgentEndpoint) and _differs(pod, known):
            hop.object = f"{role} pod {pod.pod.namespace}/{pod.pod.name}"
            hop.programmed(f"endpoint {known.id} is {_address_in(pod, known)} with identity {known.identity}")
            return hop.stale(_agent_disagrees(context, role, pod, known))
    hop.programmed(
        "the agent's endpoint agrees",
        {"endpointID": agent.id, "identity": agent.identity, "state": agent.state},
    )
    return hop.ok("addresses are in their nodes' pod CIDRs and CiliumEndpoints agree")


def _differs(pod: PodFacts, agent: AgentEndpoint) -> bool:
    assert pod.endpoint is not None  # a missing one is a contradiction
    return agent.ip_of(family_of(pod.ip)) != pod.ip or agent.identity != pod.endpoint.identity


def _address_in(pod: PodFacts, agent: AgentEndpoint) -> str:
    """The address of the agent's endpoint, of the path's version of IP, as text."""
    return str(agent.ip_of(family_of(pod.ip)) or "without address")


def _agent_disagrees(context: CheckContext, role: Role, pod: PodFacts, agent: AgentEndpoint) -> Contradiction:
    """Other nodes use the CiliumEndpoint: with another identity there, policies apply to the wrong identity."""
    assert pod.endpoint is not None
    return Contradiction(
        Reason.CILIUM_ENDPOINT_MISMATCH,
        f"the agent's endpoint {agent.id} is {_address_in(pod, agent)} with identity {agent.identity}, but the "
        f"CiliumEndpoint is {pod.ip} with identity {pod.endpoint.identity}",
        by_identity(context, role, pod) if agent.identity != pod.endpoint.identity else (),
        (agent_endpoint.fact(pod.node.name, pod.endpoint.endpoint_id),),
    )


def _objects_disagree(context: CheckContext, role: Role, facts: PodFacts) -> Contradiction | None:
    """A contradiction between objects, with its defects if the datapath follows them."""
    name = f"{facts.pod.namespace}/{facts.pod.name}"
    endpoint, node, ipam = facts.endpoint, facts.node, context.config.ipam
    if endpoint is None:
        message = f"pod {name} has no CiliumEndpoint"
        asked = agent_endpoint.at(node.name, facts.ip)
        unknown = isinstance(context.reader.read(asked, agent_endpoint.parse), Absent)
        if unknown:
            message += f", and the agent on {node.name} has no endpoint with its address {facts.ip}"
        defects, rests_on = without_endpoint(context, role, facts), (asked,) if unknown else ()
        return Contradiction(Reason.CILIUM_ENDPOINT_MISSING, message, defects, rests_on)
    if facts.ip not in endpoint.ips:
        return Contradiction(
            Reason.CILIUM_ENDPOINT_MISMATCH,
            f"pod {name} is {facts.ip}, but its CiliumEndpoint has {_texts(endpoint.ips)}",
            by_address(context, role, facts),
        )
    if endpoint.state not in ("ready", ""):
        return Contradiction(
            Reason.CILIUM_ENDPOINT_NOT_READY,
            f"the CiliumEndpoint of {name} is {endpoint.state}, not ready",
            rests_on=(agent_endpoint.fact(node.name, endpoint.endpoint_id),),
        )
    if node.cilium is None:
        message = f"node {node.name} has no CiliumNode"
        return Contradiction(Reason.CILIUM_NODE_MISSING, message, by_no_node(context, role, facts))
    return _node_disagrees(context, role, facts, endpoint, node.cilium) or _outside(
        context, role, facts, ipam
    )


def _node_disagrees(
    context: CheckContext, role: Role, facts: PodFacts, endpoint: CiliumEndpoint, cilium: CiliumNode
) -> Contradiction | None:
    """A node address in the CiliumEndpoint that differs from the CiliumNode: either may be wrong."""
    name, node = f"{facts.pod.namespace}/{facts.pod.name}", facts.node
    if not endpoint.node_ip or endpoint.node_ip in cilium.internal_ips:
        return None
    if node.node and endpoint.node_ip in node.node.internal_ips:
        return Contradiction(
            Reason.CILIUM_NODE_MISMATCH,
            f"node {node.name} has {endpoint.node_ip}, but its CiliumNode has {_texts(cilium.internal_ips)}",
            _MISROUTED,
        )
    return Contradiction(
        Reason.CILIUM_ENDPOINT_MISMATCH,
        f"the CiliumEndpoint of {name} is on node {endpoint.node_ip}, which is not an address of {node.name}",
        by_node(context, role, facts),
    )


def _outside(context: CheckContext, role: Role, facts: PodFacts, ipam: str) -> Contradiction | None:
    """An address outside the pod CIDRs of the node."""
    node = facts.node
    cidrs = _cidrs(node, ipam)
    if cidrs and not any(facts.ip in ip_network(cidr) for cidr in cidrs):
        return Contradiction(
            Reason.ADDRESS_OUTSIDE_POD_CIDR,
            f"pod {facts.pod.namespace}/{facts.pod.name} has {facts.ip}, outside {', '.join(cidrs)} "
            f"of node {node.name}",
            by_cidr(context, role),
        )
    return None


def _cidrs(node: NodeFacts, ipam: str) -> tuple[str, ...]:
    """The pod CIDRs of the node; empty if the IPAM mode has none."""
    return node.cilium.pod_cidrs if node.cilium and ipam in _MODES_WITH_CIDR else ()


def _texts(ips: Sequence[IpAddress]) -> str:
    return ", ".join(map(str, ips)) or "nothing"
