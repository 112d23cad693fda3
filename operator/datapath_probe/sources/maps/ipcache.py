"""The ipcache: the identity of an address, and for addresses on other nodes the tunnel endpoint. Longest prefix wins.

The kernel does not return the length of the matching prefix. `lookup_wider` looks up one bit less, which an entry for
the address itself (/32, /128) can't match. If both answers are equal, there is no such entry, or it equals that of the
wider prefix.
Source: Cilium 1.16–1.20 `bpf/lib/{common,maps,eps}.h` (ipcache_key, remote_endpoint_info), `pkg/maps/ipcache`.
"""

from dataclasses import dataclass
from enum import IntFlag

from ...addresses import IpAddress, address
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Absent, Reading, Unavailable
from ..bpf.bpftool import parse_value
from ..bpf.map_key import MapKey
from ..bpf.map_layout import Layout
from ..byte_order import family, le16, le32, packed16

_STATIC_BITS = 32  # cluster id, padding and family precede the address and are always compared
_SIZE_V1 = 12  # up to 1.17: the tunnel endpoint is an IPv4 address
_SIZE_V2 = 24


class IpcacheFlag(IntFlag):
    """Flags of the entry; all but the first exist since 1.18."""

    SKIP_TUNNEL = 1
    HAS_TUNNEL = 2
    IPV6_TUNNEL = 4
    REMOTE_CLUSTER = 8


@dataclass(frozen=True, slots=True)
class IpcacheRecord:
    """`tunnel_endpoint`: address of the node to tunnel to, None without one.

    None does not mean "on this node": addresses outside the cluster and of hosts have none either.
    """

    identity: int
    tunnel_endpoint: IpAddress | None
    encrypt_key: int
    flags: IpcacheFlag


def lookup(node: str, layout: Layout, ip: IpAddress) -> Fact:
    """The datapath's entry for this address."""
    return _lookup(node, layout, ip, ip.max_prefixlen)


def lookup_wider(node: str, layout: Layout, ip: IpAddress) -> Fact:
    """The entry that would apply if there were none for the address itself."""
    return _lookup(node, layout, ip, ip.max_prefixlen - 1)


def _lookup(node: str, layout: Layout, ip: IpAddress, prefix_length: int) -> Fact:
    return Fact.of(
        FactKind.IPCACHE_ENTRY, node, map=layout.ipcache_map, address=ip, prefix_length=prefix_length
    )


def key(fact: Fact) -> MapKey:
    """The key of the entry."""
    ip, cluster_id = fact.text("address"), 0
    prefix = _STATIC_BITS + fact.number("prefix_length")
    return MapKey(fact.text("map"), le32(prefix) + le16(cluster_id) + bytes((0, family(ip))) + packed16(ip))


def parse(reading: Reading) -> IpcacheRecord | Absent | Unavailable:
    """The entry, in the layout of any version; absent only if there is not even a default entry."""
    value = parse_value(reading, _SIZE_V1, _SIZE_V2)
    return _record(value) if isinstance(value, bytes) else value


def _record(value: bytes) -> IpcacheRecord:
    flags = IpcacheFlag(value[-1])
    endpoint = value[4:20] if IpcacheFlag.IPV6_TUNNEL in flags and len(value) == _SIZE_V2 else value[4:8]
    # since 1.18 programs check only the flag, and tunnel even to 0.0.0.0
    has_tunnel = IpcacheFlag.HAS_TUNNEL in flags if len(value) == _SIZE_V2 else any(endpoint)
    return IpcacheRecord(
        identity=int.from_bytes(value[:4], "little"),
        tunnel_endpoint=address(endpoint) if has_tunnel else None,
        encrypt_key=value[-2],
        flags=flags,
    )
