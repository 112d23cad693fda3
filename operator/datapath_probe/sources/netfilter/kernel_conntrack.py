"""The kernel's conntrack entry of one TCP connection: to which source address netfilter has translated it. Called by
the check of `masquerade`.

Cilium's own conntrack is another one (`maps.conntrack`). The entry is asked for by its exact tuple over netlink
(`conntrack.pl`), because a table of a node can have a million entries.
Source: Linux 6.x `include/uapi/linux/netfilter/nfnetlink_conntrack.h`, `net/netfilter/nf_conntrack_netlink.c`
(`ctnetlink_get_conntrack`: ENOENT for no entry).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from ...addresses import IpAddress
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Absent, Answer
from ..byte_order import L4Protocol, be16, packed
from ..parsing import parser
from .netlink import NESTED, attribute, split

_MESSAGE = struct.Struct(
    "=IHHII BBH"
)  # nlmsghdr: length, type, flags, sequence, port; nfgenmsg: family, version, id
_GET, _NEW, _REQUEST = 1 << 8 | 1, 1 << 8, 1
_FAMILY = {4: 2, 6: 10}
_ORIGINAL, _REPLY, _STATUS = 1, 2, 3  # CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_STATUS
_IP, _PROTO = 1, 2  # CTA_TUPLE_IP, CTA_TUPLE_PROTO
_ADDRESSES = {4: (1, 2), 6: (3, 4)}  # CTA_IP_V4_SRC and DST, CTA_IP_V6_SRC and DST
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3  # CTA_PROTO_*
_SEEN_REPLY = 1 << 1  # IPS_SEEN_REPLY


@dataclass(frozen=True, slots=True)
class KernelConnection:
    """`source`, `source_port`: those with which the packets left the node. `replied`: a reply came back."""

    source: IpAddress
    source_port: int
    replied: bool


def fact(node: str, client: IpAddress, client_port: int, server: IpAddress, port: int) -> Fact:
    """The entry of a TCP connection on a node, by its untranslated addresses."""
    return Fact.of(
        FactKind.KERNEL_CONNTRACK_ENTRY,
        node,
        client=client,
        client_port=client_port,
        server=server,
        server_port=port,
    )


def question(fact: Fact) -> bytes:
    """The netlink message that asks for the entry."""
    client, server = packed(fact.text("client")), packed(fact.text("server"))
    version = 4 if len(client) == 4 else 6
    of_client, of_server = _ADDRESSES[version]
    addresses = attribute(of_client, client) + attribute(of_server, server)
    ports = (
        attribute(_NUMBER, bytes((L4Protocol.TCP,)))
        + attribute(_SOURCE_PORT, be16(fact.number("client_port")))
        + attribute(_DESTINATION_PORT, be16(fact.number("server_port")))
    )
    ends = attribute(_IP | NESTED, addresses) + attribute(_PROTO | NESTED, ports)
    body = attribute(_ORIGINAL | NESTED, ends)
    return _MESSAGE.pack(_MESSAGE.size + len(body), _GET, _REQUEST, 1, 0, _FAMILY[version], 0, 0) + body


@parser("conntrack of the kernel")
def parse(answer: Answer) -> KernelConnection | Absent:
    """The entry; Absent also on a node that tracks no connections."""
    octets = answer.stdout
    if not octets:
        return Absent()
    if len(octets) < _MESSAGE.size:
        raise ValueError("not a netlink message")
    length, kind, *_ = _MESSAGE.unpack_from(octets)
    if kind != _NEW or length != len(octets):
        raise ValueError("not one conntrack entry")
    try:
        return _connection(dict(split(octets[_MESSAGE.size :])))
    except (KeyError, StopIteration):
        raise ValueError("an attribute is missing") from None


def _connection(found: Mapping[int, bytes]) -> KernelConnection:
    """Raises KeyError or StopIteration if an attribute is missing."""
    reply, status = dict(split(found[_REPLY])), found[_STATUS]
    addresses, ports = dict(split(reply[_IP])), dict(split(reply[_PROTO]))
    to = next(addresses[to] for _, to in _ADDRESSES.values() if to in addresses)
    return KernelConnection(
        source=ip_address(to),
        source_port=int.from_bytes(ports[_DESTINATION_PORT], "big"),
        replied=bool(int.from_bytes(status, "big") & _SEEN_REPLY),
    )
