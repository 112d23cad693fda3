"""The chain in which Cilium's agent tells netfilter which packets to masquerade. Called by the check of `masquerade`.

Only this chain is read: the table also has the rules of kube-proxy for all Services.
Source: Cilium 1.18 `pkg/datapath/iptables/iptables.go` (`installMasqueradeRules`); iptables 1.8 `iptables -S`.
"""

from dataclasses import dataclass

from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Absent, Answer
from ..packet import Match, Packet
from ..parsing import parser
from .iptables import LINE_LIMIT
from .iptables_match import matches
from .rule_text import Words, option, rule_words

CHAIN = "CILIUM_POST_nat"
_APPEND = f"-A {CHAIN} "
_TRANSLATES = ("MASQUERADE", "SNAT")
_ENDS = (*_TRANSLATES, "ACCEPT", "RETURN")
_MARK = "--mark"  # packets of a probe have none
_NO_CHAIN = b"No chain/target/match by that name"

Rules = tuple[Words, ...]


def fact(node: str, family: int) -> Fact:
    """The rules of the chain, for packets of this version of IP."""
    return Fact.of(FactKind.MASQUERADE_RULES, node, family=family)


@parser("iptables", exit_codes=range(256))
def parse(answer: Answer) -> Rules | Absent:
    """The words of each rule; Absent if there is no such chain."""
    if answer.exit_code:
        if _NO_CHAIN in answer.stderr:
            return Absent()
        raise ValueError(answer.stderr.decode(errors="replace") or f"exit code {answer.exit_code}")
    lines = answer.stdout.decode().splitlines()
    if any(len(line) > LINE_LIMIT for line in lines):
        raise ValueError("a line that is too long")
    return tuple(rule_words(line.removeprefix(_APPEND)) for line in lines if line.startswith(_APPEND))


@dataclass(frozen=True, slots=True)
class Translation:
    """What the rules do to a packet. `rule`: the one that decides, "" if none does. `certain`: no other may decide."""

    translates: bool
    certain: bool
    rule: str = ""


def translation_of(rules: Rules, packet: Packet) -> Translation:
    """The first rule that decides about the packet."""
    certain = True
    for words in rules:
        target = option(words, "-j")
        match = matches(words, packet, arriving=False) if target in _ENDS else Match.NO
        if match is Match.NO or (match is Match.UNKNOWN and _MARK in words):
            continue
        if match is Match.YES:
            return Translation(target in _TRANSLATES, certain, " ".join(words))
        certain = False
    return Translation(translates=False, certain=certain)
