"""The packet filters that `nft` or a firewall of the host has made: would they drop a packet like ours?

Agents' images have no `nft`, so the kernel is asked by netlink (`nftables.pl`). What iptables has made is left to
`packet_filter`. A rule that asks what is not known of the packet (a set, a mark, …) is not guessed at: it may have
dropped it, and behind one that might accept, only a rule that has counted packets certainly does.
Source: Linux 6.x `include/uapi/linux/netfilter/nf_tables.h`, `net/netfilter/nf_tables_core.c`, `nft_{meta,cmp}.c`;
`net/netfilter/nfnetlink.c` (EINVAL for a subsystem that is not there).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from ...evidence.question import Question
from ...evidence.reading import Answer, Unavailable
from ..netns import inside
from ..packet import DROPS, REDIRECTS, Loss, Match, Packet
from ..parsing import failed, parser
from .nft_match import Expression, matches

_PROGRAM = ("perl", "-e")
_NEW_CHAIN, _NEW_RULE = 0x0A03, 0x0A06
_NETLINK_HEADER, _NFNETLINK_HEADER, _ATTRIBUTE_HEADER = 16, 4, 4
_FAMILIES = {1: "inet", 2: "ip", 5: "netdev"}  # those that see IPv4
_HOOKS = dict(enumerate(("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")))
_NETDEV_HOOKS = {0: "INGRESS", 1: "EGRESS"}  # of a device: before and after all others
_DROP, _ACCEPT, _CONTINUE, _GOTO, _RETURN = 0, 1, -1, -4, -5
_HAND_ON, _TRANSLATE = 3, -100  # NF_QUEUE, or to a proxy; the second is no number of the kernel's
_DOES = {_DROP: DROPS, _HAND_ON: "lets a program decide on", _TRANSLATE: REDIRECTS}
_DESTINATION_NAT = 1
_VERDICT_REGISTER = 0
_DEPTH = 16
# What the script says in a kernel without nf_tables, and in one without netlink for packet filters.
_NO_NF_TABLES = (b"the kernel refuses: -22", b"no netlink socket: Protocol not supported")

Attributes = Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class Rule:
    """`packets`: how many it has met, None where it does not count. `verdict` None: it goes on; `to`: a chain."""

    handle: int
    conditions: tuple[Expression, ...]
    packets: int | None
    verdict: int | None
    to: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """`hook`: where the kernel calls it, "" if only other chains do. `devices`: of a netdev chain."""

    family: str
    table: str
    name: str
    hook: str
    devices: frozenset[str]
    drops: bool
    rules: list[Rule] = field(default_factory=list)


Chains = Mapping[tuple[str, str, str], Chain]


def question(node: str, namespace: str | None = None) -> Question:
    """All chains and rules of the node, or inside a pod; `namespace` as `netns.find` tells it."""
    argv = (*_PROGRAM, _script())
    return inside(node, namespace, *argv) if namespace else Question(node, argv, max_age_s=0.0)


@cache
def _script() -> str:
    return files(__package__).joinpath("nftables.pl").read_text()


@parser("nf_tables", exit_codes=range(256))
def parse(answer: Answer) -> Chains | Unavailable:
    """Chains with their rules, by family, table and name: none in a kernel without nf_tables."""
    if answer.exit_code:
        return {} if answer.stderr.strip() in _NO_NF_TABLES else failed(answer, "nf_tables")
    chains: dict[tuple[str, str, str], Chain] = {}
    for kind, family, attributes in _messages(answer.stdout):
        try:
            _add(chains, kind, _FAMILIES.get(family), attributes)
        except KeyError as error:
            raise ValueError(f"a message of type {kind} lacks attribute {error}") from None
    return chains


def _add(chains: dict[tuple[str, str, str], Chain], kind: int, family: str | None, told: Attributes) -> None:
    if family and kind == _NEW_CHAIN:
        chain = _chain(family, told)
        chains[family, chain.table, chain.name] = chain
    elif family and kind == _NEW_RULE:
        chain_of = chains.get((family, _text(told[1]), _text(told[2])))
        if chain_of:
            chain_of.rules.append(_rule(told))


def loss(chains: Chains, hooks: Sequence[str], packet: Packet, *, translated: bool = False) -> Loss | None:
    """The first rule that drops this packet on its way through these hooks: one that certainly means it, else one that
    may. An accept ends but its own base chain. `translated`: it counts too if the packet is sent elsewhere.
    """
    doubtful: Loss | None = None
    for hook in hooks:
        for chain in chains.values():
            if chain.hook == hook and (not chain.devices or chain.devices & packet.devices):
                walk = _Walk(chains, packet, translated)
                if walk.through(chain) is _DROP:
                    return walk.loss
                doubtful = doubtful or walk.suspect
    return doubtful


@dataclass(slots=True)
class _Walk:
    """A packet on its way through a base chain. `doubtful`: it may have been accepted, which can't be told; `suspect`:
    a rule that may have dropped it.
    """

    chains: Chains
    packet: Packet
    translated: bool
    doubtful: bool = False
    loss: Loss | None = None
    suspect: Loss | None = None

    def through(self, chain: Chain, depth: int = 0) -> int | None:
        """The verdict of a chain; None: it goes on behind the rule that called it."""
        for rule in chain.rules:
            if rule.verdict is None or rule.packets == 0:
                continue
            match = matches(rule.conditions, self.packet)
            if match is Match.NO:
                continue
            verdict = self._verdict(chain, rule, match, depth)
            if verdict is _RETURN:
                return None
            if verdict is not None:
                return verdict
        if chain.drops:
            return self._lost(chain, "policy drop", None, _DROP, certain=not self.doubtful)
        return None

    def _verdict(self, chain: Chain, rule: Rule, match: Match, depth: int) -> int | None:
        """What becomes of the packet by this rule; None: the next one decides."""
        certain = match is not Match.UNKNOWN
        if rule.verdict == _TRANSLATE and not (self.translated and self.packet.state == "NEW"):
            return None
        if rule.verdict in _DOES:
            surely = certain and rule.verdict != _HAND_ON and not (self.doubtful and not rule.packets)
            what = f"rule with handle {rule.handle}"
            return self._lost(chain, what, rule.packets, rule.verdict, certain=surely)
        called = self.chains.get((chain.family, chain.table, rule.to))
        if called and depth < _DEPTH:
            other = _Walk(self.chains, self.packet, self.translated, self.doubtful)
            verdict = other.through(called, depth + 1)
            self.doubtful = other.doubtful or (verdict is not None and not certain)
            self.suspect = self.suspect or other.suspect or (None if certain else other.loss)
            if verdict is not None and certain:
                self.loss = other.loss
                return verdict
            return _RETURN if rule.verdict == _GOTO and certain else None
        if not certain:
            self.doubtful = True
            return None
        return _RETURN if rule.verdict == _RETURN else _ACCEPT

    def _lost(
        self, chain: Chain, what: str, packets: int | None, verdict: int, *, certain: bool
    ) -> int | None:
        where = f"{what} in chain {chain.name}"
        found = Loss(f"{chain.family} {chain.table}", where, packets, _DOES[verdict], certain)
        if certain:
            self.loss = found
            return _DROP
        self.suspect = self.suspect or found
        return None


def _messages(octets: bytes) -> Iterator[tuple[int, int, Attributes]]:
    """(type, family, attributes) of each netlink message. ValueError if one is cut."""
    place = 0
    while place < len(octets):
        length = int.from_bytes(octets[place : place + 4], "little")
        if length < _NETLINK_HEADER + _NFNETLINK_HEADER or place + length > len(octets):
            raise ValueError("cut in a message")
        body = octets[place + _NETLINK_HEADER : place + length]
        kind = int.from_bytes(octets[place + 4 : place + 6], "little")
        yield kind, body[0], dict(_attributes(body[_NFNETLINK_HEADER:]))
        place += length


def _attributes(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, contents) of each attribute, without the flags of its type."""
    place = 0
    while place + _ATTRIBUTE_HEADER <= len(octets):
        length = int.from_bytes(octets[place : place + 2], "little")
        if length < _ATTRIBUTE_HEADER or place + length > len(octets):
            raise ValueError("cut in an attribute")
        kind = int.from_bytes(octets[place + 2 : place + 4], "little") & 0x3FFF
        yield kind, octets[place + _ATTRIBUTE_HEADER : place + length]
        place += (length + 3) & ~3


def _chain(family: str, told: Attributes) -> Chain:
    hook = dict(_attributes(told.get(4, b"")))
    number = _number(hook[1]) if 1 in hook else None
    names = [hook[3]] if 3 in hook else [name for _, name in _attributes(hook.get(4, b""))]
    called = (_NETDEV_HOOKS if family == "netdev" else _HOOKS).get(number, "") if number is not None else ""
    drops = 5 in told and _number(told[5]) == _DROP
    return Chain(
        family,
        _text(told[1]),
        _text(told[3]),
        called,
        frozenset(map(_text, names)),
        drops and number is not None,
    )


def _rule(told: Attributes) -> Rule:
    """A rule by its expressions: those that ask, what it counts, and what it does."""
    conditions: list[Expression] = []
    packets: int | None = None
    verdict: int | None = None
    to = ""
    for _, element in _attributes(told.get(4, b"")):
        expression = dict(_attributes(element))
        name, data = _text(expression[1]), dict(_attributes(expression.get(2, b"")))
        if name == "immediate" and _number(data[1]) == _VERDICT_REGISTER:
            decided = dict(_attributes(dict(_attributes(data[2]))[2]))
            verdict, to = _number(decided[1], signed=True), _text(decided.get(2, b""))
        elif name == "reject":
            verdict = _DROP
        elif name in ("queue", "tproxy"):
            verdict = _HAND_ON
        elif name == "redir" or (name == "nat" and _number(data.get(1, b"\0")) == _DESTINATION_NAT):
            verdict = _TRANSLATE
        elif name == "counter":
            packets = _number(data[2])
        else:
            conditions.append(Expression(name, data))
    return Rule(_number(told[3]), tuple(conditions), packets, None if verdict == _CONTINUE else verdict, to)


def _number(octets: bytes, *, signed: bool = False) -> int:
    return int.from_bytes(octets, "big", signed=signed)


def _text(octets: bytes) -> str:
    return octets.split(b"\0", 1)[0].decode()
