"""Conntrack: what the datapath recorded about one connection, by exact key.

One TCP connection through a Service leaves SVC and OUT entries on the client's node and an IN entry on the server's. An
entry counts only if it was written during the run (`fresh`), since expired entries stay until they are
garbage-collected. Addresses in keys are swapped (the initiator is "daddr"), ports are not; in a SVC entry it is the
reverse.
Source: Cilium 1.16–1.20 `bpf/lib/common.h` (ipv4_ct_tuple, ct_entry), `bpf/lib/conntrack.h`.
"""

import struct
from dataclasses import dataclass
from enum import IntFlag

from ...addresses import IpAddress
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Absent, Reading, Unavailable
from ..bpf.bpftool import parse_value
from ..bpf.map_key import MapKey
from ..byte_order import L4Protocol, be16, packed

_SERVICE = "service"
_FLAGS = {"out": 0, "in": 1, "related": 2, _SERVICE: 4}  # TUPLE_F_*; ICMP errors are related to the OUT entry
# reserved, backend_id, packets, bytes, lifetime, flags, rev_nat be16, nat_port (ifindex until 1.17), tx, rx
# flags, src_sec_id, last_tx, last_rx
_ENTRY = struct.Struct("<8x Q Q Q I H 2s 2x B B I I I")


class CtFlag(IntFlag):
    """Flags of the entry."""

    RX_CLOSING = 1 << 0
    TX_CLOSING = 1 << 1
    LB_LOOPBACK = 1 << 3
    SEEN_NON_SYN = 1 << 4  # the handshake got beyond its first packet
    NODE_PORT = 1 << 5
    PROXY_REDIRECT = 1 << 6
    DSR = 1 << 7
    FROM_L7LB = 1 << 8
    FROM_TUNNEL = 1 << 10


class TcpFlag(IntFlag):
    """Flags of the TCP header."""

    FIN = 0x01
    SYN = 0x02
    RST = 0x04
    PSH = 0x08
    ACK = 0x10
    URG = 0x20
    ECE = 0x40
    CWR = 0x80


@dataclass(frozen=True, slots=True)
class CtEntry:
    """What was observed of a connection at one place. Times are seconds by the clock of `uptime`, 0 = never.

    tx are packets sent by the owner of the entry, rx those received: the initiator's packets are tx in OUT and rx in
    IN. TCP flags are masked by the agent's `monitor-aggregation-flags`, and 0 for other protocols. Packets and bytes
    are 0 unless the agent does accounting. `backend_id` is only meaningful in SVC entries (since 1.19 addresses take
    its place elsewhere).
    """

    backend_id: int
    packets: int
    bytes: int
    lifetime_s: int
    flags: CtFlag
    rev_nat_id: int
    tx_flags: TcpFlag
    rx_flags: TcpFlag
    source_identity: int
    last_tx_s: int
    last_rx_s: int

    def fresh(self, since_uptime_s: float) -> bool:
        """Whether a packet in either direction was recorded since then."""
        return self.sent(since_uptime_s) or self.received(since_uptime_s)

    def sent(self, since_uptime_s: float) -> bool:
        """Whether a tx packet was; the datapath counts whole seconds."""
        return self.last_tx_s >= max(1, int(since_uptime_s))

    def received(self, since_uptime_s: float) -> bool:
        """Whether an rx packet was."""
        return self.last_rx_s >= max(1, int(since_uptime_s))


def service_entry(
    node: str,
    client: IpAddress,
    client_port: int,
    vip: IpAddress,
    port: int,
    protocol: L4Protocol = L4Protocol.TCP,
) -> Fact:
    """SVC on the client's node: the selected backend. With socket load balancing there is none."""
    return _entry(_SERVICE, node, client, client_port, vip, port, protocol)


def out_entry(
    node: str,
    client: IpAddress,
    client_port: int,
    server: IpAddress,
    port: int,
    protocol: L4Protocol = L4Protocol.TCP,
) -> Fact:
    """OUT on the client's node, with the translated server address; one with the ClusterIP was *not* translated."""
    return _entry("out", node, client, client_port, server, port, protocol)


def in_entry(
    node: str,
    client: IpAddress,
    client_port: int,
    server: IpAddress,
    port: int,
    protocol: L4Protocol = L4Protocol.TCP,
) -> Fact:
    """IN on the server's node."""
    return _entry("in", node, client, client_port, server, port, protocol)


def icmp_related(node: str, client: IpAddress, server: IpAddress) -> Fact:
    """ICMP errors to the client about this server; if `received` is fresh, one arrived.

    There is one entry per pair of addresses, which each new connection overwrites (with rx never).
    """
    icmp = L4Protocol.ICMP if client.version == 4 else L4Protocol.ICMPV6
    return _entry("related", node, client, 0, server, 0, icmp)


def parse(reading: Reading) -> CtEntry | Absent | Unavailable:
    """The entry. Absent is weak evidence: the maps evict the least recently used entries."""
    value = parse_value(reading, _ENTRY.size)
    if not isinstance(value, bytes):
        return value
    backend_id, packets, octets, lifetime_s, flags, rev_nat, tx, rx, identity, last_tx, last_rx = (
        _ENTRY.unpack(value)
    )
    return CtEntry(
        backend_id=backend_id,
        packets=packets,
        bytes=octets,
        lifetime_s=lifetime_s,
        flags=CtFlag(flags),
        rev_nat_id=int.from_bytes(rev_nat, "big"),
        tx_flags=TcpFlag(tx),
        rx_flags=TcpFlag(rx),
        source_identity=identity,
        last_tx_s=last_tx,
        last_rx_s=last_rx,
    )


def _entry(
    entry: str,
    node: str,
    client: IpAddress,
    client_port: int,
    server: IpAddress,
    port: int,
    protocol: L4Protocol,
) -> Fact:
    if client.version != server.version:
        raise ValueError(f"{client} and {server} are not of one IP version")
    return Fact.of(
        FactKind.CONNTRACK_ENTRY,
        node,
        entry=entry,
        client=client,
        client_port=client_port,
        server=server,
        server_port=port,
        protocol=protocol,
    )


def key(fact: Fact) -> MapKey:
    """The key of the entry."""
    entry, protocol = fact.text("entry"), fact.number("protocol")
    client, server = packed(fact.text("client")), packed(fact.text("server"))
    client_port, port = be16(fact.number("client_port")), be16(fact.number("server_port"))
    ends = server + client + client_port + port if entry == _SERVICE else client + server + port + client_port
    kind = "" if protocol == L4Protocol.TCP else "_any"
    name = f"cilium_ct{kind}{4 if len(client) == 4 else 6}_global"
    return MapKey(name, ends + bytes((protocol, _FLAGS[entry])))
