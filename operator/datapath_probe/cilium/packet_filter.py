"""The packet filters of a node: would its iptables rules drop a packet like ours?

Rules are followed as the kernel does, table by table, into chains and back. What a rule asks that can't be told of the
packet (marks, connection state, …) is not guessed at: such a rule neither drops nor accepts here.
Source: iptables 1.8 `iptables-save -c`, legacy and nf_tables alike.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import ip_address, ip_network

from ..evidence.question import Question
from ..evidence.reading import Answer
from .answers import parser
from .netns import inside

_CHAIN = re.compile(r":(\S+) (\S+) \[(\d+):\d+\]")
_RULE = re.compile(r"\[(\d+):\d+\] -A (\S+) ?(.*)")
_TABLES = ("raw", "mangle", "filter")
_END_IN_LOSS = frozenset({"DROP", "REJECT"})
_DEPTH = 16  # chains within chains; a loop is refused by the kernel
_STATES = frozenset({"NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"})  # a packet has one of them
_EXPLAINED = frozenset(
    {"tcp", "udp", "comment", "length", "conntrack", "state"}
)  # modules whose options are read here


class Fate(Enum):
    """What a rule, or a chain, does to a packet."""

    PASSES = "passes"
    ACCEPTED = "accepted"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Packet:
    """What is known of a packet; `devices`: those of its way, by either of which a rule may know it. `state`: what the
    kernel's conntrack takes it for.
    """

    protocol: str
    source: str
    destination: str
    destination_port: int | None = None
    source_port: int | None = None
    devices: frozenset[str] = frozenset()
    state: str = "NEW"


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


@dataclass(frozen=True, slots=True)
class Loss:
    """The rule that drops; `packets` None: it does not count. `by_size`: only packets of some length."""

    table: str
    rule: str
    packets: int | None
    by_size: bool


Filters = Mapping[str, Mapping[str, Chain]]


def question(node: str, namespace: str | None = None) -> Question:
    """All rules of the node, or inside a pod, with counters; `namespace` as `netns.find` tells it. Long where a
    kube-proxy writes thousands: asked only after a failure.
    """
    argv = ("iptables-save", "-c")
    return inside(node, namespace, *argv) if namespace else Question(node, argv, max_age_s=0.0)


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
        elif line and not line.startswith("#") and line != "COMMIT":
            raise ValueError(f"{line!r} is neither chain nor rule")
    return tables


def loss(filters: Filters, hooks: Sequence[str], packet: Packet) -> Loss | None:
    """The first rule that certainly drops this packet on its way through these built-in chains, and has dropped one."""
    for hook in hooks:
        for table in _TABLES:
            chains = filters.get(table, {})
            if hook in chains:
                fate, found = _walk(table, chains, hook, packet, 0)
                if fate is Fate.LOST:
                    return found
    return None


def _walk(
    table: str, chains: Mapping[str, Chain], name: str, packet: Packet, depth: int
) -> tuple[Fate, Loss | None]:
    chain = chains[name]
    for rule in chain.rules:
        target = _option(rule.words, "-j", "-g")
        if target is None or not _matches(rule.words, packet):
            continue
        if target in _END_IN_LOSS and rule.packets:
            return Fate.LOST, Loss(table, rule.text, rule.packets, by_size="--length" in rule.words)
        if target == "ACCEPT":
            return Fate.ACCEPTED, None
        if target == "RETURN":
            break
        if target in chains and depth < _DEPTH:
            fate, found = _walk(table, chains, target, packet, depth + 1)
            if fate is not Fate.PASSES:
                return fate, found
    if chain.policy == "DROP" and chain.packets:
        return Fate.LOST, Loss(table, f"-P {name} DROP", chain.packets, by_size=False)
    return Fate.PASSES, None


def _matches(words: tuple[str, ...], packet: Packet) -> bool:
    """Whether the rule certainly means this packet. `-m length` is taken to: packets come in all sizes."""
    rest = iter(words)
    for word in rest:
        if word in ("-j", "-g"):  # what follows is the target and its options
            break
        negated = word == "!"
        option = next(rest, "") if negated else word
        try:
            fits = _fits(option, next(rest, ""), packet)
        except ValueError:  # no address, no port
            return False
        if fits is not (not negated):
            return False
    return True


def _fits(option: str, value: str, packet: Packet) -> bool | None:
    """Whether one condition holds; None if that can't be told."""
    match option:
        case "-p":
            return value in (packet.protocol, "all")
        case "-s":
            return ip_address(packet.source) in ip_network(value, strict=False)
        case "-d":
            return ip_address(packet.destination) in ip_network(value, strict=False)
        case "-i" | "-o":
            prefix = value.removesuffix("+")
            return any(
                device.startswith(prefix) if prefix != value else device == value for device in packet.devices
            )
        case "--dport":
            return _in_range(packet.destination_port, value)
        case "--sport":
            return _in_range(packet.source_port, value)
        case "--ctstate" | "--state":
            states = set(value.split(","))
            return packet.state in states if states <= _STATES else None
        case "-m":
            return True if value in _EXPLAINED else None
        case "--comment" | "--length":
            return True
        case _:
            return None


def _in_range(port: int | None, value: str) -> bool | None:
    first, _, last = value.partition(":")
    return None if port is None else int(first or 0) <= port <= int(last or first or 65535)


def _option(words: tuple[str, ...], *names: str) -> str | None:
    return next((words[i + 1] for i, word in enumerate(words[:-1]) if word in names), None)


def _words(text: str) -> tuple[str, ...]:
    """Words as a shell has them: comments are quoted."""
    return tuple(shlex.split(text))
