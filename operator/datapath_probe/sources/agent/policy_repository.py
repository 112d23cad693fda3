"""The rules of an agent: which policy each comes from, which endpoints it selects, and for which direction it is a
default deny. Only rules show a default deny: a policy that allows nothing leaves no other trace.

Source: Cilium 1.16–1.18 `pkg/policy/api/rule.go`, 1.19 `pkg/policy/types/policyentry.go` (one entry per direction).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Answer
from ..maps.policymap import TrafficDirection
from ..parsing import Json, parser
from .policy_labels import PolicyRef, Requirement, labels_of, policy_of, selector


@dataclass(frozen=True, slots=True)
class Rule:
    """`closes`: the directions with a default deny, for every endpoint that the rule selects."""

    policy: PolicyRef
    subject: tuple[Requirement, ...]
    closes: frozenset[TrafficDirection]


def fact(node: str) -> Fact:
    """All rules of the node's agent."""
    return Fact.of(FactKind.POLICY_RULES, node)


@parser("cilium-dbg policy get")
def parse(answer: Answer) -> tuple[Rule, ...]:
    """The rules for endpoints that come from objects, without those for nodes."""
    rules = Json.parse(Json.parse(answer.stdout)["policy"].text())
    return tuple(filter(None, map(_rule, rules or ())))


def closing(
    rules: Iterable[Rule], direction: TrafficDirection, labels: Iterable[str]
) -> tuple[PolicyRef, ...]:
    """The policies that cause a default deny in this direction for an endpoint with these labels."""
    known = labels_of(labels)
    return tuple(
        sorted(
            {
                rule.policy
                for rule in rules
                if direction in rule.closes and all(demand.met_by(known) for demand in rule.subject)
            }
        )
    )


def _rule(shown: Json) -> Rule | None:
    labels = {
        label["key"].text(): label["value"].text("") for label in shown["labels"] or shown["Labels"] or ()
    }
    policy, subject = policy_of(labels), shown["endpointSelector"]
    if shown["Subject"] and not shown["Node"].boolean(False):
        subject = shown["Subject"]
    if policy is None or not subject:
        return None
    return Rule(policy, selector(subject), frozenset(_closes(shown)))


def _closes(shown: Json) -> Iterator[TrafficDirection]:
    if shown["Subject"]:
        if shown["DefaultDeny"].boolean(False):
            yield TrafficDirection.INGRESS if shown["Ingress"].boolean(False) else TrafficDirection.EGRESS
        return
    for direction in TrafficDirection:
        if shown["enableDefaultDeny"].maybe(direction.name.lower()).boolean(False):
            yield direction
