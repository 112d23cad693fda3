"""Names of policies, and labels that select endpoints, in the format of the agent's answers.

Called by the other modules of `agent`. Source: Cilium 1.16–1.20 `pkg/k8s/apis/cilium.io/const.go`, `pkg/labels`,
`pkg/policy/api/selector.go`.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from ..parsing import Json

_DERIVED_FROM, _NAMESPACE, _NAME = (
    f"io.cilium.k8s.policy.{key}" for key in ("derived-from", "namespace", "name")
)
_ANY_SOURCE = "any"
_SOURCES = frozenset(
    {_ANY_SOURCE, "k8s", "reserved", "cidr", "cidrgroup", "container", "fqdn", "node", "unspec"}
)


@dataclass(frozen=True, slots=True, order=True)
class PolicyRef:
    """A policy object; `namespace` "" for a clusterwide one."""

    kind: str  # CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy, NetworkPolicy, …
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def policy_of(labels: Mapping[str, str]) -> PolicyRef | None:
    """The policy that a rule with these labels (without their source) comes from; None if it does not come from an
    object.
    """
    if _NAME not in labels:
        return None
    return PolicyRef(labels.get(_DERIVED_FROM, "policy"), labels.get(_NAMESPACE, ""), labels[_NAME])


def written_labels(labels: Iterable[str]) -> dict[str, str]:
    """Labels in the form `source:key=value`: value by key, without the source."""
    pairs = (label.partition(":")[2].partition("=") for label in labels)
    return {key: value for key, _, value in pairs}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement of a label selector. `source` "any": the label may come from any source."""

    source: str
    key: str
    operator: str  # In, NotIn, Exists, DoesNotExist
    values: frozenset[str] = frozenset()

    def met_by(self, labels: "Labels") -> bool:
        """Whether an identity with these labels meets it."""
        found = labels.get((self.source, self.key), frozenset())
        match self.operator:
            case "In":
                return not found.isdisjoint(self.values)
            case "NotIn":
                return found.isdisjoint(self.values)
            case "Exists":
                return bool(found)
            case _:
                return not found


Labels = Mapping[tuple[str, str], AbstractSet[str]]
"""The values of an identity's labels by source and key, and by "any" and key."""


def labels_of(written: Iterable[str]) -> Labels:
    """Labels in the form `source:key=value`, by source and key."""
    values: dict[tuple[str, str], set[str]] = {}
    for source, key, value in map(_taken_apart, written):
        values.setdefault((source, key), set()).add(value)
        values.setdefault((_ANY_SOURCE, key), set()).add(value)
    return values


def selector(shown: Json) -> tuple[Requirement, ...]:
    """A label selector. Raises ValueError for an unknown operator."""
    requirements = [
        Requirement(*_keyed(key), "In", frozenset({value.text()}))
        for key, value in shown["matchLabels"].items()
    ]
    for expression in shown["matchExpressions"] or ():
        operator = expression["operator"].text()
        if operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
            raise ValueError(f"{operator!r} is not an operator of label selectors")
        values = frozenset(value.text() for value in expression["values"] or ())
        requirements.append(Requirement(*_keyed(expression["key"].text()), operator, values))
    return tuple(requirements)


def _keyed(key: str) -> tuple[str, str]:
    """Source and key, from `source:key` or, since 1.19, also `source.key`."""
    source, colon, rest = key.partition(":")
    if colon:
        return source, rest
    source, dot, rest = key.partition(".")
    return (source, rest) if dot and source in _SOURCES else (_ANY_SOURCE, key)


def _taken_apart(label: str) -> tuple[str, str, str]:
    source, _, rest = label.partition(":")
    key, _, value = rest.partition("=")
    return source, key, value
