"""A Service's frontend on a node: its slot 0, and the address of this and the other slots in the map.

In: a planned frontend. Out: the entry that programs use. Called by `backend_selection` and the checks of Services.
Source: Cilium 1.18 `bpf/lib/lb.h` (`lb4_lookup_service`), `bpf/bpf_sock.c` (`sock4_wildcard_lookup`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

from ...addresses import IpAddress, IpFamily, family_of
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...plan.plan import Frontend
from ...sources.byte_order import L4Protocol
from ...sources.maps import lbmap
from ...sources.maps.lbmap import Scope, ServiceFlag, ServiceSlot
from ..finding.evidence_reader import EvidenceReader

_ANY_ADDRESS: Mapping[IpFamily, IpAddress] = {IpFamily.IPV4: IPv4Address(0), IpFamily.IPV6: IPv6Address(0)}


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """Slot 0, with its address in the map. `surrogate`: the wildcard entry of a NodePort, which sockets use if there is
    no entry for the requested address.
    """

    address: lbmap.Frontend
    slot: ServiceSlot | Absent | Unavailable
    rests_on: tuple[Fact, ...]
    surrogate: bool = False


def address_of(frontend: Frontend) -> lbmap.Frontend:
    """The address of the first lookup."""
    return lbmap.Frontend(frontend.ip, frontend.number, L4Protocol[frontend.port.protocol])


def lookup_service(reader: EvidenceReader, node: str, frontend: Frontend, socket_lb: bool) -> ServiceEntry:
    """The entry that a connection to this frontend uses on this node."""
    address = address_of(frontend)
    found = _scoped(reader, node, address)
    if not (isinstance(found.slot, Absent) and frontend.node_port and socket_lb):
        return found
    anywhere = replace(address, ip=_ANY_ADDRESS[family_of(address.ip)])
    other = _scoped(reader, node, anywhere)
    rests_on = (*found.rests_on, *other.rests_on)
    if isinstance(other.slot, Absent):
        return replace(found, rests_on=rests_on)
    return replace(other, rests_on=rests_on, surrogate=True)


def _scoped(reader: EvidenceReader, node: str, address: lbmap.Frontend) -> ServiceEntry:
    """The entry for clients inside the cluster, if there are two scopes."""
    found = _of_protocol(reader, node, address)
    if not (isinstance(found.slot, ServiceSlot) and ServiceFlag.TWO_SCOPES in found.slot.flags):
        return found
    inside = _of_protocol(reader, node, replace(address, scope=Scope.INTERNAL))
    return replace(inside, rests_on=(*found.rests_on, *inside.rests_on))


def _of_protocol(reader: EvidenceReader, node: str, address: lbmap.Frontend) -> ServiceEntry:
    """The entry of the protocol, otherwise the one of any protocol: Cilium before 1.17 creates only these."""
    fact = lbmap.slot(node, address, 0)
    slot = reader.read(fact, lbmap.parse_slot)
    if not isinstance(slot, Absent):
        return ServiceEntry(address, slot, (fact,))
    of_any = replace(address, protocol=L4Protocol.ANY)
    fact_of_any = lbmap.slot(node, of_any, 0)
    slot_of_any = reader.read(fact_of_any, lbmap.parse_slot)
    return ServiceEntry(of_any, slot_of_any, (fact, fact_of_any))
