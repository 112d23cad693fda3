"""The endpoint map, `cilium_lxc`: the endpoints of this node by address. It decides whether packets stay on the node.

Source: Cilium 1.16–1.20 `bpf/lib/common.h`, `eps.h` (endpoint_key, endpoint_info); `pkg/maps/lxcmap`.
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
from ..byte_order import family, le16, mac_text, packed16

_MAP = "cilium_lxc"
# ifindex, unused, lxc_id, flags, rt_info (padding until 1.20), mac, node_mac, sec_id, parent_ifindex, padding
_INFO = struct.Struct("<I 2x H I 4x 8s 8s I I 8x")


class EndpointFlag(IntFlag):
    """Flags of the entry."""

    HOST = 1  # an address of the node itself: all other fields are unused
    AT_HOST_NS = 2
    SKIP_MASQUERADE_V4 = 4  # 1.20
    SKIP_MASQUERADE_V6 = 8


TO_HOST = EndpointFlag.HOST | EndpointFlag.AT_HOST_NS  # ENDPOINT_MASK_HOST_DELIVERY
"""With one of these flags, packets are passed to the host's stack."""


@dataclass(frozen=True, slots=True)
class EndpointRecord:
    """`mac` is that of the pod, `node_mac` that of the lxc device. Only the egress gateway reads `identity`."""

    ifindex: int
    endpoint_id: int
    flags: EndpointFlag
    mac: str
    node_mac: str
    identity: int
    parent_ifindex: int


def lookup(node: str, ip: IpAddress) -> Fact:
    """The endpoint with this address, if it is on the node."""
    return Fact.of(FactKind.ENDPOINT_ENTRY, node, address=ip)


def key(fact: Fact) -> MapKey:
    """The key of the entry."""
    ip, unused, cluster_id = fact.text("address"), 0, 0
    return MapKey(_MAP, packed16(ip) + bytes((family(ip), unused)) + le16(cluster_id))


def parse(reading: Reading) -> EndpointRecord | Absent | Unavailable:
    """The entry; absent: not an endpoint of this node."""
    value = parse_value(reading, _INFO.size)
    if not isinstance(value, bytes):
        return value
    ifindex, endpoint_id, flags, mac, node_mac, identity, parent_ifindex = _INFO.unpack(value)
    return EndpointRecord(
        ifindex, endpoint_id, EndpointFlag(flags), mac_text(mac), mac_text(node_mac), identity, parent_ifindex
    )
