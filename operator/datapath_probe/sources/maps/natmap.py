"""The NAT map: with which source address and port the datapath sends a connection out of its node (eBPF masquerading).

Keys have the addresses and ports of the packet; unlike those of conntrack, they are not swapped. The first packet of
a connection makes the entry, which lasts until it is garbage-collected.
Source: Cilium 1.16–1.19 `bpf/lib/nat.h` (nat_entry), `pkg/maps/nat/ipv4.go`, `ipv6.go`; observed with 1.18.5.
"""

import struct
from dataclasses import dataclass
from ipaddress import ip_address

from ...addresses import IpAddress
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Absent, Reading, Unavailable
from ..bpf.bpftool import parse_value
from ..bpf.map_key import MapKey
from ..byte_order import L4Protocol, be16, packed

_EGRESS = 0  # TUPLE_F_OUT
# created, needs_ct and 16 unused; to_saddr, to_sport be16
_ENTRIES = {
    entry.size: entry for entry in (struct.Struct("<Q 24x 4s 2s 2x"), struct.Struct("<Q 24x 16s 2s 6x"))
}


@dataclass(frozen=True, slots=True)
class NatEntry:
    """`source`, `source_port`: those with which packets leave. `created_s`: by the clock of `uptime`."""

    source: IpAddress
    source_port: int
    created_s: int

    def fresh(self, since_uptime_s: float) -> bool:
        """Whether the connection's first packet came since then; the datapath counts whole seconds."""
        return self.created_s >= max(1, int(since_uptime_s))


def egress_entry(node: str, client: IpAddress, client_port: int, server: IpAddress, port: int) -> Fact:
    """The entry of a TCP connection out of the node, by its untranslated addresses."""
    return Fact.of(
        FactKind.NAT_ENTRY,
        node,
        client=client,
        client_port=client_port,
        server=server,
        server_port=port,
    )


def key(fact: Fact) -> MapKey:
    """The key of the entry."""
    client, server = packed(fact.text("client")), packed(fact.text("server"))
    ports = be16(fact.number("server_port")) + be16(fact.number("client_port"))
    name = f"cilium_snat_v{4 if len(client) == 4 else 6}_external"
    return MapKey(name, server + client + ports + bytes((L4Protocol.TCP, _EGRESS)))


def parse(reading: Reading) -> NatEntry | Absent | Unavailable:
    """The entry. Absent is weak evidence: the map evicts the least recently used entries."""
    value = parse_value(reading, *_ENTRIES)
    if not isinstance(value, bytes):
        return value
    created_s, source, port = _ENTRIES[len(value)].unpack(value)
    return NatEntry(ip_address(source), int.from_bytes(port, "big"), created_s)
