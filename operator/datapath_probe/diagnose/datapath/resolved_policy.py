"""The policy that the agent resolved for an endpoint, and the names of the policies behind its decision: the *intent*
witness of the hops `egress-policy` and `ingress-policy`.
"""

from dataclasses import dataclass

from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...plan.objects import CiliumEndpoint
from ...plan.plan import AddressTarget, PodFacts
from ...sources.agent import agent_endpoint, endpoint_policy, policy_repository, policy_selectors
from ...sources.agent.endpoint_policy import Decision, Traffic
from ...sources.agent.policy_labels import PolicyRef
from ...sources.maps.policymap import TrafficDirection
from ..context import CheckContext

_HOST = 1  # the identity of an endpoint's own node


@dataclass(frozen=True, slots=True)
class Intent:
    """The decision of the agent on the endpoint's node.

    `policies`: the policies of the decision; for a default deny, those that enable it for the direction. `rests_on`:
    the facts that show it. `to_node`: allowed because the peer is the endpoint's own node. `for_name`: for a default
    deny, the policies that allow the requested name, for which the agent has not learned this address.
    """

    decision: Decision
    rests_on: tuple[Fact, ...]
    policies: tuple[PolicyRef, ...] = ()
    enforced: bool = True
    audited: bool = False
    to_node: bool = False
    for_name: tuple[PolicyRef, ...] = ()

    @property
    def in_words(self) -> str:
        """ "allowed by …", "denied by …", "default deny by …", "not enforced". Without names that are not certain."""
        names = ", ".join(map(str, self.policies))
        audit = " (audited only)" if self.audited else ""
        if not self.enforced:
            return "not enforced"
        if self.decision.policies:
            verb = "allowed" if self.decision.allowed else f"denied{audit}"
            return f"{verb} by {names if self.decision.exact else f'a rule of {names}'}"
        if self.decision.allowed:
            return (
                "allowed to the node itself" if self.to_node else "allowed, since no policy denies by default"
            )
        return f"default deny{audit} by {names}" if names else f"default deny{audit}"


def intent_of(
    context: CheckContext, owner: PodFacts, direction: TrafficDirection, identity: int, port: int
) -> Intent | Unavailable:
    """Whether the owner's policy allows this identity. Selectors are read only if policy is enforced."""
    assert owner.endpoint is not None  # the caller has checked this
    node, read = owner.node.name, context.reader.read
    of_endpoint, of_selectors = policy_facts(owner.endpoint, node)
    policy = read(of_endpoint, endpoint_policy.parse)
    if isinstance(policy, Absent):
        return Unavailable(Reason.CILIUM_ENDPOINT_MISMATCH, f"the agent on {node} has no such endpoint")
    if isinstance(policy, Unavailable):
        return policy
    if direction not in policy.enforced:
        return Intent(Decision(allowed=True), (of_endpoint,), enforced=False)
    selections = read(of_selectors, policy_selectors.parse)
    if isinstance(selections, Unavailable):
        return selections
    if not policy.settled:
        return Unavailable(
            Reason.IN_TRANSITION, f"the agent on {node} has not yet realized its newest policy"
        )
    traffic = Traffic(direction, identity, port, _named_ports(context), context.protocol)
    for_name: tuple[PolicyRef, ...] = ()
    decision = endpoint_policy.decide(policy, selections, traffic)
    if isinstance(decision, Unavailable):
        return decision
    policies = decision.policies
    if not decision.allowed and not policies:
        if _host_may(context, direction, identity):
            return Intent(
                Decision(allowed=True), (of_endpoint, of_selectors), audited=policy.audited, to_node=True
            )
        rules = read(policy_repository.fact(node), policy_repository.parse)
        known = () if isinstance(rules, Unavailable) else rules
        policies = policy_repository.closing(known, direction, policy.labels)
        name = _requested_name(context, direction)
        for_name = endpoint_policy.allowing_name(policy, traffic, name) if name else ()
    return Intent(decision, (of_endpoint, of_selectors), policies, audited=policy.audited, for_name=for_name)


def policy_facts(endpoint: CiliumEndpoint, node: str) -> tuple[Fact, Fact]:
    """The endpoint, and the selectors that its policy uses. The answers fit only if they are of the same moment."""
    return agent_endpoint.fact(node, endpoint.endpoint_id), policy_selectors.fact(node)


def _named_ports(context: CheckContext) -> dict[str, int]:
    """The named ports of the destination pod."""
    containers = context.destination.pod.containers if context.destination else ()
    return {name: number for container in containers for name, number in container.ports.items()}


def _requested_name(context: CheckContext, direction: TrafficDirection) -> str:
    """The name outside the cluster that is requested; "" if it is none."""
    plan = context.plan
    of_name = isinstance(plan.target, AddressTarget) and plan.by_name
    return plan.request.host if of_name and direction is TrafficDirection.EGRESS else ""


def _host_may(context: CheckContext, direction: TrafficDirection, identity: int) -> bool:
    """Whether the node may reach its own endpoints. Source: Cilium 1.18 `pkg/policy/mapstate.go`."""
    unless_policy = context.plan.config.get("allow-localhost", "auto") != "policy"
    return direction is TrafficDirection.INGRESS and identity == _HOST and unless_policy
