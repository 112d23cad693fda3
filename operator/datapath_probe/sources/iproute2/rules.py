"""The rules by which the kernel of a node or a pod selects routing tables. Called by `diagnose`.

Source: iproute2 6.x `ip -j rule show`; Linux 6.x `include/uapi/linux/rtnetlink.h` (tables); Cilium 1.18
`pkg/datapath/linux/linux_defaults` (with the L7 proxy, Cilium moves the rule of table local behind its own).
"""

from dataclasses import dataclass

from ...addresses import IpFamily, unless_ipv4
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Answer
from ..parsing import Json, parser

LOCAL_TABLE = "local"
"""The table of the kernel's own addresses."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`mark`: value and mask of the packets that it applies to; None: it applies to any."""

    priority: int
    table: str
    mark: tuple[int, int] | None = None

    @property
    def finds_own_addresses(self) -> bool:
        """Whether all packets to an address of the kernel itself meet this rule."""
        return self.table == LOCAL_TABLE and self.mark is None


def fact(node: str, namespace: str | None = None, family: IpFamily = IpFamily.IPV4) -> Fact:
    """All rules of the node, or inside a pod; `namespace` as `netns.find` returns it."""
    return Fact.of(FactKind.ROUTING_RULES, node, family=unless_ipv4(family), namespace=namespace)


@parser("ip rule show")
def parse(answer: Answer) -> tuple[Rule, ...]:
    """Rules in the order in which the kernel considers them; those that select no table are left out."""
    shown = Json.parse(answer.stdout) if answer.stdout.strip() else ()
    return tuple(
        Rule(rule["priority"].unsigned(32), rule["table"].text(), _mark(rule))
        for rule in shown
        if rule["table"]
    )


def _mark(rule: Json) -> tuple[int, int] | None:
    if not rule["fwmark"]:
        return None
    return int(rule["fwmark"].text(), 0), int(rule["fwmask"].text("0xffffffff"), 0)
