"""The IPsec policies and states (XFRM) of a node or a pod, and which policy decides about a packet.

IPsec that was switched off may leave policies behind that drop plain packets. States are read without their keys.
Called by `diagnose.netstack.xfrm`.
Source: iproute2 6.x `ip/xfrm_{policy,state}.c`, `ip/ipxfrm.c`; Linux 6.x `net/xfrm/xfrm_policy.c` (the lowest number is
the highest priority, then the oldest policy; `curlft.use_time`); Cilium 1.18 `bpf/lib/common.h` (marks).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network

from ...addresses import IpAddress, address
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Answer, Unavailable
from ..packet import Match, Packet
from ..parsing import failed, parser

_NUMBERS = {"tcp": "6", "udp": "17"}
_UNUSED = "-"
_BLOCKS, _OPTIONAL = "block", "use"
_LARVAL_SPI = 0  # a state that a key exchange has still to complete
# Only programs of Cilium's own IPsec set these marks, and paths with encryption are not judged.
_MARK_MASK, _MARKS_OF_IPSEC = 0xF00, frozenset({0xD00, 0xE00})
_NO_XFRM = b"Protocol not supported"  # a kernel without XFRM


class Direction(StrEnum):
    """When the kernel applies a policy: to packets for the host itself, forwarded packets, and all that leave it."""

    IN = "in"
    FORWARD = "fwd"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class Template:
    """The transformation that packets of a policy need. `optional`: packets without it pass, too."""

    protocol: str
    destination: IpAddress
    reqid: int
    mode: str
    optional: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """`selector`: the packets that it applies to, by iproute2's words, beside `source` and `destination`. `last_used`:
    when it last matched a packet, by the node's clock; "" if it never did. `mark`: value and mask. `if_id`: it applies
    only to packets of an XFRM interface.
    """

    direction: str
    blocks: bool
    priority: int
    source: IPv4Network | IPv6Network
    destination: IPv4Network | IPv6Network
    selector: dict[str, str] = field(default_factory=dict)
    mark: tuple[int, int] = (0, 0)
    if_id: bool = False
    last_used: str = ""
    templates: tuple[Template, ...] = ()

    @property
    def required(self) -> tuple[Template, ...]:
        """The transformations without which packets do not pass."""
        return tuple(template for template in self.templates if not template.optional)

    def __str__(self) -> str:
        more = "".join(f" {name} {value}" for name, value in self.selector.items())
        mark = f" mark {self.mark[0]:#x}/{self.mark[1]:#x}" if self.mark[1] else ""
        does = "action block" if self.blocks else " ".join(f"tmpl {t.protocol}" for t in self.templates)
        return (
            f"src {self.source} dst {self.destination}{more} dir {self.direction} priority {self.priority}{mark} "
            f"{does}".rstrip()
        )


@dataclass(frozen=True, slots=True)
class State:
    """A security association that packets can be transformed with."""

    protocol: str
    destination: IpAddress
    reqid: int
    mode: str

    def serves(self, template: Template) -> bool:
        """Whether packets that need this transformation get it from this state."""
        own = (self.protocol, self.reqid, self.mode)
        at_other_end = template.mode != "tunnel" or self.destination == template.destination
        return own == (template.protocol, template.reqid, template.mode) and at_other_end


def policies(node: str, namespace: str | None = None) -> Fact:
    """All policies of the node, or inside a pod; `namespace` as `netns.find` returns it."""
    return Fact.of(FactKind.XFRM_POLICIES, node, namespace=namespace)


def defaults(node: str, namespace: str | None = None) -> Fact:
    """What happens to packets without a policy."""
    return Fact.of(FactKind.XFRM_DEFAULTS, node, namespace=namespace)


def states(node: str, namespace: str | None = None) -> Fact:
    """All states, without keys."""
    return Fact.of(FactKind.XFRM_STATES, node, namespace=namespace)


@parser("ip xfrm policy", exit_codes=range(256))
def parse_policies(answer: Answer) -> tuple[Policy, ...] | Unavailable:
    """Policies in the order in which the kernel considers them; those of single sockets are left out."""
    if answer.exit_code:
        return () if _NO_XFRM in answer.stderr else failed(answer, "ip xfrm policy")
    listed = [_policy(entry) for entry in _entries(answer) if "dir" in entry[1].split()]
    listed.reverse()  # printed with the newest first
    return tuple(sorted(listed, key=lambda policy: policy.priority))


@parser("ip xfrm policy getdefault", exit_codes=range(256))
def parse_defaults(answer: Answer) -> frozenset[Direction] | Unavailable:
    """The directions in which packets without a policy are dropped; none if the kernel or the tool has no default."""
    if answer.exit_code:
        return frozenset()
    shown = (line.split() for line in answer.stdout.decode().splitlines())
    return frozenset(Direction(words[0].removesuffix(":")) for words in shown if words[1:] == [_BLOCKS])


@parser("ip xfrm state", exit_codes=range(256))
def parse_states(answer: Answer) -> tuple[State, ...] | Unavailable:
    """The states that are complete."""
    if answer.exit_code:
        return () if _NO_XFRM in answer.stderr else failed(answer, "ip xfrm state")
    return tuple(state for entry in _entries(answer) if (state := _state(entry)))


def matches(policy: Policy, packet: Packet) -> Match:
    """Whether the policy applies to the packet. It may, if packets of this path may have its mark."""
    ours = packet.source in policy.source and packet.destination in policy.destination
    if not ours or policy.if_id or False in (held := _held(policy.selector, packet)):
        return Match.NO
    value, mask = policy.mark
    if value & _MARK_MASK in _MARKS_OF_IPSEC:
        return Match.NO
    return Match.UNKNOWN if value & mask or None in held else Match.YES


def _held(selector: dict[str, str], packet: Packet) -> tuple[bool | None, ...]:
    """Whether each condition of a selector holds; None if unknown."""
    ports = {"sport": packet.source_port, "dport": packet.destination_port}
    return tuple(
        None if name in ports and ports[name] is None else _holds(name, value, packet, ports)
        for name, value in selector.items()
    )


def _holds(name: str, value: str, packet: Packet, ports: dict[str, int | None]) -> bool | None:
    match name:
        case "proto":
            return value in (packet.protocol, _NUMBERS[packet.protocol])
        case "sport" | "dport":
            return value == str(ports[name])
        case "dev":
            return value in packet.devices
        case _:
            return None


def _entries(answer: Answer) -> Iterator[list[str]]:
    """The lines of each policy or state: the first is not indented."""
    entries: list[list[str]] = []
    for line in answer.stdout.decode().splitlines():
        if line.startswith("src "):
            entries.append([])
        if not entries:
            raise ValueError(f"{line!r} is not a selector")
        entries[-1].append(line)
    for entry in entries:
        if len(entry) < 2:
            raise ValueError(f"{entry[0]!r} is cut off")
        yield entry


def _policy(entry: list[str]) -> Policy:
    selector, own = _pairs(entry[0]), _pairs(entry[1])
    selector.pop("uid", None)
    source, destination = (ip_network(_word(selector, end)) for end in ("src", "dst"))
    value, _, mask = next(
        (_word(_pairs(line), "mark") for line in _starting(entry, "mark")), "0/0"
    ).partition("/")
    used = next((line.partition(" use ")[2].strip() for line in _starting(entry, "add")), _UNUSED)
    return Policy(
        direction=_word(own, "dir"),
        blocks=own.get("action") == _BLOCKS,
        priority=int(_word(own, "priority")),
        source=source,
        destination=destination,
        selector={name: word for name, word in selector.items() if name not in ("src", "dst")},
        mark=(int(value, 0), int(mask, 0)),
        if_id=any(_starting(entry, "if_id")),
        last_used="" if used == _UNUSED else used,
        templates=tuple(_templates(entry)),
    )


def _templates(entry: list[str]) -> Iterator[Template]:
    """A template has three lines or more: its ends, what it is, and its level."""
    for place, line in enumerate(entry):
        if line.split()[:1] != ["tmpl"]:
            continue
        words = " ".join(entry[place : place + 3]).split()[1:]
        shown = dict(zip(words[::2], words[1::2], strict=False))
        yield Template(
            protocol=_word(shown, "proto"),
            destination=address(_word(shown, "dst")),
            reqid=_number(shown, "reqid"),
            mode=_word(shown, "mode"),
            optional=shown.get("level") == _OPTIONAL,
        )


def _state(entry: list[str]) -> State | None:
    ends, own = _pairs(entry[0]), _pairs(entry[1])
    if _number(own, "spi") == _LARVAL_SPI:
        return None
    return State(_word(own, "proto"), address(_word(ends, "dst")), _number(own, "reqid"), _word(own, "mode"))


def _starting(entry: list[str], word: str) -> Iterator[str]:
    return (line for line in entry[2:] if line.split()[:1] == [word])


def _pairs(line: str) -> dict[str, str]:
    """The words of a line as names and values."""
    words = line.split()
    return dict(zip(words[::2], words[1::2], strict=False))


def _word(shown: dict[str, str], name: str) -> str:
    if name not in shown:
        raise ValueError(f"no {name!r} in an entry")
    return shown[name]


def _number(shown: dict[str, str], name: str) -> int:
    """A number, before its other notation as in `1(0x00000001)`."""
    return int(_word(shown, name).partition("(")[0], 0)
