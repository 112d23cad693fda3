"""The endpoint map, `cilium_lxc`: the endpoints of this node by address. It decides "same node".

Source: Cilium 1.16–1.20 `bpf/lib/common.h`, `eps.h` (endpoint_key, endpoint_info); `pkg/maps/lxcmap`.
"""

import struct
from dataclasses import dataclass
from enum import IntFlag

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
    """Bits of the record."""

    HOST = 1  # an address of the node itself: nothing else in the record counts
    AT_HOST_NS = 2
    SKIP_MASQUERADE_V4 = 4  # 1.20
    SKIP_MASQUERADE_V6 = 8


TO_HOST = EndpointFlag.HOST | EndpointFlag.AT_HOST_NS  # ENDPOINT_MASK_HOST_DELIVERY
"""With one of these, packets are handed to the host's stack."""


@dataclass(frozen=True, slots=True)
class EndpointRecord:
    """`mac` is the pod's, `node_mac` the lxc device's. `identity` is read by the egress gateway alone."""

    ifindex: int
    endpoint_id: int
    flags: EndpointFlag
    mac: str
    node_mac: str
    identity: int
    parent_ifindex: int


def lookup(node: str, ip: str) -> Fact:
    """The endpoint with this address, if it is on the node."""
    return Fact.of(FactKind.ENDPOINT_ENTRY, node, address=ip)


def key(fact: Fact) -> MapKey:
    """Where the entry is looked up."""
    ip, unused, cluster_id = fact.text("address"), 0, 0
    return MapKey(_MAP, packed16(ip) + bytes((family(ip), unused)) + le16(cluster_id))


def parse(reading: Reading) -> EndpointRecord | Absent | Unavailable:
    """The record; absent: not an endpoint of this node."""
    value = parse_value(reading, _INFO.size)
    if not isinstance(value, bytes):
        return value
    ifindex, endpoint_id, flags, mac, node_mac, identity, parent_ifindex = _INFO.unpack(value)
    return EndpointRecord(
        ifindex, endpoint_id, EndpointFlag(flags), mac_text(mac), mac_text(node_mac), identity, parent_ifindex
    )
