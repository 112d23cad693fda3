"""A packet on its path through the rules of netfilter: one walk for iptables and nftables.

Both formats are translated into chains of rules, which are followed as the kernel does. Not everything is known of the
packet, so a rule may or may not mean it: then both continuations stay open, and what comes later is certain only where
both lead to it. Called by `iptables` and `nftables`.
Source: Linux 6.x `net/ipv4/netfilter/ip_tables.c` (`ipt_do_table`), `net/netfilter/nf_tables_core.c` (`nft_do_chain`),
`net/netfilter/nf_nat_core.c` (`nf_nat_inet_fn`: only the first packet of a connection meets chains of NAT).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Generic, TypeVar

from ..packet import DIVERTS, REDIRECTS, Loss, Match, Packet

C = TypeVar("C")
Key = tuple[str, ...]  # of a chain: its table and its name, and before them a family if there is any

_DEPTH = 16  # NFT_JUMP_STACK_SIZE; deeper rules, and loops, are refused by the kernel


class Action(Enum):
    """What a rule does with the packets that it means."""

    LOSE = "lose"
    ACCEPT = "accept"
    RETURN = "return"
    JUMP = "jump"
    GOTO = "goto"


class Fate(Enum):
    """What certainly becomes of a packet in a chain."""

    PASSES = "passes"
    ACCEPTED = "accepted"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Rule(Generic[C]):
    """`conditions` as the format has them. `target`: where a jump leads. `loss`: of a rule that loses.

    `by_mark`: it asks for marks that packets of a probe do not bear, so where it is uncertain it does nothing.
    `despite_doubt`: what it has counted shows that packets came here, although one before it may accept them.
    """

    conditions: C
    action: Action
    target: Key = ()
    loss: Loss | None = None
    by_mark: bool = False
    despite_doubt: bool = False

    @property
    def translates(self) -> bool:
        """It sends packets elsewhere."""
        return self.loss is not None and self.loss.does in (REDIRECTS, DIVERTS)


@dataclass(frozen=True, slots=True)
class Chain(Generic[C]):
    """`hook`: where the kernel calls it, "" if only other chains do; `devices`: the only ones at which it is called.
    `translates`: it is one of NAT. `policy`: the loss at its end.
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
    meant: Callable[[Rule[C]], Match],
    *,
    translated: bool,
) -> Loss | None:
    """The first rule that drops this packet at one of these hooks: one that certainly means it, else one that may. An
    accept ends only its own base chain. `meant`: whether a rule means the packet. `translated`: it counts too if the
    packet is sent elsewhere.
    """
    suspect: Loss | None = None
    for hook in hooks:
        for chain in chains.values():
            if chain.hook != hook or not _is_met(chain, packet):
                continue
            walk = _Walk(chains, meant, translated)
            walk.through(chain)
            if walk.loss:
                return walk.loss
            suspect = suspect or walk.suspect
    return suspect


def _is_met(chain: Chain[C], packet: Packet) -> bool:
    at_device = not chain.devices or bool(chain.devices & packet.devices)
    return at_device and (packet.state == "NEW" or not chain.translates)


@dataclass(slots=True)
class _Walk(Generic[C]):
    """A packet on its path through a base chain. `accepted`: a rule may have accepted it; `left`: one may have sent it
    out of the present chain. `suspect`: the first rule that may have dropped it.
    """

    chains: Mapping[Key, Chain[C]]
    meant: Callable[[Rule[C]], Match]
    translated: bool
    accepted: bool = False
    left: bool = False
    loss: Loss | None = None
    suspect: Loss | None = None

    def through(self, chain: Chain[C], *, surely: bool = True, depth: int = 0) -> Fate:
        """What certainly becomes of a packet that comes into this chain; `surely`: this one does."""
        left = self.left
        fate = self._through_rules(chain.rules, surely=surely, depth=depth)
        self.left = left  # those that left the chain and those that came to its end go on together
        if fate is Fate.PASSES and chain.policy and self._loses(chain.policy, sure=not self.accepted):
            return Fate.LOST
        return fate

    def _through_rules(self, rules: Sequence[Rule[C]], *, surely: bool, depth: int) -> Fate:
        for rule in rules:
            match = Match.NO if rule.translates and not self.translated else self.meant(rule)
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
        """What becomes of a packet that the rule means; PASSES: a rule behind it decides, here or in the caller."""
        match rule.action:
            case Action.ACCEPT:
                return Fate.ACCEPTED
            case Action.LOSE if rule.loss:
                sure = surely and (rule.despite_doubt or not (self.accepted or self.left))
                lost = self._loses(rule.loss, sure=sure) or (certain and rule.loss.certain)
                return Fate.LOST if lost else Fate.PASSES
            case Action.JUMP | Action.GOTO if depth < _DEPTH and rule.target in self.chains:
                return self.through(self.chains[rule.target], surely=surely, depth=depth + 1)
            case Action.JUMP | Action.GOTO:
                self.accepted = True  # nothing is known of what lies there
        return Fate.PASSES

    def _loses(self, loss: Loss, *, sure: bool) -> bool:
        """Note what keeps the packet from going on; whether it certainly does."""
        if sure and loss.certain:
            self.loss = loss
            return True
        self.suspect = self.suspect or replace(loss, certain=False)
        return False
