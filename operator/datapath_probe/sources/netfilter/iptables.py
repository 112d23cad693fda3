"""The packet filters of a node: would its iptables rules drop a packet like ours?

A rule that asks what is not known of the packet (marks, contents, rates, …) may mean it: if it drops, and has dropped
some, it may have been this one. Called by `diagnose.netstack.netfilter`.
Source: iptables 1.8 `iptables-save -c`, legacy and nf_tables alike.
"""

import re
import shlex
from collections.abc import Mapping, Sequence

from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Answer
from ..packet import DIVERTS, DROPS, REDIRECTS, Loss, Match, Packet
from ..parsing import parser
from .iptables_match import matches
from .rule_walk import Action, Chain, Key, Rule, first_loss

_CHAIN = re.compile(r":(\S+) (\S+) \[(\d+):\d+\]")
_RULE = re.compile(r"\[(\d+):\d+\] -A (\S+) ?(.*)")
# What iptables-save says beside its rules.
_LEGACY_TOO, _OF_NF_TABLES = b"iptables-legacy tables present", b"(nf_tables)"
_NOT_TOLD = "is incompatible, use 'nft' tool"
_TABLES = ("raw", "mangle", "nat", "filter")  # in the order in which a packet meets them
_NAT = "nat"
_OF_USER = "-"  # instead of the policy: a chain that people or programs have made
_DOES = {"DROP": DROPS, "REJECT": DROPS}
_DOES_IN_NAT = {"REDIRECT": REDIRECTS, "DNAT": DIVERTS}
_HANDS_ON = {
    "NFQUEUE": "lets a program decide on",
    "TPROXY": "gives a proxy",
}  # and what becomes of them, who knows?
_ENDS = {"ACCEPT": Action.ACCEPT, "RETURN": Action.RETURN}
# They accept what bears marks, which a probe's packets do not.
_BY_MARKS = ("CILIUM_", "OLD_CILIUM_", "KUBE-")
_OF_CILIUM = ("CILIUM_", "OLD_CILIUM_")  # its own chains do what it wants

Words = tuple[str, ...]
Filters = Mapping[Key, Chain[Words]]


def fact(node: str, namespace: str | None = None, backend: str | None = None) -> Fact:
    """All rules of the node, or inside a pod, with counters; `namespace` as `netns.find` tells it; `backend`: legacy or
    nft, None: of the agent's own choice. Long where a kube-proxy writes thousands: asked only after a failure.
    """
    return Fact.of(FactKind.IPTABLES_RULES, node, backend=backend, namespace=namespace)


@parser("iptables-save")
def other_backend(answer: Answer) -> str | None:
    """The other backend, if there may be rules of it: the kernel follows those of both."""
    if _LEGACY_TOO in answer.stderr:
        return "legacy"
    return None if _OF_NF_TABLES in answer.stdout else "nft"


@parser("iptables-save")
def parse(answer: Answer) -> Filters:
    """Chains by table and name, table by table as a packet meets them."""
    chains: dict[Key, Chain[Words]] = {}
    table = ""
    for line in answer.stdout.decode().splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif chain := _CHAIN.fullmatch(line):
            chains[table, chain[1]] = _chain(table, chain[1], chain[2], int(chain[3]))
        elif (rule := _RULE.fullmatch(line)) and (table, rule[2]) in chains:
            found = _rule(chains, table, rule[2], rule[3], int(rule[1]))
            chains[table, rule[2]].rules.extend([found] if found else [])
        elif _NOT_TOLD in line:
            raise ValueError(line)
        elif line and not line.startswith("#") and line != "COMMIT":
            raise ValueError(f"{line!r} is neither chain nor rule")
    return {key: chains[key] for table in _TABLES for key in chains if key[0] == table}


def loss(filters: Filters, hooks: Sequence[str], packet: Packet, *, translated: bool = False) -> Loss | None:
    """The first rule that drops this packet on its path through these built-in chains, and has dropped one: one that
    certainly means it, else one that may. `translated`: it counts too if the packet is sent elsewhere.
    """

    def meant(rule: Rule[Words]) -> Match:
        # A rule that drops a share of all packets like this one has met some, so perhaps these.
        some = rule.action is Action.LOSE
        return matches(rule.conditions, packet, arriving="INPUT" in hooks, some=some)

    return first_loss(filters, hooks, packet, meant, translated=translated)


def _chain(table: str, name: str, policy: str, packets: int) -> Chain[Words]:
    drops = policy == "DROP" and packets > 0
    return Chain(
        hook="" if policy == _OF_USER else name,
        translates=table == _NAT,
        policy=Loss(table, f"-P {name} DROP", packets) if drops else None,
    )


def _rule(chains: Filters, table: str, chain: str, text: str, packets: int) -> Rule[Words] | None:
    """What a rule does to packets that it means; None: it lets them go on, or drops them and has met none so far."""
    words = tuple(shlex.split(text))  # as a shell has them: comments are quoted
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


def _option(words: Words, *names: str) -> str | None:
    return next((words[i + 1] for i, word in enumerate(words[:-1]) if word in names), None)
