"""The packet filters of a node: would its iptables rules drop a packet like ours?

Rules are followed as the kernel does, table by table, into chains and back. Where a rule asks what can't be told of the
packet (marks, contents, rates, …), it accepts nothing; if it drops, and has dropped some, it may have been this one.
Source: iptables 1.8 `iptables-save -c`, legacy and nf_tables alike.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from ...evidence.question import Question
from ...evidence.reading import Answer
from ..netns import inside
from ..packet import DIVERTS, DROPS, REDIRECTS, Loss, Match, Packet
from ..parsing import parser
from .iptables_match import matches

_CHAIN = re.compile(r":(\S+) (\S+) \[(\d+):\d+\]")
_RULE = re.compile(r"\[(\d+):\d+\] -A (\S+) ?(.*)")
# What iptables-save says beside its rules.
_LEGACY_TOO, _OF_NF_TABLES = b"iptables-legacy tables present", b"(nf_tables)"
_NOT_TOLD = "is incompatible, use 'nft' tool"
_TABLES = ("raw", "mangle", "nat", "filter")
_NAT = "nat"
_DOES = {"DROP": DROPS, "REJECT": DROPS}
_DOES_IN_NAT = {"REDIRECT": REDIRECTS, "DNAT": DIVERTS}
_HANDS_ON = {
    "NFQUEUE": "lets a program decide on",
    "TPROXY": "gives a proxy",
}  # and what becomes of them, who knows?
# They accept what bears marks, which a probe's packets do not.
_BY_MARKS = ("CILIUM_", "OLD_CILIUM_", "KUBE-")
_OF_CILIUM = ("CILIUM_", "OLD_CILIUM_")  # its own chains do what it wants
_DEPTH = 16  # chains within chains; a loop is refused by the kernel


class Fate(Enum):
    """What a rule, or a chain, does to a packet."""

    PASSES = "passes"
    ACCEPTED = "accepted"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `packets`: how many it has met since it was made. `text` as iptables takes it."""

    packets: int
    text: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """`policy`: what becomes of a packet at its end; "-" for a chain that people or programs have made."""

    policy: str
    packets: int
    rules: list[Rule] = field(default_factory=list)


Filters = Mapping[str, Mapping[str, Chain]]


def question(node: str, namespace: str | None = None, program: str = "iptables-save") -> Question:
    """All rules of the node, or inside a pod, with counters; `namespace` as `netns.find` tells it; `program`: of the
    agent's own choice, or of one backend. Long where a kube-proxy writes thousands: asked only after a failure.
    """
    argv = (program, "-c")
    return inside(node, namespace, *argv) if namespace else Question(node, argv, max_age_s=0.0)


@parser("iptables-save")
def other_backend(answer: Answer) -> str | None:
    """The program that tells the rules of the other backend, if there may be any: the kernel follows those of both."""
    if _LEGACY_TOO in answer.stderr:
        return "iptables-legacy-save"
    return None if _OF_NF_TABLES in answer.stdout else "iptables-nft-save"


@parser("iptables-save")
def parse(answer: Answer) -> Filters:
    """Chains by name, by table."""
    tables: dict[str, dict[str, Chain]] = {}
    chains: dict[str, Chain] = {}
    for line in answer.stdout.decode().splitlines():
        if line.startswith("*"):
            chains = tables.setdefault(line[1:], {})
        elif chain := _CHAIN.fullmatch(line):
            chains[chain[1]] = Chain(chain[2], int(chain[3]))
        elif (rule := _RULE.fullmatch(line)) and rule[2] in chains:
            chains[rule[2]].rules.append(Rule(int(rule[1]), f"-A {rule[2]} {rule[3]}", _words(rule[3])))
        elif _NOT_TOLD in line:
            raise ValueError(line)
        elif line and not line.startswith("#") and line != "COMMIT":
            raise ValueError(f"{line!r} is neither chain nor rule")
    return tables


def loss(filters: Filters, hooks: Sequence[str], packet: Packet, *, translated: bool = False) -> Loss | None:
    """The first rule that drops this packet on its way through these built-in chains, and has dropped one: one that
    certainly means it, else one that may. `translated`: it counts too if the packet is sent elsewhere.
    """
    doubtful: Loss | None = None
    for hook in hooks:
        for table in _TABLES:
            chains = filters.get(table, {})
            if hook not in chains or (table == _NAT and not (translated and packet.state == "NEW")):
                continue
            walk = _Walk(table, chains, packet, "INPUT" in hooks)
            if walk.through(hook) is Fate.LOST:
                return walk.loss
            doubtful = doubtful or walk.doubtful
    return doubtful


@dataclass(slots=True)
class _Walk:
    """A packet on its way through a built-in chain of a table. `doubtful`: a rule that may have dropped it; `accepted`:
    one before it may have let it pass.
    """

    table: str
    chains: Mapping[str, Chain]
    packet: Packet
    arriving: bool
    loss: Loss | None = None
    doubtful: Loss | None = None
    accepted: bool = False

    def through(self, name: str, *, surely: bool = True, depth: int = 0) -> Fate:
        """What becomes of the packet in a chain, if it comes there; `surely`: it does."""
        chain = self.chains[name]
        for rule in chain.rules:
            target = _option(rule.words, "-j", "-g") or ""
            match = matches(rule.words, self.packet, arriving=self.arriving)
            if match is Match.NO:
                continue
            certain = surely and match is Match.YES
            found = self._loss(name, rule, target)
            if found:
                if self._drops(found, sure=surely and found.certain and self._takes_some(rule)):
                    return Fate.LOST
            elif target in self.chains and depth < _DEPTH:
                fate = self.through(target, surely=certain, depth=depth + 1)
                if fate is not Fate.PASSES:
                    return fate
            elif target == "RETURN" and match is Match.YES:
                return Fate.PASSES
            elif target == "ACCEPT" and match is Match.YES:
                return Fate.ACCEPTED if surely else Fate.PASSES
            elif target == "ACCEPT" and not name.startswith(_BY_MARKS):
                self.accepted = True
        return self._at_the_end(name, chain)

    def _at_the_end(self, name: str, chain: Chain) -> Fate:
        """What becomes of the packet behind the last rule of a chain."""
        lost = Loss(self.table, f"-P {name} DROP", chain.packets)
        dropped = chain.policy == "DROP" and chain.packets and self._drops(lost, sure=True)
        return Fate.LOST if dropped else Fate.PASSES

    def _drops(self, found: Loss, *, sure: bool) -> bool:
        """Note what keeps the packet from going on; whether it certainly does."""
        if sure and not self.accepted:
            self.loss = found
            return True
        self.doubtful = self.doubtful or replace(found, certain=False)
        return False

    def _takes_some(self, rule: Rule) -> bool:
        """Whether the rule certainly means the packet, or a share of all like it: it has met some, so perhaps these."""
        return matches(rule.words, self.packet, arriving=self.arriving, some=True) is Match.YES

    def _loss(self, name: str, rule: Rule, target: str) -> Loss | None:
        """What the rule does to packets that it means, if it has met any and that is no good."""
        does = _DOES.get(target) or (_DOES_IN_NAT.get(target) if self.table == _NAT else None)
        hands_on = _HANDS_ON.get(target)
        if not rule.packets or not (does or hands_on) or (hands_on and name.startswith(_OF_CILIUM)):
            return None
        return Loss(self.table, rule.text, rule.packets, does or hands_on or "", certain=does is not None)


def _option(words: tuple[str, ...], *names: str) -> str | None:
    return next((words[i + 1] for i, word in enumerate(words[:-1]) if word in names), None)


def _words(text: str) -> tuple[str, ...]:
    """Words as a shell has them: comments are quoted."""
    return tuple(shlex.split(text))
