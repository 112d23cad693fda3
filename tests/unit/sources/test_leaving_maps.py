"""Keys and values of the maps that decide how packets leave the cluster, as the headers of Cilium 1.18 define them."""

from ipaddress import IPv4Address, ip_address

from datapath_probe.evidence.reading import Absent
from datapath_probe.sources.maps import egress_gateway, ipmasq
from datapath_probe.sources.maps.egress_gateway import EgressGateway
from unit.sources.golden import looked_up, printed


def test_egress_gateway_keys_and_values() -> None:
    fact = egress_gateway.entry("node1", ip_address("10.244.1.7"), ip_address("203.0.113.10"))
    found = egress_gateway.key(fact)
    assert found.map == "cilium_egress_gw_policy_v4"
    assert found.key.hex(" ") == "40 00 00 00 0a f4 01 07 cb 00 71 0a"
    on_gateway = looked_up("ac 1e 00 63 ac 1e 00 0b")
    assert egress_gateway.parse(on_gateway) == EgressGateway(
        IPv4Address("172.30.0.11"), ip_address("172.30.0.99")
    )
    elsewhere = looked_up("00 00 00 00 ac 1e 00 0b")
    assert egress_gateway.parse(elsewhere) == EgressGateway(IPv4Address("172.30.0.11"), None)
    assert egress_gateway.parse(looked_up("00 00 00 00 00 00 00 00")) == EgressGateway(None, None)
    excluded = looked_up("00 00 00 00 00 00 00 01")
    assert egress_gateway.parse(excluded) == Absent()
    six = egress_gateway.key(egress_gateway.entry("node1", ip_address("fd00::1"), ip_address("2001:db8::1")))
    assert (six.map, len(six.key), six.key[:4]) == ("cilium_egress_gw_policy_v6", 36, b"\0\1\0\0")
    value = ip_address("fd00::9").packed + bytes((172, 30, 0, 11)) + bytes(20)
    over_six = egress_gateway.parse(looked_up(value.hex(" ")))
    assert over_six == EgressGateway(IPv4Address("172.30.0.11"), ip_address("fd00::9"))


def test_exceptions_to_masquerading() -> None:
    found = ipmasq.key(ipmasq.exception("node1", ip_address("203.0.113.10")))
    assert (found.map, found.key.hex(" ")) == ("cilium_ipmasq_v4", "20 00 00 00 cb 00 71 0a")
    six = ipmasq.key(ipmasq.exception("node1", ip_address("2001:db8::1")))
    assert (six.map, six.key[:4]) == ("cilium_ipmasq_v6", b"\x80\0\0\0")
    assert ipmasq.parse(looked_up("00")) is True
    assert ipmasq.parse(printed("null", exit_code=254)) is False
