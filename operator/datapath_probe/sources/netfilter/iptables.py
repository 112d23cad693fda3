"""The iptables rules of a node or a pod, and which of them would drop a packet.

A rule with conditions on unknown properties of the packet (marks, contents, rates, …) may match it: if it drops, and
has dropped packets, it may be the cause. Called by `diagnose.netstack.netfilter`.
Source: iptables 1.8 `iptables-save -c`, both legacy and nf_tables.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from ...addresses import IpFamily, unless_ipv4
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Answer, Unavailable
from ..packet import Loss, Match, Packet, Routes, no_routes
from ..parsing import parser
from .iptables_match import matches
from .rule_text import NAT, KnownRuleTexts, RuleText, Words
from .rule_walk import Action, Chain, Key, Rule, first_loss

LINE_LIMIT = 4096  # characters; a rule has some hundred
_CHAIN = re.compile(r":(\S+) (\S+) \[(\d+):\d+\]")
_COUNTERS = re.compile(r"\[(\d+):\d+\] -A ")
# Notes in the output of iptables-save.
_LEGACY_TOO, _OF_NF_TABLES = b"tables-legacy tables present", b"(nf_tables)"
_INCOMPATIBLE = "is incompatible, use 'nft' tool"
_TABLES = ("raw", "mangle", "nat", "filter")  # in the order in which they process a packet
_NO_POLICY = "-"  # user-defined chains have no policy
Filters = Mapping[Key, Chain[Words]]

_OF_NODES = KnownRuleTexts()  # apart from those of pods, which could fill it


def fact(
    node: str, namespace: str | None = None, backend: str | None = None, family: IpFamily = IpFamily.IPV4
) -> Fact:
    """All rules for one version of IP of the node, or inside a pod, with counters; `namespace` as `netns.find` returns
    it; `backend`: legacy or nft, None: the agent's default. kube-proxy may write thousands of rules, so they are read
    only after a failure.
    """
    return Fact.of(
        FactKind.IPTABLES_RULES, node, backend=backend, family=unless_ipv4(family), namespace=namespace
    )


@parser("iptables-save")
def other_backend(answer: Answer) -> str | None:
    """The other backend, if it may have rules: the kernel applies those of both."""
    if _LEGACY_TOO in answer.stderr:
        return "legacy"
    return None if _OF_NF_TABLES in answer.stdout else "nft"


@parser("iptables-save")
def parse(answer: Answer) -> Filters:
    """Chains by table and name, in the order of tables in which they process a packet."""
    return _filters(answer, RuleText.of)


@parser("iptables-save")
def parse_of_node(answer: Answer) -> Filters:
    """The same for the rules of a node, most of which are known from other nodes and earlier readings."""
    return _filters(answer, _OF_NODES.get)


def _filters(answer: Answer, rule_text: Callable[[str, str], RuleText]) -> Filters:
    chains: dict[Key, Chain[Words]] = {}
    table = ""
    for line in answer.stdout.decode().splitlines():
        if len(line) > LINE_LIMIT:
            raise ValueError(f"a line of {len(line)} characters")
        if counters := _COUNTERS.match(line):
            text = rule_text(table, line[counters.end() :])
            if text.chain not in chains:
                raise ValueError(f"{line!r} is in no chain")
            if rule := text.rule(chains, int(counters[1])):
                chains[text.chain].rules.append(rule)
        elif line.startswith("*"):
            table = line[1:]
        elif chain := _CHAIN.fullmatch(line):
            chains[table, chain[1]] = _chain(table, chain[1], chain[2], int(chain[3]))
        elif _INCOMPATIBLE in line:
            raise ValueError(line)
        elif line and not line.startswith("#") and line != "COMMIT":
            raise ValueError(f"{line!r} is neither chain nor rule")
    return {key: chains[key] for table in _TABLES for key in chains if key[0] == table}


def loss(
    filters: Filters,
    hooks: Sequence[str],
    packet: Packet,
    *,
    translated: bool = False,
    routes: Routes = no_routes,
) -> Loss | Unavailable | None:
    """The first rule that drops this packet in these built-in chains and has dropped packets: one that certainly
    matches it, else one that may. `translated`: rules that redirect the packet count too. `routes`: those of the host.
    """

    def match_rule(rule: Rule[Words]) -> Match:
        # A rule that drops a share of such packets has dropped some, so perhaps this one.
        some = rule.action is Action.LOSE
        return matches(rule.conditions, packet, arriving="INPUT" in hooks, some=some, routes=routes)

    return first_loss(filters, hooks, packet, match_rule, translated=translated)


def _chain(table: str, name: str, policy: str, packets: int) -> Chain[Words]:
    drops = policy == "DROP" and packets > 0
    return Chain(
        hook="" if policy == _NO_POLICY else name,
        translates=table == NAT,
        policy=Loss(table, f"-P {name} DROP", packets) if drops else None,
    )
