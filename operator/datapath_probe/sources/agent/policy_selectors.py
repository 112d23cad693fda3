"""The agent's selectors: each as the agent writes it, with the identities that it selects. The list is for the whole
node and grows with the number of policies, so only these two columns are read.

Source: Cilium 1.16–1.20 `cilium-dbg/cmd/policy_selectors.go`, `pkg/policy/selectorcache.go` (GetModel).
"""

from collections.abc import Mapping

from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Answer
from ..parsing import Json, parser

Selections = Mapping[str, frozenset[int]]


def fact(node: str) -> Fact:
    """All selectors that the policies of the node's endpoints use."""
    return Fact.of(FactKind.POLICY_SELECTORS, node)


@parser("cilium-dbg policy selectors")
def parse(answer: Answer) -> Selections:
    """The identities by selector."""
    selections: dict[str, frozenset[int]] = {}
    for line in filter(None, answer.stdout.decode().splitlines()):
        selector, tab, identities = line.rpartition("\t")
        if not tab:
            raise ValueError(f"{line!r} is not SELECTOR TAB IDENTITIES")
        selected = Json.parse(identities) if identities else ()
        selections[selector] = frozenset(identity.unsigned(32) for identity in selected)
    return selections
