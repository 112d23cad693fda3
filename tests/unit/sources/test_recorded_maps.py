"""The maps of a live cluster: xwing on node2 requests the Service of two deathstars and gets the one on node1."""

from ipaddress import ip_address

from datapath_probe.addresses import IpFamily
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Absent, Unavailable
from datapath_probe.sources.bpf.map_layout import Layout
from datapath_probe.sources.maps import conntrack, ipcache, lbmap, lxcmap
from datapath_probe.sources.maps.conntrack import CtEntry, CtFlag, TcpFlag
from datapath_probe.sources.maps.ipcache import IpcacheFlag, IpcacheRecord
from datapath_probe.sources.maps.lbmap import (
    BackendRecord,
    Frontend,
    RevNatRecord,
    ServiceFlag,
    ServiceSlot,
)
from datapath_probe.sources.maps.lxcmap import EndpointFlag, EndpointRecord
from unit.sources.golden import AT, answer, fact

XWING, DEATHSTAR, SERVICE = map(ip_address, ("10.244.1.124", "10.244.0.143", "10.96.46.197"))
LAYOUT = Layout("1.18.5", "cilium_ipcache_v2", "cilium_policy_v2")
FRONTEND = Frontend(SERVICE, 80)
PORT, PORT_REFUSED = 24337, 24338
ALL_FLAGS = TcpFlag.SYN | TcpFlag.ACK | TcpFlag.PSH | TcpFlag.FIN
RST_ACK = TcpFlag.RST | TcpFlag.ACK


def test_an_endpoint_of_the_node() -> None:
    assert lxcmap.lookup("node2", XWING) == fact("lxcmap", "client")
    assert lxcmap.parse(answer("lxcmap", "client")) == EndpointRecord(
        ifindex=13,
        endpoint_id=732,
        flags=EndpointFlag(0),
        mac="b2:56:dd:f3:0f:c0",
        node_mac="7e:d3:92:d1:57:b5",
        identity=18506,
        parent_ifindex=0,
    )
    assert lxcmap.lookup("node1", DEATHSTAR) == fact("lxcmap", "server")
    assert lxcmap.parse(answer("lxcmap", "server")) == EndpointRecord(
        ifindex=13,
        endpoint_id=614,
        flags=EndpointFlag(0),
        mac="06:af:3c:b7:a5:6b",
        node_mac="36:1e:b4:70:32:3e",
        identity=35535,
        parent_ifindex=0,
    )


def test_an_endpoint_of_another_node_is_absent() -> None:
    assert lxcmap.lookup("node2", DEATHSTAR) == fact("lxcmap", "server on the client's node")
    assert lxcmap.parse(answer("lxcmap", "server on the client's node")) == Absent()


def test_the_node_itself_is_an_endpoint_without_interface() -> None:
    record = lxcmap.parse(answer("lxcmap", "address of the node"))
    nothing = "00:00:00:00:00:00"
    assert record == EndpointRecord(0, 0, EndpointFlag.HOST, nothing, nothing, 0, 0)


def test_a_pod_on_another_node_has_an_identity_and_a_tunnel_endpoint() -> None:
    assert ipcache.lookup("node2", LAYOUT, DEATHSTAR) == fact("ipcache", "server")
    record = ipcache.parse(answer("ipcache", "server"))
    assert record == IpcacheRecord(35535, ip_address("172.30.0.11"), 0, IpcacheFlag.HAS_TUNNEL)


def test_one_bit_less_finds_the_pod_cidr() -> None:
    assert ipcache.lookup_wider("node2", LAYOUT, DEATHSTAR) == fact("ipcache", "server, wider")
    record = ipcache.parse(answer("ipcache", "server, wider"))
    assert record == IpcacheRecord(2, ip_address("172.30.0.11"), 0, IpcacheFlag.HAS_TUNNEL)


def test_a_pod_of_the_node_has_no_tunnel_endpoint() -> None:
    assert ipcache.parse(answer("ipcache", "client")) == IpcacheRecord(18506, None, 0, IpcacheFlag(0))
    assert ipcache.parse(answer("ipcache", "client, wider")) == IpcacheRecord(2, None, 0, IpcacheFlag(0))


def test_an_unknown_address_has_the_entry_of_the_wider_prefix() -> None:
    name = "unknown pod on the server's node"
    assert ipcache.parse(answer("ipcache", name)) == ipcache.parse(answer("ipcache", f"{name}, wider"))


def test_another_node_is_a_remote_node_without_a_tunnel() -> None:
    assert ipcache.parse(answer("ipcache", "server's node")) == IpcacheRecord(7, None, 0, IpcacheFlag(0))


def test_an_address_that_no_prefix_matches_is_absent() -> None:
    assert ipcache.lookup("node2", LAYOUT, ip_address("2001:db8::1")) == fact("ipcache", "IPv6")
    assert ipcache.lookup_wider("node2", LAYOUT, ip_address("2001:db8::1")) == fact("ipcache", "IPv6, wider")
    assert ipcache.parse(answer("ipcache", "IPv6")) == Absent()


def test_a_missing_map_is_unavailable() -> None:
    assert ipcache.parse(answer("ipcache", "map of an earlier version")) == Unavailable(
        EvidenceError.COMMAND_FAILED,
        'bpftool map lookup: exit code 255: {"error":"bpf obj get (/sys/fs/bpf/tc/globals/cilium_ipcache): '
        'No such file or directory"}',
        AT,
    )


def test_a_frontend_has_the_number_of_its_backends() -> None:
    assert lbmap.slot("node2", FRONTEND, 0) == fact("lbmap", "slot 0")
    assert lbmap.parse_slot(answer("lbmap", "slot 0")) == ServiceSlot(0, 2, 6, ServiceFlag(0), 0)


def test_each_other_slot_refers_to_a_backend() -> None:
    for number, backend_id in ((1, 7), (2, 8)):
        name = f"slot {number}"
        assert lbmap.slot("node2", FRONTEND, number) == fact("lbmap", name)
        assert lbmap.parse_slot(answer("lbmap", name)) == ServiceSlot(backend_id, 0, 6, ServiceFlag(0), 0)


def test_a_slot_beyond_the_number_is_absent() -> None:
    assert lbmap.slot("node2", FRONTEND, 3) == fact("lbmap", "slot 3")
    assert lbmap.parse_slot(answer("lbmap", "slot 3")) == Absent()


def test_an_unknown_service_is_absent() -> None:
    name = "slot 0 of an unknown frontend"
    assert lbmap.slot("node2", Frontend(SERVICE, 9), 0) == fact("lbmap", name)
    assert lbmap.parse_slot(answer("lbmap", name)) == Absent()


def test_a_backend() -> None:
    assert lbmap.backend("node2", 7, IpFamily.IPV4) == fact("lbmap", "backend")
    backend = lbmap.parse_backend(answer("lbmap", "backend"))
    assert backend == BackendRecord(DEATHSTAR, 80, protocol=6, state=0)
    assert lbmap.backend("node2", 2**32 - 1, IpFamily.IPV4) == fact("lbmap", "unknown backend")
    assert lbmap.parse_backend(answer("lbmap", "unknown backend")) == Absent()


def test_reverse_nat_has_the_address_of_the_service() -> None:
    assert lbmap.revnat("node2", 6, IpFamily.IPV4) == fact("lbmap", "reverse NAT")
    assert lbmap.parse_revnat(answer("lbmap", "reverse NAT")) == RevNatRecord(SERVICE, 80)
    assert lbmap.revnat("node2", 65535, IpFamily.IPV4) == fact("lbmap", "unknown reverse NAT")
    assert lbmap.parse_revnat(answer("lbmap", "unknown reverse NAT")) == Absent()


def entry(**values: object) -> CtEntry:
    """An entry of the recorded connections; fields that are not given are zero."""
    zero: dict[str, object] = {
        "backend_id": 0,
        "packets": 0,
        "bytes": 0,
        "lifetime_s": 0,
        "flags": CtFlag.RX_CLOSING | CtFlag.TX_CLOSING | CtFlag.SEEN_NON_SYN,
        "rev_nat_id": 0,
        "tx_flags": TcpFlag(0),
        "rx_flags": TcpFlag(0),
        "source_identity": 18506,
        "last_tx_s": 0,
        "last_rx_s": 0,
    }
    return CtEntry(**(zero | values))  # type: ignore[arg-type]  # a test's shorthand


def test_the_service_entry_refers_to_the_backend() -> None:
    built = conntrack.service_entry("node2", XWING, PORT, SERVICE, 80)
    assert built == fact("conntrack", "service: SVC")
    assert conntrack.parse(answer("conntrack", "service: SVC")) == entry(
        backend_id=7,
        rev_nat_id=6,
        lifetime_s=4951,
        tx_flags=ALL_FLAGS,
        source_identity=0,
        last_tx_s=4941,
    )


def test_the_out_entry_has_both_directions() -> None:
    assert conntrack.out_entry("node2", XWING, PORT, DEATHSTAR, 80) == fact("conntrack", "service: OUT")
    assert conntrack.parse(answer("conntrack", "service: OUT")) == entry(
        rev_nat_id=6,
        lifetime_s=4951,
        tx_flags=ALL_FLAGS,
        rx_flags=ALL_FLAGS,
        last_tx_s=4941,
        last_rx_s=4941,
    )


def test_the_in_entry_shows_that_packets_came_from_the_tunnel() -> None:
    assert conntrack.in_entry("node1", XWING, PORT, DEATHSTAR, 80) == fact("conntrack", "service: IN")
    assert conntrack.parse(answer("conntrack", "service: IN")) == entry(
        lifetime_s=4951,
        flags=CtFlag.RX_CLOSING | CtFlag.TX_CLOSING | CtFlag.SEEN_NON_SYN | CtFlag.FROM_TUNNEL,
        tx_flags=ALL_FLAGS,
        rx_flags=ALL_FLAGS,
        last_tx_s=4941,
        last_rx_s=4941,
    )


def test_there_is_no_in_entry_on_a_node_that_packets_did_not_reach() -> None:
    name = "service: IN on the client's node"
    assert conntrack.in_entry("node2", XWING, PORT, DEATHSTAR, 80) == fact("conntrack", name)
    assert conntrack.parse(answer("conntrack", name)) == Absent()


def test_a_refusal_is_a_reset_that_the_pod_sent() -> None:
    out = conntrack.out_entry("node2", XWING, PORT_REFUSED, DEATHSTAR, 81)
    assert out == fact("conntrack", "refused: OUT")
    at_the_client = conntrack.parse(answer("conntrack", "refused: OUT"))
    at_the_server = conntrack.parse(answer("conntrack", "refused: IN"))
    assert isinstance(at_the_client, CtEntry)
    assert isinstance(at_the_server, CtEntry)
    assert (at_the_client.tx_flags, at_the_client.rx_flags) == (TcpFlag.SYN, RST_ACK)
    assert (at_the_server.tx_flags, at_the_server.rx_flags) == (RST_ACK, TcpFlag.SYN)


def test_the_entry_of_icmp_errors_exists_before_the_first_error() -> None:
    built = conntrack.icmp_related("node2", XWING, DEATHSTAR)
    assert built == fact("conntrack", "service: ICMP errors")
    related = conntrack.parse(answer("conntrack", "service: ICMP errors"))
    assert related == entry(
        flags=CtFlag(0), rev_nat_id=6, lifetime_s=5001, tx_flags=TcpFlag.SYN, last_tx_s=4941
    )
    assert isinstance(related, CtEntry)
    assert not related.received(0)


def test_an_entry_is_fresh_since_the_second_in_which_it_was_written() -> None:
    written = conntrack.parse(answer("conntrack", "service: SVC"))
    assert isinstance(written, CtEntry)
    assert written.fresh(4941.9)
    assert written.sent(4940.0)
    assert not written.received(0), "zero is never"
    assert not entry(last_rx_s=4941).sent(0), "nor here"
    assert not written.fresh(4942.0)
