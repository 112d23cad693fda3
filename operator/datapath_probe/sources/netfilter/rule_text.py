"""The text of an iptables rule: all of its line but the counters.

kube-proxy writes the same rules on each node, thousands of them, and from one reading to the next only counters change.
So the text of a node's rule is parsed once for all nodes and readings. Called by `iptables`.
Source: iptables 1.8 `iptables-save -c`.
"""

import shlex
from collections.abc import Container
from dataclasses import dataclass, replace
from typing import Self

from ..packet import DIVERTS, DROPS, REDIRECTS, Loss
from .rule_walk import Action, Key, Rule

NAT = "nat"
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

LIMIT_BYTES = 64 * 1024 * 1024
# A rule and its place in the table of known rules; a word apart from its characters.
_ENTRY_BYTES, _WORD_BYTES = 600, 57

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleText:
    """`chain`: that of the rule. `loss`: of a rule that stops packets, without their number. `jump`: the rule if its
    target is a chain; `end`: the rule if it is not, None if packets continue.
    """

    chain: Key
    words: Words
    loss: Loss | None = None
    jump: Rule[Words] | None = None
    end: Rule[Words] | None = None

    @classmethod
    def of(cls, table: str, line: str) -> Self:
        """The rule of a line without its counters and `-A`. Raises ValueError."""
        chain, _, text = line.partition(" ")
        words = rule_words(text)
        target = option(words, "-j", "-g") or ""
        does = _DOES.get(target) or (_DOES_IN_NAT.get(target) if table == NAT else None)
        hands_on = None if chain.startswith(_OF_CILIUM) else _HANDS_ON.get(target)
        if does or hands_on:
            loss = Loss(table, f"-A {chain} {text}", 0, does or hands_on or "", certain=does is not None)
            return cls((table, chain), words, loss)
        action = Action.GOTO if option(words, "-g") else Action.JUMP
        jump = Rule(words, action, target=(table, target)) if target else None
        ends = _ENDS.get(target)
        end = Rule(words, ends, by_mark=chain.startswith(_BY_MARKS)) if ends else None
        return cls((table, chain), words, jump=jump, end=end)

    def rule(self, chains: Container[Key], packets: int) -> Rule[Words] | None:
        """Its effect on packets that it matches; None: packets continue, or it stops packets but has matched none."""
        if self.loss:
            return (
                Rule(self.words, Action.LOSE, loss=replace(self.loss, packets=packets)) if packets else None
            )
        return self.jump if self.jump and self.jump.target in chains else self.end


class KnownRuleTexts:
    """The texts that were parsed. If they take more than `limit_bytes` of memory (estimated), all are forgotten."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._bytes = 0
        self._known: dict[tuple[str, str], RuleText] = {}

    def get(self, table: str, line: str) -> RuleText:
        """See `RuleText.of`."""
        known = self._known.get((table, line))
        if known is None:
            known = RuleText.of(table, line)
            self._bytes += _ENTRY_BYTES + 2 * len(line) + _WORD_BYTES * len(known.words)
            if self._bytes > self._limit:
                self._known.clear()
                self._bytes = 0
            self._known[table, line] = known
        return known


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


def option(words: Words, *names: str) -> str | None:
    """The word after the first of these options."""
    return next((words[i + 1] for i, word in enumerate(words[:-1]) if word in names), None)
