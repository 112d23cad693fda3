"""An endpoint's policy map: may this identity reach (or be reached at) this port?

Two look-ups decide, one for the identity and one for "any identity" (0); each finds its most specific entry. A deny
wins; no entry at all is the default deny (drop 133). A direction without enforcement has an allow-all entry.
Source: Cilium 1.17–1.19 `bpf/lib/policy.h` (`__policy_can_access`), `bpf/lib/common.h` (policy_key, policy_entry).
"""

from dataclasses import dataclass
from enum import IntEnum

from ..evidence.question import Question
from ..evidence.reading import Absent, Reading, Unavailable
from .bpftool import lookup as map_lookup
from .bpftool import parse_value
from .layout import Layout
from .wire import L4Protocol, be16, endpoint_id, le32

ANY_IDENTITY = 0
_FULL_PREFIX = 64  # 40 static bits (identity, direction), protocol, port
_VALUE_SIZE = 8
_DENY = 1


class TrafficDirection(IntEnum):
    """Seen from the endpoint that owns the map."""

    INGRESS = 0
    EGRESS = 1


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """`proxy_port` is not 0 where an L7 proxy decides."""

    deny: bool
    proxy_port: int


def lookup(
    node: str, layout: Layout, endpoint: int, direction: TrafficDirection, identity: int, port: int
) -> Question:
    """The most specific entry for this identity and TCP port."""
    key = le32(_FULL_PREFIX) + le32(identity) + bytes((direction, L4Protocol.TCP)) + be16(port)
    return map_lookup(node, f"{layout.policy_map}{endpoint_id(endpoint):05d}", key)


def parse(reading: Reading) -> PolicyEntry | Absent | Unavailable:
    """The entry; absent: nothing is said about this identity."""
    value = parse_value(reading, _VALUE_SIZE)
    if not isinstance(value, bytes):
        return value
    return PolicyEntry(deny=bool(value[2] & _DENY), proxy_port=int.from_bytes(value[:2], "big"))
