"""Whether the conditions of an nf_tables rule hold for a packet that is only partly known. Called by `nftables`.

The expressions of a rule load properties of the packet into registers and compare them.
Source: Linux 6.x `include/uapi/linux/netfilter/nf_tables.h`, `net/netfilter/nft_{meta,payload,bitwise,cmp}.c`,
`net/ipv{4,6}/netfilter/nft_fib_ipv{4,6}.c`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from typing import TypeVar

from ...addresses import IpFamily, family_of
from ..packet import Match, Packet, Routes, no_routes
from .nft_fib import result as fib_result

_NAME_OCTETS = 16
_FLAGS_OCTET = 13  # offset in the TCP header


@dataclass(frozen=True, slots=True)
class _IpHeader:
    """A version of IP: its numbers in netfilter and in frames, and offsets in its header. `uncounted`: octets of the
    packet that the length in the header does not count.
    """

    netfilter: int
    ethernet: bytes
    length: int
    uncounted: int
    protocol: int
    source: int
    destination: int


_IP_HEADERS = {
    IpFamily.IPV4: _IpHeader(2, b"\x08\0", 2, 0, 9, 12, 16),
    IpFamily.IPV6: _IpHeader(10, b"\x86\xdd", 4, 40, 6, 8, 24),
}
_PROTOCOLS = {"tcp": 6, "udp": 17}
_CT_STATES = {"ESTABLISHED": 2, "NEW": 8}
_TCP_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG")
_COMPARED: Mapping[str, Callable[[bytes, bytes], bool]] = {
    "NFT_CMP_EQ": eq,
    "NFT_CMP_NEQ": ne,
    "NFT_CMP_LT": lt,
    "NFT_CMP_LTE": le,
    "NFT_CMP_GT": gt,
    "NFT_CMP_GTE": ge,
}
# Registers overlap: each register of 16 bytes covers four registers of 4 bytes.
_PLACES = {f"NFT_REG32_{number:02}": number for number in range(16)} | {
    f"NFT_REG_{number + 1}": 4 * number for number in range(4)
}
_UNCONDITIONAL = frozenset({"log", "notrack", "comment"})  # are not conditions

Attributes = Mapping[str, object]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Expression:
    """One condition, or the load of a value that a later one compares; `data`: its attributes, named as in
    `nft_netlink`.
    """

    name: str
    data: Attributes


Conditions = tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class _Device:
    """A value that is one of these names."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Size:
    """A value that is any size: packets of all sizes occur."""


_Value = bytes | _Device | _Size


def matches(conditions: Sequence[Expression], packet: Packet, routes: Routes = no_routes) -> Match:
    """Whether all conditions hold; one that does not hold is enough for NO. `routes`: those of the host."""
    registers: dict[int, _Value] = {}
    found = Match.YES
    for condition in conditions:
        try:
            match = _step(condition, packet, registers, routes)
        except KeyError:  # an attribute that this version of the kernel does not have
            match = Match.UNKNOWN
        if match is Match.NO:
            return Match.NO
        if match is Match.UNKNOWN:
            found = match
    return found


def attribute(attributes: Attributes, name: str, kind: type[T], default: T | None = None) -> T:
    """The attribute with this name. Raises KeyError if there is none of this type."""
    value = attributes.get(name, default)
    if not isinstance(value, kind):
        raise KeyError(name)
    return value


def _step(condition: Expression, packet: Packet, registers: dict[int, _Value], routes: Routes) -> Match:
    """Evaluate one expression. Loads write into the registers and always hold."""
    data = condition.data
    match condition.name:
        case "meta" if "NFTA_META_DREG" in data:
            return _load(registers, data["NFTA_META_DREG"], _meta(data["NFTA_META_KEY"], packet))
        case "payload" if "NFTA_PAYLOAD_DREG" in data:
            return _load(registers, data["NFTA_PAYLOAD_DREG"], _payload(data, packet))
        case "ct" if "NFTA_CT_DREG" in data:
            return _load(registers, data["NFTA_CT_DREG"], _ct(data["NFTA_CT_KEY"], packet))
        case "fib":
            flags, wanted = (attribute(data, f"NFTA_FIB_{name}", int) for name in ("FLAGS", "RESULT"))
            return _load(registers, data["NFTA_FIB_DREG"], fib_result(flags, wanted, packet, routes))
        case "bitwise":
            return _load(registers, data["NFTA_BITWISE_DREG"], _bitwise(data, registers))
        case "byteorder":
            return _load(registers, data["NFTA_BYTEORDER_DREG"], _swapped(data, registers))
        case "cmp":
            value = registers.get(_place(data["NFTA_CMP_SREG"]))
            compared = _COMPARED.get(attribute(data, "NFTA_CMP_OP", str))
            return _compare(value, compared, attribute(data, "NFTA_CMP_DATA", bytes))
        case "range":
            return _in_range(data, registers)
        case name:
            return Match.YES if name in _UNCONDITIONAL else Match.UNKNOWN


def _in_range(data: Attributes, registers: Mapping[int, _Value]) -> Match:
    value = registers.get(_place(data["NFTA_RANGE_SREG"]))
    if not isinstance(value, bytes):
        return Match.YES if isinstance(value, _Size) else Match.UNKNOWN
    first, last = (attribute(data, f"NFTA_RANGE_{end}_DATA", bytes) for end in ("FROM", "TO"))
    wanted = data["NFTA_RANGE_OP"] == "NFT_RANGE_EQ"
    return Match.YES if (first <= value <= last) is wanted else Match.NO


def _load(registers: dict[int, _Value], register: object, value: _Value | None) -> Match:
    if value is None:
        registers.pop(_place(register), None)
    else:
        registers[_place(register)] = value
    return Match.YES


def _meta(key: object, packet: Packet) -> _Value | None:
    match key:
        case "NFT_META_LEN":
            return _Size() if packet.octets is None else packet.octets.to_bytes(4, "little")
        case "NFT_META_IIFNAME" | "NFT_META_OIFNAME":
            return _Device(packet.devices) if packet.devices else None
        case "NFT_META_NFPROTO":
            return bytes([_ip_header(packet).netfilter])
        case "NFT_META_PROTOCOL":
            return _ip_header(packet).ethernet
        case "NFT_META_L4PROTO":
            return bytes([_PROTOCOLS[packet.protocol]])
        case _:
            return None


def _ip_header(packet: Packet) -> _IpHeader:
    return _IP_HEADERS[family_of(packet.destination)]


def _payload(data: Attributes, packet: Packet) -> _Value | None:
    """Bytes of the IP, TCP or UDP header, if all of them are known."""
    offset, length = (attribute(data, f"NFTA_PAYLOAD_{name}", int) for name in ("OFFSET", "LEN"))
    known: dict[int, bytes | None] = {}
    match data["NFTA_PAYLOAD_BASE"]:
        case "NFT_PAYLOAD_NETWORK_HEADER":
            header = _ip_header(packet)
            if (offset, length) == (header.length, 2) and packet.octets is None:
                return _Size()
            octets = packet.octets and (packet.octets - header.uncounted).to_bytes(2, "big")
            known = {
                header.length: octets or None,
                header.protocol: bytes([_PROTOCOLS[packet.protocol]]),
                header.source: packet.source.packed,
                header.destination: packet.destination.packed,
            }
        case "NFT_PAYLOAD_TRANSPORT_HEADER":
            ports = (packet.source_port, packet.destination_port)
            known = {2 * i: None if port is None else port.to_bytes(2, "big") for i, port in enumerate(ports)}
            if packet.flags is not None:
                bits = sum(1 << bit for bit, name in enumerate(_TCP_FLAGS) if name in packet.flags)
                known[_FLAGS_OCTET] = bytes([bits])
    all_octets = {at + i: octet for at, part in known.items() if part for i, octet in enumerate(part)}
    wanted = range(offset, offset + length)
    return bytes(all_octets[i] for i in wanted) if all(i in all_octets for i in wanted) else None


def _ct(key: object, packet: Packet) -> bytes | None:
    state = _CT_STATES.get(packet.state or "")
    return state.to_bytes(4, "little") if key == "NFT_CT_STATE" and state else None


def _bitwise(data: Attributes, registers: Mapping[int, _Value]) -> _Value | None:
    value = registers.get(_place(data["NFTA_BITWISE_SREG"]))
    if not isinstance(value, bytes) or data.get("NFTA_BITWISE_OP", "NFT_BITWISE_BOOL") != "NFT_BITWISE_BOOL":
        return None
    mask, xor = (attribute(data, f"NFTA_BITWISE_{name}", bytes) for name in ("MASK", "XOR"))
    return bytes(v & m ^ x for v, m, x in zip(value, mask, xor, strict=False))


def _swapped(data: Attributes, registers: Mapping[int, _Value]) -> _Value | None:
    value = registers.get(_place(data["NFTA_BYTEORDER_SREG"]))
    size = attribute(data, "NFTA_BYTEORDER_SIZE", int)
    if not isinstance(value, bytes) or size == 0:
        return value
    return b"".join(value[i : i + size][::-1] for i in range(0, len(value), size))


def _compare(value: _Value | None, compared: Callable[[bytes, bytes], bool] | None, wanted: bytes) -> Match:
    if value is None or compared is None:
        return Match.UNKNOWN
    if isinstance(value, _Size):
        return Match.YES
    if isinstance(value, _Device):
        padded = (name.encode().ljust(_NAME_OCTETS, b"\0") for name in value.names)
        is_one = any(name[: len(wanted)] == wanted for name in padded)
        return Match.YES if is_one is (compared is eq) else Match.NO
    return Match.YES if compared(value[: len(wanted)], wanted) else Match.NO


def _place(register: object) -> int:
    """The index of a register in units of 4 bytes. Raises KeyError if it is not a data register."""
    return _PLACES[str(register)]
