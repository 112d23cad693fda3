"""What the kernel tells over netlink as it returns it, for parsers of `sources.netfilter`: conntrack and nf_tables.

Called by `launcher` in a process of its own, which may be in the network namespace of a pod. Each function returns
messages one after another, and raises OSError.
Source: Linux `include/uapi/linux/netfilter/{nfnetlink,nf_tables}.h`.
"""

import errno
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Final

_NETLINK_NETFILTER = 12
_ERROR, _DONE = 2, 3
_REQUEST_DUMP = 0x301
_NFTABLES, _NEW_CHAIN_TABLE = 10 << 8, 1
_GET_CHAIN, _GET_RULE, _RULE_TABLE = 4, 7, 1
_HEADER, _TYPE, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=IH"), struct.Struct("=HH")
_FAMILY_AT, _ATTRIBUTES_AT = 16, 20
_UNSPECIFIED = 0
# Tables that iptables-save shows, of IPv4 and IPv6.
_OF_IPTABLES = frozenset((family, name) for family in (2, 10)
                         for name in (b"raw", b"mangle", b"nat", b"filter", b"security"))  # fmt: skip
_PATIENCE_S = 5
_LARGEST = 1 << 20


def conntrack_entry(question: str) -> bytes:
    """The entry that this message (hex) asks for; nothing if there is none, or no conntrack."""
    with _socket() as asked:
        asked.send(bytes.fromhex(question))
        answer = asked.recv(1 << 16)
    length, kind = _TYPE.unpack_from(answer)
    if kind != _ERROR:
        return answer[:length]
    number = _error(answer)
    if number in (errno.ENOENT, errno.EINVAL):
        return b""
    raise OSError(number, "the kernel refuses")


def nftables() -> bytes:
    """The chains, and the rules of tables that iptables-save does not show."""
    with _socket() as asked:
        chains = [
            chain for chain in _dump(asked, _GET_CHAIN, _UNSPECIFIED) if _table(chain) not in _OF_IPTABLES
        ]
        tables = sorted(table for table in set(map(_table, chains)) if table)
        rules = [rule for table in tables for rule in _dump(asked, _GET_RULE, table[0], _named(table[1]))]
    return b"".join((*chains, *rules))


FUNCTIONS: Final[Mapping[str, Callable[..., bytes]]] = {
    "conntrack_entry": conntrack_entry,
    "nftables": nftables,
}


def _socket() -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
    opened.settimeout(_PATIENCE_S)
    return opened


def _dump(asked: socket.socket, kind: int, family: int, attributes: bytes = b"") -> Iterator[bytes]:
    body = struct.pack("=BBH", family, 0, 0) + attributes
    asked.send(_HEADER.pack(_HEADER.size + len(body), _NFTABLES | kind, _REQUEST_DUMP, 1, 0) + body)
    while True:
        batch = asked.recv(_LARGEST)
        while len(batch) >= _HEADER.size:
            length, answered = _TYPE.unpack_from(batch)
            if answered == _DONE:
                return
            if answered == _ERROR:
                raise OSError(_error(batch), "the kernel refuses")
            yield batch[:length]
            batch = batch[(length + 3) & ~3 :]


def _error(message: bytes) -> int:
    return -int(struct.unpack_from("=i", message, _HEADER.size)[0])


def _table(chain: bytes) -> tuple[int, bytes] | None:
    """The family and the name of the table of a chain."""
    length, kind = _ATTRIBUTE.unpack_from(chain, _ATTRIBUTES_AT)
    if kind & 0x3FFF != _NEW_CHAIN_TABLE:
        return None
    name = chain[_ATTRIBUTES_AT + _ATTRIBUTE.size : _ATTRIBUTES_AT + length]
    return chain[_FAMILY_AT], name.rstrip(b"\0")


def _named(table: bytes) -> bytes:
    value = table + b"\0"
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, _RULE_TABLE) + value + b"\0" * (-length % 4)
