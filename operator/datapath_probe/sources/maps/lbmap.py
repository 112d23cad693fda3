"""The load-balancing maps: the frontend of a Service and its slots, backends by id, reverse NAT by id.

Slot 0 is the frontend itself and holds the number of backends; slots 1 to that number refer to one backend each. A
node's maps hold the backends that are eligible on that node (traffic policies, topology), so nodes differ.
Source: Cilium 1.16–1.20 `bpf/lib/{common,lb}.h` (lb4_key, lb4_service, lb4_backend, lb4_reverse_nat and their lb6
counterparts).
"""

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from ...addresses import IpAddress, IpFamily, address
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.reading import Absent, Reading, Unavailable
from ..bpf.bpftool import parse_value
from ..bpf.map_key import MapKey
from ..byte_order import L4Protocol, be16, le16, le32, packed

# backend id, count, rev_nat be16, flags, flags2, quarantined (padding until 1.17)
_SLOT = struct.Struct("<I H 2s B B H")
# after 4 or 16 bytes of the address: port be16, proto, state, cluster, zone
_BACKEND_TAIL = struct.Struct(">H B B 4x")


class Scope(IntEnum):
    """The traffic that the entry applies to: different internal and external traffic policies need two sets of
    backends.
    """

    EXTERNAL = 0
    INTERNAL = 1


class ServiceFlag(IntFlag):
    """`flags`, and from bit 8 on `flags2`."""

    EXTERNAL_IP = 1 << 0
    NODE_PORT = 1 << 1
    EXTERNAL_LOCAL = 1 << 2  # externalTrafficPolicy: Local
    HOST_PORT = 1 << 3
    AFFINITY = 1 << 4
    LOAD_BALANCER = 1 << 5
    ROUTABLE = 1 << 6  # not for a ClusterIP
    SOURCE_RANGE = 1 << 7
    LOCAL_REDIRECT = 1 << 8
    NAT_46X64 = 1 << 9
    L7_LOAD_BALANCER = 1 << 10
    LOOPBACK = 1 << 11
    INTERNAL_LOCAL = 1 << 12  # internalTrafficPolicy: Local
    TWO_SCOPES = 1 << 13
    QUARANTINED = 1 << 14  # slots from 1 on; in slot 0: source ranges are a deny list
    DSR = 1 << 15


class BackendState(IntEnum):
    """Slots decide which backend gets new connections. A backend that is not active keeps its existing connections, but
    a new connection that reuses their ports goes to another backend. Source: Cilium 1.18 `bpf/lib/lb.h` (`lb4_local`).
    """

    ACTIVE = 0
    TERMINATING = 1
    QUARANTINED = 2
    MAINTENANCE = 3


@dataclass(frozen=True, slots=True)
class Frontend:
    """The address of a Service.

    Programs look up the protocol and then ANY: 1.16 writes only ANY, and Services created by it keep it.
    """

    ip: IpAddress
    port: int
    protocol: L4Protocol = L4Protocol.TCP
    scope: Scope = Scope.EXTERNAL


@dataclass(frozen=True, slots=True)
class ServiceSlot:
    """Slot 0 holds the number of backends, and in addition that of `quarantined` ones; each other slot holds a
    `backend_id`.

    In slot 0 this word is not an id: it holds algorithm and affinity timeout, or the port of a proxy.
    """

    backend_id: int
    count: int
    rev_nat_id: int
    flags: ServiceFlag
    quarantined: int


@dataclass(frozen=True, slots=True)
class BackendRecord:
    """`state` is a `BackendState` if it is known."""

    ip: IpAddress
    port: int
    protocol: int
    state: int


@dataclass(frozen=True, slots=True)
class RevNatRecord:
    """The address of the Service that replies get as their source."""

    ip: IpAddress
    port: int


def slot(node: str, frontend: Frontend, number: int) -> Fact:
    """One slot of a Service; slot 0 is absent if the node does not know the Service."""
    return Fact.of(
        FactKind.SERVICE_SLOT,
        node,
        address=frontend.ip,
        port=frontend.port,
        protocol=frontend.protocol,
        scope=frontend.scope.name.lower(),
        slot=number,
    )


def slot_key(fact: Fact) -> MapKey:
    """The key of a slot."""
    ip, scope = packed(fact.text("address")), Scope[fact.text("scope").upper()]
    name = f"cilium_lb{4 if len(ip) == 4 else 6}_services_v2"
    numbers = be16(fact.number("port")) + le16(fact.number("slot"))
    return MapKey(name, ip + numbers + bytes((fact.number("protocol"), scope, 0, 0)))


def parse_slot(reading: Reading) -> ServiceSlot | Absent | Unavailable:
    """The slot."""
    value = parse_value(reading, _SLOT.size)
    if not isinstance(value, bytes):
        return value
    backend_id, count, rev_nat, flags, flags2, quarantined = _SLOT.unpack(value)
    return ServiceSlot(
        backend_id, count, int.from_bytes(rev_nat, "big"), ServiceFlag(flags | flags2 << 8), quarantined
    )


def backend(node: str, backend_id: int, family: IpFamily) -> Fact:
    """A backend. If absent, packets are dropped when its slot is selected."""
    return Fact.of(FactKind.SERVICE_BACKEND, node, id=backend_id, family=family)


def backend_key(fact: Fact) -> MapKey:
    """The key of a backend."""
    return MapKey(f"cilium_lb{fact.number('family')}_backends_v3", le32(fact.number("id")))


def parse_backend(reading: Reading) -> BackendRecord | Absent | Unavailable:
    """The backend."""
    value = parse_value(reading, 4 + _BACKEND_TAIL.size, 16 + _BACKEND_TAIL.size)
    if not isinstance(value, bytes):
        return value
    port, protocol, state = _BACKEND_TAIL.unpack(value[-_BACKEND_TAIL.size :])
    return BackendRecord(address(value[: -_BACKEND_TAIL.size]), port, protocol, state)


def revnat(node: str, rev_nat_id: int, family: IpFamily) -> Fact:
    """The frontend for a RevNAT id. If absent, replies keep the backend's address and clients reject them."""
    return Fact.of(FactKind.REVERSE_NAT_ENTRY, node, id=rev_nat_id, family=family)


def revnat_key(fact: Fact) -> MapKey:
    """The key of the frontend for a RevNAT id."""
    return MapKey(f"cilium_lb{fact.number('family')}_reverse_nat", be16(fact.number("id")))


def parse_revnat(reading: Reading) -> RevNatRecord | Absent | Unavailable:
    """The address of the frontend."""
    value = parse_value(reading, 6, 18)
    if not isinstance(value, bytes):
        return value
    return RevNatRecord(address(value[:-2]), int.from_bytes(value[-2:], "big"))
