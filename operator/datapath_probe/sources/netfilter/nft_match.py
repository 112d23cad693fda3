"""Whether the conditions of an nf_tables rule hold for a packet of which not everything is known.

A rule's expressions load what they ask for into registers and compare it. Called by `nftables`.
Source: Linux 6.x `include/uapi/linux/netfilter/nf_tables.h`, `net/netfilter/nft_{meta,payload,bitwise,cmp}.c`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from operator import eq, ge, gt, le, lt, ne

from ..packet import Match, Packet

_REGISTER_OCTETS = 4
_FIRST_SMALL_REGISTER = 8  # those before it have 16 octets: 1 begins where 8 does
_META_LENGTH, _META_IIF_NAME, _META_OIF_NAME, _META_FAMILY, _META_L4 = 0, 6, 7, 15, 16
_META_PROTOCOL = 1
_NAME_OCTETS = 16
_IPV4 = 2
_NETWORK, _TRANSPORT = 1, 2
_IP_LENGTH, _FLAGS_OCTET = 2, 13  # where they are in their headers
_PROTOCOLS = {"tcp": 6, "udp": 17}
_CT_STATE = 0
_CT_STATES = {"ESTABLISHED": 2, "NEW": 8}
_TCP_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG")
_COMPARED: tuple[Callable[[bytes, bytes], bool], ...] = (eq, ne, lt, le, gt, ge)
_SILENT = frozenset({"log", "notrack", "comment"})  # ask nothing


@dataclass(frozen=True, slots=True)
class Expression:
    """One condition, or the load of what a later one compares; `data`: its attributes by type."""

    name: str
    data: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class _Device:
    """Instead of a value: one of these names."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Size:
    """Instead of a value: packets come in all sizes."""


_Value = bytes | _Device | _Size


def matches(conditions: Sequence[Expression], packet: Packet) -> Match:
    """What is certain of all conditions together: one that does not hold is enough for NO."""
    registers: dict[int, _Value] = {}
    found = Match.YES
    for condition in conditions:
        try:
            match = _step(condition, packet, registers)
        except KeyError:  # an attribute that this version of the kernel does not give
            match = Match.UNKNOWN
        if match is Match.NO:
            return Match.NO
        if match is Match.UNKNOWN:
            found = match
    return found


def _step(condition: Expression, packet: Packet, registers: dict[int, _Value]) -> Match:
    """One expression: loads write into the registers and always hold."""
    data = condition.data
    match condition.name:
        case "meta" if 1 in data:
            return _load(registers, data[1], _meta(_number(data[2]), packet))
        case "payload" if 1 in data:
            return _load(registers, data[1], _payload(data, packet))
        case "ct" if 1 in data:
            return _load(registers, data[1], _ct(_number(data[2]), packet))
        case "bitwise":
            return _load(registers, data[2], _bitwise(data, registers))
        case "byteorder":
            return _load(registers, data[2], _swapped(data, registers))
        case "cmp":
            return _compare(registers.get(_place(data[1])), _number(data[2]), _value(data[3]))
        case "range":
            value, inside = registers.get(_place(data[1])), _number(data[2]) == 0
            if not isinstance(value, bytes):
                return Match.YES if isinstance(value, _Size) else Match.UNKNOWN
            return Match.YES if (_value(data[3]) <= value <= _value(data[4])) is inside else Match.NO
        case name:
            return Match.YES if name in _SILENT else Match.UNKNOWN


def _load(registers: dict[int, _Value], register: bytes, value: _Value | None) -> Match:
    if value is None:
        registers.pop(_place(register), None)
    else:
        registers[_place(register)] = value
    return Match.YES


def _meta(key: int, packet: Packet) -> _Value | None:
    match key:
        case _ if key == _META_LENGTH:
            return _Size() if packet.octets is None else packet.octets.to_bytes(4, "little")
        case _ if key in (_META_IIF_NAME, _META_OIF_NAME):
            return _Device(packet.devices) if packet.devices else None
        case _ if key == _META_FAMILY:
            return bytes([_IPV4])
        case _ if key == _META_PROTOCOL:
            return b"\x08\0"
        case _ if key == _META_L4:
            return bytes([_PROTOCOLS[packet.protocol]])
        case _:
            return None


def _payload(data: Mapping[int, bytes], packet: Packet) -> _Value | None:
    """Octets of the IPv4 or the TCP or UDP header, where all of them are known."""
    base, offset, length = (_number(data[key]) for key in (2, 3, 4))
    known: dict[int, bytes | None] = {}
    if base == _NETWORK:
        if (offset, length) == (_IP_LENGTH, 2) and packet.octets is None:
            return _Size()
        known = {
            _IP_LENGTH: packet.octets.to_bytes(2, "big") if packet.octets else None,
            9: bytes([_PROTOCOLS[packet.protocol]]),
            12: ip_address(packet.source).packed,
            16: ip_address(packet.destination).packed,
        }
    elif base == _TRANSPORT:
        ports = (packet.source_port, packet.destination_port)
        known = {2 * i: None if port is None else port.to_bytes(2, "big") for i, port in enumerate(ports)}
        if packet.flags is not None:
            bits = sum(1 << bit for bit, name in enumerate(_TCP_FLAGS) if name in packet.flags)
            known[_FLAGS_OCTET] = bytes([bits])
    octets = {at + i: octet for at, part in known.items() if part for i, octet in enumerate(part)}
    wanted = range(offset, offset + length)
    return bytes(octets[i] for i in wanted) if all(i in octets for i in wanted) else None


def _ct(key: int, packet: Packet) -> bytes | None:
    state = _CT_STATES.get(packet.state or "")
    return state.to_bytes(4, "little") if key == _CT_STATE and state else None


def _bitwise(data: Mapping[int, bytes], registers: Mapping[int, _Value]) -> _Value | None:
    value = registers.get(_place(data[1]))
    if not isinstance(value, bytes) or _number(data.get(6, b"\0")):
        return None
    mask, xor = _value(data[4]), _value(data[5])
    return bytes(v & m ^ x for v, m, x in zip(value, mask, xor, strict=False))


def _swapped(data: Mapping[int, bytes], registers: Mapping[int, _Value]) -> _Value | None:
    value, size = registers.get(_place(data[1])), _number(data[5])
    if not isinstance(value, bytes):
        return value
    return b"".join(value[i : i + size][::-1] for i in range(0, len(value), size))


def _compare(value: _Value | None, operator: int, wanted: bytes) -> Match:
    if value is None or operator >= len(_COMPARED):
        return Match.UNKNOWN
    if isinstance(value, _Size):
        return Match.YES
    if isinstance(value, _Device):
        padded = (name.encode().ljust(_NAME_OCTETS, b"\0") for name in value.names)
        is_one = any(name[: len(wanted)] == wanted for name in padded)
        return Match.YES if is_one is (operator == 0) else Match.NO
    return Match.YES if _COMPARED[operator](value[: len(wanted)], wanted) else Match.NO


def _place(register: bytes) -> int:
    number = _number(register)
    if number >= _FIRST_SMALL_REGISTER:
        return number - _FIRST_SMALL_REGISTER
    return (number - 1) * _REGISTER_OCTETS


def _value(data: bytes) -> bytes:
    """What a nested attribute of data holds."""
    return data[4 : int.from_bytes(data[:2], "little")]


def _number(octets: bytes) -> int:
    return int.from_bytes(octets, "big")
