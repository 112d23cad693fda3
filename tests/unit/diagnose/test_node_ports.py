"""Entries of a NodePort on a node: for its own address or any, and by scope."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address

import pytest

from datapath_probe.diagnose.finding.evidence_reader import EvidenceReader
from datapath_probe.diagnose.lookup.service_frontend import lookup_service
from datapath_probe.evidence.reading import Absent, Answer, Reading, Unavailable
from datapath_probe.evidence.store import Evidence
from datapath_probe.plan.plan import Frontend
from datapath_probe.sources.byte_order import L4Protocol
from datapath_probe.sources.maps import lbmap
from datapath_probe.sources.maps.lbmap import Scope, ServiceFlag, ServiceSlot
from unit.cluster import DEATHSTAR
from unit.sources.golden import printed

NODE, IP, PORT = "node2", ip_address("172.30.0.12"), 30080
FRONTEND = Frontend(DEATHSTAR, replace(DEATHSTAR.ports[0], node_port=PORT), IP, PORT)
OWN = lbmap.Frontend(IP, PORT)
ANYWHERE = lbmap.Frontend(ip_address("0.0.0.0"), PORT)  # noqa: S104  # a key of a map
DESTINATION_HOPS = replace(OWN, scope=Scope.INTERNAL)
PROTOCOLS = (L4Protocol.TCP, L4Protocol.ANY)
ABSENT = Answer(254, b"null", b"", at=0.0, duration_s=0.0)


def counting(count: int, flags: ServiceFlag = ServiceFlag.NODE_PORT) -> Answer:
    value = bytes((0, 0, 0, 0, count, 0, 0, 7, flags & 0xFF, flags >> 8, 0, 0))
    octets = ", ".join(f'"0x{octet:02x}"' for octet in value)
    return printed(f'{{"key": [], "value": [{octets}]}}')


def seen(readings: Mapping[lbmap.Frontend, Reading]) -> EvidenceReader:
    """All other slots are absent."""
    addresses = [replace(a, protocol=p) for a in (OWN, ANYWHERE, DESTINATION_HOPS) for p in PROTOCOLS]
    return EvidenceReader(Evidence({lbmap.slot(NODE, a, 0): (readings.get(a, ABSENT),) for a in addresses}))


def test_the_nodes_own_address_comes_first() -> None:
    found = lookup_service(seen({OWN: counting(2), ANYWHERE: counting(3)}), NODE, FRONTEND, socket_lb=True)
    assert (found.address, found.surrogate) == (OWN, False)
    assert isinstance(found.slot, ServiceSlot)
    assert found.slot.count == 2


def test_sockets_find_the_surrogate_where_the_own_address_has_no_entry_and_packets_do_not() -> None:
    reader = seen({ANYWHERE: counting(3)})
    by_socket = lookup_service(reader, NODE, FRONTEND, socket_lb=True)
    assert (by_socket.address, by_socket.surrogate) == (ANYWHERE, True)
    assert isinstance(lookup_service(reader, NODE, FRONTEND, socket_lb=False).slot, Absent)


def test_a_cluster_ip_has_no_surrogate() -> None:
    assert DEATHSTAR.cluster_ip is not None
    frontend = replace(FRONTEND, ip=DEATHSTAR.cluster_ip, node_port=None)
    absent = {
        lbmap.slot(NODE, replace(lbmap.Frontend(DEATHSTAR.cluster_ip, 80), protocol=p), 0): (ABSENT,)
        for p in PROTOCOLS
    }
    reader = EvidenceReader(Evidence(absent))
    assert isinstance(lookup_service(reader, NODE, frontend, socket_lb=True).slot, Absent)
    assert not reader.missing


def test_without_any_entry_it_is_absent_by_all_lookups() -> None:
    found = lookup_service(seen({}), NODE, FRONTEND, socket_lb=True)
    assert isinstance(found.slot, Absent)
    assert len(found.rests_on) == 4


def test_a_surrogate_that_can_not_be_read_is_unavailable() -> None:
    silent = Unavailable("AgentSilent", "no answer")
    found = lookup_service(seen({ANYWHERE: silent}), NODE, FRONTEND, socket_lb=True)
    assert isinstance(found.slot, Unavailable)


@pytest.mark.parametrize("socket_lb", [True, False])
def test_with_two_scopes_clients_of_the_cluster_have_their_own_backends(socket_lb: bool) -> None:
    outside = counting(1, ServiceFlag.NODE_PORT | ServiceFlag.TWO_SCOPES)
    found = lookup_service(seen({OWN: outside, DESTINATION_HOPS: counting(2)}), NODE, FRONTEND, socket_lb)
    assert found.address == DESTINATION_HOPS
    assert isinstance(found.slot, ServiceSlot)
    assert found.slot.count == 2
