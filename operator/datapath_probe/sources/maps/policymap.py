"""An endpoint's policy map: may this identity use this port, in this direction?

Two look-ups decide, one for the identity and one for any identity (0). Each finds its most specific entry. No entry is
the default deny (drop 133). A direction without enforcement has an entry that allows all.
Source: Cilium 1.16–1.20 `bpf/lib/policy.h` (`__policy_can_access`; policy_key, policy_entry, until 1.18 in `common.h`).
"""

from dataclasses import dataclass, replace
from enum import IntEnum

from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Absent, Reading, Unavailable
from ..bpf.bpftool import parse_value
from ..bpf.map_key import MapKey
from ..bpf.map_layout import Layout
from ..byte_order import L4Protocol, be16, le32

ANY_IDENTITY = 0
_FULL_PREFIX = 64  # bits: identity, direction, protocol, port
# proxy_port be16, flags, auth_type (highest bit: set by this entry, not inherited); then priority and counters until
# 1.17, priority in 1.18, precedence since 1.19
_SIZE_1_17, _SIZE_1_18, _SIZE_1_19 = 24, 8, 12
_DENY = 1 << 0
_AUTH_EXPLICIT = 1 << 7
_HIGHEST = 2**32 - 1


class TrafficDirection(IntEnum):
    """Seen from the endpoint that owns the map."""

    INGRESS = 0
    EGRESS = 1


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """`proxy_port` is not 0 if an L7 proxy decides; `auth_type` is not 0 if mutual authentication is required.

    Of two entries the one with the higher `precedence` wins, then the one that is more specific in protocol and port
    (`prefix_bits`, 0 to 24).
    """

    deny: bool
    proxy_port: int
    precedence: int
    prefix_bits: int
    auth_type: int = 0
    auth_explicit: bool = False


def lookup(
    node: str,
    layout: Layout,
    endpoint: int,
    direction: TrafficDirection,
    identity: int,
    port: int,
    protocol: L4Protocol = L4Protocol.TCP,
) -> Fact:
    """The most specific entry for this identity and port."""
    return Fact.of(
        FactKind.POLICY_ENTRY,
        node,
        map=layout.policy_map,
        endpoint=endpoint,
        direction=direction.name.lower(),
        identity=identity,
        protocol=protocol,
        port=port,
    )


def key(fact: Fact) -> MapKey:
    """The key of the entry."""
    direction = TrafficDirection[fact.text("direction").upper()]
    head = le32(_FULL_PREFIX) + le32(fact.number("identity"))
    name = f"{fact.text('map')}_{fact.number('endpoint'):05d}"
    return MapKey(name, head + bytes((direction, fact.number("protocol"))) + be16(fact.number("port")))


def parse(reading: Reading) -> PolicyEntry | Absent | Unavailable:
    """The entry; absent: there is none for this identity."""
    value = parse_value(reading, _SIZE_1_17, _SIZE_1_18, _SIZE_1_19)
    if not isinstance(value, bytes):
        return value
    proxy_port, flags = int.from_bytes(value[:2], "big"), value[2]
    return PolicyEntry(
        deny=bool(flags & _DENY),
        proxy_port=proxy_port,
        precedence=_precedence(value),
        prefix_bits=flags >> 3,
        auth_type=value[3] & ~_AUTH_EXPLICIT,
        auth_explicit=bool(value[3] & _AUTH_EXPLICIT),
    )


def decide(of_identity: PolicyEntry | Absent, of_any: PolicyEntry | Absent) -> PolicyEntry | Absent:
    """The entry that the program applies; absent: there is none, and the packet is dropped."""
    if isinstance(of_identity, Absent):
        return of_any
    if isinstance(of_any, Absent):
        return of_identity
    chosen = max(of_identity, of_any, key=lambda entry: (entry.precedence, entry.prefix_bits))
    other = of_any if chosen is of_identity else of_identity
    if chosen.deny or chosen.auth_explicit or other.auth_type <= chosen.auth_type:
        return chosen
    return replace(chosen, auth_type=other.auth_type)


def _precedence(value: bytes) -> int:
    if len(value) == _SIZE_1_19:
        return int.from_bytes(value[4:8], "little")
    return _HIGHEST if value[2] & _DENY else value[4]
