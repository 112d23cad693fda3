"""The load-balancing maps: a service's frontend and its slots, backends by id, reverse NAT by id.

Slot 0 is the frontend itself and counts its backends; slots 1 to count name one backend each. A node's maps hold the
backends that are eligible on that node (traffic policies, topology), so they differ between nodes.
Source: Cilium 1.18 `bpf/lib/common.h` (lb4_key, lb4_service, lb4_backend, lb4_reverse_nat and their lb6 kin).
"""

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from ..evidence.question import Question
from ..evidence.reading import Absent, Reading, Unavailable
from .bpftool import lookup as map_lookup
from .bpftool import parse_value
from .wire import L4Protocol, be16, ip_text, le16, le32, packed

_SLOT = struct.Struct("<I H 2s B B H")  # backend id or algorithm and affinity, count, rev_nat be16, flags 1 and 2, qcount
_BACKEND_TAIL = struct.Struct(">H B B 4x")  # port, proto, state, cluster, zone: after 4 or 16 bytes of address


class Scope(IntEnum):
    """Whose traffic: services with different internal and external traffic policies have two sets of backends."""

    EXTERNAL = 0
    INTERNAL = 1


class Algorithm(IntEnum):
    """How a backend is chosen; UNSET: as the agent's `bpf-lb-algorithm` says."""

    UNSET = 0
    RANDOM = 1
    MAGLEV = 2


class ServiceFlag(IntFlag):
    """`flags` and, from bit 8 on, `flags2`."""

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
    QUARANTINED = 1 << 14  # of a slot; of a frontend: the source ranges are those that are refused
    DSR = 1 << 15


class BackendState(IntEnum):
    """Only active backends get new connections; terminating ones where there is no active one."""

    ACTIVE = 0
    TERMINATING = 1
    QUARANTINED = 2
    MAINTENANCE = 3


@dataclass(frozen=True, slots=True)
class Frontend:
    """A service's address. With protocol ANY: as services made before 1.17 are kept."""

    ip: str
    port: int
    protocol: L4Protocol = L4Protocol.TCP


@dataclass(frozen=True, slots=True)
class ServiceSlot:
    """`word` is the backend's id in slots from 1 on; in slot 0 it holds algorithm and affinity timeout."""

    word: int
    count: int
    rev_nat_id: int
    flags: ServiceFlag
    quarantined: int

    @property
    def backend_id(self) -> int:
        """Of slots from 1 on."""
        return self.word

    @property
    def algorithm(self) -> int:
        """Of slot 0: an `Algorithm`, if it is a known one."""
        return self.word >> 24

    @property
    def affinity_timeout_s(self) -> int:
        """Of slot 0; 0 without session affinity."""
        return self.word & 0xFFFFFF


@dataclass(frozen=True, slots=True)
class BackendRecord:
    """`state` is a `BackendState`, if it is a known one."""

    ip: str
    port: int
    protocol: int
    state: int


@dataclass(frozen=True, slots=True)
class RevNatRecord:
    """The service's address that replies are given as their source."""

    ip: str
    port: int


def slot(node: str, frontend: Frontend, number: int, scope: Scope = Scope.EXTERNAL) -> Question:
    """One slot of a service; slot 0 is absent where the node does not know the service."""
    address = packed(frontend.ip)
    key = address + be16(frontend.port) + le16(number) + bytes((frontend.protocol, scope, 0, 0))
    return map_lookup(node, f"cilium_lb{_version(address)}_services_v2", key)


def slots(node: str, frontend: Frontend, count: int, scope: Scope = Scope.EXTERNAL) -> tuple[Question, ...]:
    """Slots 1 to count."""
    return tuple(slot(node, frontend, number, scope) for number in range(1, count + 1))


def parse_slot(reading: Reading) -> ServiceSlot | Absent | Unavailable:
    """The slot."""
    value = parse_value(reading, _SLOT.size)
    if not isinstance(value, bytes):
        return value
    word, count, rev_nat, flags, flags2, quarantined = _SLOT.unpack(value)
    return ServiceSlot(word, count, int.from_bytes(rev_nat, "big"), ServiceFlag(flags | flags2 << 8), quarantined)


def backend(node: str, backend_id: int, ip_version: int = 4) -> Question:
    """A backend; absent, a slot that names it drops packets."""
    return map_lookup(node, f"cilium_lb{_known(ip_version)}_backends_v3", le32(backend_id))


def parse_backend(reading: Reading) -> BackendRecord | Absent | Unavailable:
    """The backend."""
    value = parse_value(reading, 4 + _BACKEND_TAIL.size, 16 + _BACKEND_TAIL.size)
    if not isinstance(value, bytes):
        return value
    address = value[: -_BACKEND_TAIL.size]
    port, protocol, state = _BACKEND_TAIL.unpack(value[-_BACKEND_TAIL.size :])
    return BackendRecord(ip_text(address), port, protocol, state)


def revnat(node: str, rev_nat_id: int, ip_version: int = 4) -> Question:
    """The service behind a RevNAT id; absent, replies keep the backend's address and the client refuses them."""
    return map_lookup(node, f"cilium_lb{_known(ip_version)}_reverse_nat", be16(rev_nat_id))


def parse_revnat(reading: Reading) -> RevNatRecord | Absent | Unavailable:
    """The service's address."""
    value = parse_value(reading, 6, 18)
    if not isinstance(value, bytes):
        return value
    return RevNatRecord(ip_text(value[:-2]), int.from_bytes(value[-2:], "big"))


def _version(address: bytes) -> int:
    return 4 if len(address) == 4 else 6


def _known(ip_version: int) -> int:
    if ip_version not in (4, 6):
        raise ValueError(f"there is no IP version {ip_version}")
    return ip_version
