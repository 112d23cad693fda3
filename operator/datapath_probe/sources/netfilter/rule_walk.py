"""Evaluates the rules of netfilter for a packet: one walk for iptables and nftables.

Both formats are translated into chains of rules, which are evaluated in the kernel's order. The packet is only partly
known, so a rule may or may not match it. Then both continuations stay open, and a later result is certain only if both
lead to it. A chain is walked once for each state in which packets enter it, so chains that jump to chains cost no more
than their rules. Called by `iptables` and `nftables`.
Source: Linux 6.x `net/ipv4/netfilter/ip_tables.c` (`ipt_do_table`), `net/netfilter/nf_tables_core.c` (`nft_do_chain`),
`net/netfilter/nf_nat_core.c` (`nf_nat_inet_fn`: only the first packet of a connection passes NAT chains).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Generic, TypeVar

from ...evidence.errors import EvidenceError
from ...evidence.reading import Unavailable
from ..packet import DIVERTS, REDIRECTS, Loss, Match, Packet

C = TypeVar("C")
Key = tuple[str, ...]  # of a chain: its table and name, preceded by the family if there is one

_DEPTH = 64  # nf_tables has 16 (NFT_JUMP_STACK_SIZE), iptables-legacy no limit; both reject loops
_STEPS = 20_000  # rules that one search evaluates; a node of kube-proxy with thousands of Services needs a few hundred

_State = tuple[int, bool, bool, bool, bool]  # the chain, and all that its result depends on


class TooManyStepsError(Exception):
    """The rules jump too deep, or there are too many of them: what they do to a packet is unknown."""


class Action(Enum):
    """What a rule does with packets that it matches."""

    LOSE = "lose"
    ACCEPT = "accept"
    RETURN = "return"
    JUMP = "jump"
    GOTO = "goto"


class Fate(Enum):
    """What certainly happens to a packet in a chain."""

    PASSES = "passes"
    ACCEPTED = "accepted"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Rule(Generic[C]):
    """`conditions` in the format's own form. `target`: the chain of a jump. `loss`: for a rule that drops or redirects.

    `by_mark`: its conditions are marks that packets of a probe do not have, so in doubt it does not match.
    `despite_doubt`: its counter shows that packets reached it, although an earlier rule may accept them.
    """

    conditions: C
    action: Action
    target: Key = ()
    loss: Loss | None = None
    by_mark: bool = False
    despite_doubt: bool = False

    @property
    def translates(self) -> bool:
        """Whether it sends packets to another destination."""
        return self.loss is not None and self.loss.does in (REDIRECTS, DIVERTS)


@dataclass(frozen=True, slots=True)
class Chain(Generic[C]):
    """`hook`: where the kernel calls it, "" if only other chains do; `devices`: it is called only for these.
    `translates`: it is a NAT chain. `policy`: the loss at its end.
    """

    hook: str = ""
    devices: frozenset[str] = frozenset()
    translates: bool = False
    policy: Loss | None = None
    rules: list[Rule[C]] = field(default_factory=list)


def first_loss(
    chains: Mapping[Key, Chain[C]],
    hooks: Sequence[str],
    packet: Packet,
    match_rule: Callable[[Rule[C]], Match],
    *,
    translated: bool,
) -> Loss | Unavailable | None:
    """The first rule that drops this packet at one of these hooks: one that certainly matches it, else one that may. An
    accept ends only its own base chain. `match_rule`: whether a rule matches the packet. `translated`: rules that
    redirect the packet count too. Unavailable if the rules are too many to follow.
    """
    losing = _losing_tables(chains, translated=translated)
    search = _Search(chains, match_rule, translated)
    suspect: Loss | None = None
    try:
        for hook in hooks:
            for key, chain in chains.items():
                if chain.hook != hook or key[:-1] not in losing or not _applies(chain, packet):
                    continue
                walk = _Walk(search)
                walk.through(chain)
                if walk.loss:
                    return walk.loss
                suspect = suspect or walk.suspect
    except TooManyStepsError:
        why = f"packet filter rules that jump more than {_DEPTH} chains deep, or more than {_STEPS} of them"
        return Unavailable(EvidenceError.TOO_MANY_RULES, f"{why}, are not followed")
    return suspect


def _applies(chain: Chain[C], packet: Packet) -> bool:
    at_device = not chain.devices or bool(chain.devices & packet.devices)
    return at_device and (packet.state == "NEW" or not chain.translates)


def _losing_tables(chains: Mapping[Key, Chain[C]], *, translated: bool) -> set[Key]:
    """The tables that can stop a packet at all. That of kube-proxy's Services only redirects, so it is passed over
    unless that counts.
    """
    return {
        key[:-1]
        for key, chain in chains.items()
        if chain.policy or any(rule.loss and (translated or not rule.translates) for rule in chain.rules)
    }


@dataclass(slots=True)
class _Search(Generic[C]):
    """What the walks of one search share: the rules, and whether each matches the packet. `steps`: rules evaluated."""

    chains: Mapping[Key, Chain[C]]
    match_rule: Callable[[Rule[C]], Match]
    translated: bool
    steps: int = 0
    _matches: dict[int, Match] = field(default_factory=dict)

    def match(self, rule: Rule[C]) -> Match:
        """Whether the rule matches the packet. Raises TooManyStepsError."""
        self.steps += 1
        if self.steps > _STEPS:
            raise TooManyStepsError
        if rule.translates and not self.translated:
            return Match.NO
        if id(rule) not in self._matches:
            self._matches[id(rule)] = self.match_rule(rule)
        return self._matches[id(rule)]


@dataclass(slots=True)
class _Walk(Generic[C]):
    """A packet in a base chain. `accepted`: a rule may have accepted it; `left`: a rule may have sent it out of the
    current chain. `suspect`: the first rule that may have dropped it. `walked`: the result of each chain, by state.
    """

    search: _Search[C]
    accepted: bool = False
    left: bool = False
    loss: Loss | None = None
    suspect: Loss | None = None
    walked: dict[_State, tuple[Fate, bool, Loss | None]] = field(default_factory=dict)

    def through(self, chain: Chain[C], *, surely: bool = True, depth: int = 0) -> Fate:
        """What certainly happens to a packet in this chain; `surely`: the packet certainly enters it."""
        state = id(chain), surely, self.accepted, self.left, self.suspect is None
        if state in self.walked:
            fate, self.accepted, self.suspect = self.walked[state]
            return fate
        left = self.left
        fate = self._through_rules(chain.rules, surely=surely, depth=depth)
        self.left = left  # packets that left the chain and those that reached its end continue together
        if fate is Fate.PASSES and chain.policy and self._loses(chain.policy, sure=not self.accepted):
            return Fate.LOST
        self.walked[state] = fate, self.accepted, self.suspect
        return fate

    def _through_rules(self, rules: Sequence[Rule[C]], *, surely: bool, depth: int) -> Fate:
        for rule in rules:
            match = self.search.match(rule)
            if match is Match.NO:
                continue
            certain = match is Match.YES and not self.left
            fate = self._fate(rule, certain=certain, surely=surely and match is Match.YES, depth=depth)
            if self.loss or (certain and fate is not Fate.PASSES):
                return fate
            if fate is Fate.ACCEPTED and not rule.by_mark:
                self.accepted = True
            if rule.action in (Action.RETURN, Action.GOTO):
                if match is Match.YES:
                    break
                self.left = self.left or not rule.by_mark
        return Fate.PASSES

    def _fate(self, rule: Rule[C], *, certain: bool, surely: bool, depth: int) -> Fate:
        """What happens to a packet that the rule matches. PASSES: a later rule decides, here or in the caller."""
        match rule.action:
            case Action.ACCEPT:
                return Fate.ACCEPTED
            case Action.LOSE if rule.loss:
                sure = surely and (rule.despite_doubt or not (self.accepted or self.left))
                lost = self._loses(rule.loss, sure=sure) or (certain and rule.loss.certain)
                return Fate.LOST if lost else Fate.PASSES
            case Action.JUMP | Action.GOTO if rule.target in self.search.chains:
                if depth == _DEPTH:
                    raise TooManyStepsError
                return self.through(self.search.chains[rule.target], surely=surely, depth=depth + 1)
            case Action.JUMP | Action.GOTO:
                self.accepted = True  # the target is not known
        return Fate.PASSES

    def _loses(self, loss: Loss, *, sure: bool) -> bool:
        """Record what stops the packet. Returns whether it certainly does."""
        if sure and loss.certain:
            self.loss = loss
            return True
        self.suspect = self.suspect or replace(loss, certain=False)
        return False
