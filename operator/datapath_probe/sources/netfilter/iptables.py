"""The iptables rules of a node or a pod, and which of them would drop a packet.

A rule with conditions on unknown properties of the packet (marks, contents, rates, …) may match it: if it drops, and
has dropped packets, it may be the cause. Called by `diagnose.netstack.netfilter`.
Source: iptables 1.8 `iptables-save -c`, both legacy and nf_tables.
"""

import re
import shlex
from collections.abc import Mapping, Sequence

from ...addresses import IpFamily, unless_ipv4
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Answer, Unavailable
from ..packet import DIVERTS, DROPS, REDIRECTS, Loss, Match, Packet, Routes, no_routes
from ..parsing import parser
from .iptables_match import matches
from .rule_walk import Action, Chain, Key, Rule, first_loss

LINE_LIMIT = 4096  # characters; a rule has some hundred
_CHAIN = re.compile(r":(\S+) (\S+) \[(\d+):\d+\]")
_RULE = re.compile(r"\[(\d+):\d+\] -A (\S+) ?(.*)")
# Notes in the output of iptables-save.
_LEGACY_TOO, _OF_NF_TABLES = b"tables-legacy tables present", b"(nf_tables)"
_INCOMPATIBLE = "is incompatible, use 'nft' tool"
_TABLES = ("raw", "mangle", "nat", "filter")  # in the order in which they process a packet
_NAT = "nat"
_NO_POLICY = "-"  # user-defined chains have no policy
_DOES = {"DROP": DROPS, "REJECT": DROPS}
_DOES_IN_NAT = {"REDIRECT": REDIRECTS, "DNAT": DIVERTS}
_HANDS_ON = {
    "NFQUEUE": "lets a program decide on",
    "TPROXY": "gives a proxy",
}  # the result is not known
_ENDS = {"ACCEPT": Action.ACCEPT, "RETURN": Action.RETURN}
# They accept packets with marks, which the packets of a probe do not have.
_BY_MARKS = ("CILIUM_", "OLD_CILIUM_", "KUBE-")
_OF_CILIUM = ("CILIUM_", "OLD_CILIUM_")  # chains of Cilium itself

Words = tuple[str, ...]
Filters = Mapping[Key, Chain[Words]]


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
    chains: dict[Key, Chain[Words]] = {}
    table = ""
    for line in answer.stdout.decode().splitlines():
        if len(line) > LINE_LIMIT:
            raise ValueError(f"a line of {len(line)} characters")
        if line.startswith("*"):
            table = line[1:]
        elif chain := _CHAIN.fullmatch(line):
            chains[table, chain[1]] = _chain(table, chain[1], chain[2], int(chain[3]))
        elif (rule := _RULE.fullmatch(line)) and (table, rule[2]) in chains:
            found = _rule(chains, table, rule[2], rule[3], int(rule[1]))
            chains[table, rule[2]].rules.extend([found] if found else [])
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
        translates=table == _NAT,
        policy=Loss(table, f"-P {name} DROP", packets) if drops else None,
    )


def _rule(chains: Filters, table: str, chain: str, text: str, packets: int) -> Rule[Words] | None:
    """The effect of a rule on packets that it matches; None: packets continue, or it drops packets but has matched
    none.
    """
    words = rule_words(text)
    target = _option(words, "-j", "-g") or ""
    does = _DOES.get(target) or (_DOES_IN_NAT.get(target) if table == _NAT else None)
    hands_on = None if chain.startswith(_OF_CILIUM) else _HANDS_ON.get(target)
    if does or hands_on:
        lost = Loss(table, f"-A {chain} {text}", packets, does or hands_on or "", certain=does is not None)
        return Rule(words, Action.LOSE, loss=lost) if packets else None
    if (table, target) in chains:
        action = Action.GOTO if _option(words, "-g") else Action.JUMP
        return Rule(words, action, target=(table, target))
    ends = _ENDS.get(target)
    return Rule(words, ends, by_mark=chain.startswith(_BY_MARKS)) if ends else None


def rule_words(text: str) -> Words:
    """The words of a rule, in which comments and other texts are quoted. Only a word with an escaped character needs
    `shlex`, which takes twenty times as long.
    """
    if "\\" in text or "'" in text:
        return tuple(shlex.split(text))
    words: list[str] = []
    for number, part in enumerate(text.split('"')):
        words += [part] if number % 2 else part.split()
    if text.count('"') % 2:
        raise ValueError("a quotation without an end")
    return tuple(words)


def _option(words: Words, *names: str) -> str | None:
    return next((words[i + 1] for i, word in enumerate(words[:-1]) if word in names), None)
