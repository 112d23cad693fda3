"""Chains and rules of nf_tables, decoded from netlink messages, with the names of the kernel's headers. Called by
`nftables`.

pyroute2 defines the attributes: their names, types and constants. The bytes are decoded here, and strictly: pyroute2's
own decoder truncates an attribute that exceeds its container, hides one that it can't decode, and loops forever if an
element of a list has length 0. Importing pyroute2 is expensive, so `nftables` imports this module only when there is
something to decode. No socket is opened.
Source: Linux 6.x `include/uapi/linux/netfilter/nf_tables.h`, `include/uapi/linux/netlink.h`.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pyroute2.netlink import nlmsg_atoms, nlmsg_base
from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_NFTABLES
from pyroute2.netlink.nfnetlink.nftsocket import (
    NFT_MSG_NEWCHAIN,
    NFT_MSG_NEWRULE,
    nft_chain_msg,
    nft_map_uint8,
    nft_rule_msg,
)

from .netlink import split

_HEADER = struct.Struct("=IH10xB3x")  # netlink and nfnetlink: length, type, family
# Of all other expressions only the name is needed.
_READ = (
    "bitwise",
    "byteorder",
    "cmp",
    "counter",
    "ct",
    "fib",
    "immediate",
    "meta",
    "nat",
    "payload",
    "range",
)
_NUMBERS = (nlmsg_atoms.be32, nlmsg_atoms.be64, nlmsg_atoms.sbe32)

_Decoder = Callable[[bytes], object]
_Layout = Mapping[int, tuple[str, _Decoder]]


@dataclass(frozen=True, slots=True)
class Message:
    """A chain or a rule. `attributes` by name: numbers, strings, bytes, names of constants (None: unknown), lists, and
    nested attributes by name. An expression is its name and its attributes.
    """

    is_rule: bool
    family: int
    attributes: Mapping[str, object]


def messages(octets: bytes) -> Iterator[Message]:
    """The messages with chains or rules. Raises ValueError if one is cut off, KeyError if an expression has no name."""
    place = 0
    while place < len(octets):
        try:
            length, kind, family = _HEADER.unpack_from(octets, place)
            if not _HEADER.size <= length <= len(octets) - place:
                raise ValueError("cut off in a message")
            if kind in _LAYOUTS:
                attributes = _attributes(octets[place + _HEADER.size : place + length], _LAYOUTS[kind])
                yield Message(_LAYOUTS[kind] is _RULE, family, attributes)
        except struct.error as error:
            raise ValueError(f"wrong number of bytes: {error}") from None
        place += length


def _attributes(octets: bytes, layout: _Layout) -> dict[str, object]:
    found: dict[str, object] = {}
    for kind, content in split(octets):
        if kind in layout:
            name, decode = layout[kind]
            found[name] = decode(content)
    return found


def _text(octets: bytes) -> str:
    return octets.split(b"\0", 1)[0].decode()


def _devices(octets: bytes) -> list[str]:
    return [_text(content) for _, content in split(octets)]


def _expressions(octets: bytes) -> list[tuple[object, Mapping[str, object]]]:
    return [_expression(content) for _, content in split(octets)]


def _expression(octets: bytes) -> tuple[object, Mapping[str, object]]:
    found = _attributes(octets, _EXPRESSION)
    name, data = found["NFTA_EXPR_NAME"], found.get("NFTA_EXPR_DATA")
    layout = _DATA.get(name)
    return name, _attributes(data, layout) if layout and isinstance(data, bytes) else {}


_DECODERS: Mapping[str, _Decoder] = {
    "NFTA_HOOK_DEVS": _devices,
    "NFTA_RULE_EXPRESSIONS": _expressions,
    "NFTA_EXPR_DATA": bytes,  # its layout depends on the name
    # pyroute2 has the constants of one for the other
    "NFTA_FIB_RESULT": lambda octets: int.from_bytes(octets, "big"),
    "NFTA_FIB_FLAGS": lambda octets: int.from_bytes(octets, "big"),
}


def _layout(owner: type[nlmsg_base]) -> _Layout:
    """The attributes of one of pyroute2's classes, by number; attributes without a decoder are skipped."""
    names = [(name, _DECODERS.get(name) or _decoder(getattr(owner, kind))) for name, kind in owner.nla_map]
    return {number: (name, decode) for number, (name, decode) in enumerate(names) if decode}


def _decoder(kind: type[nlmsg_base]) -> _Decoder | None:
    """The decoder for attributes of this type."""
    if issubclass(kind, nlmsg_atoms.asciiz):
        return _text
    if issubclass(kind, nlmsg_atoms.cdata):
        return bytes
    if issubclass(kind, nft_map_uint8):
        return _constant(struct.Struct(kind.fields[0][1]), kind.ops)
    if issubclass(kind, _NUMBERS):
        number = struct.Struct(kind.fields[0][1])
        return lambda octets: number.unpack(octets)[0]
    return _nested(_layout(kind)) if kind.nla_map else None


def _constant(number: struct.Struct, names: Mapping[int, str]) -> _Decoder:
    return lambda octets: names.get(number.unpack(octets)[0])


def _nested(layout: _Layout) -> _Decoder:
    """Data that contains only a value is decoded to that value."""

    def decode(octets: bytes) -> object:
        inner = _attributes(octets, layout)
        return inner.get("NFTA_DATA_VALUE", inner)

    return decode


_EXPRESSION = _layout(nft_rule_msg.nft_expr)
_DATA: Mapping[object, _Layout] = {
    name: _layout(getattr(nft_rule_msg.nft_expr, f"nft_{name}")) for name in _READ
}
_RULE = _layout(nft_rule_msg)
_LAYOUTS = {
    NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN: _layout(nft_chain_msg),
    NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE: _RULE,
}
