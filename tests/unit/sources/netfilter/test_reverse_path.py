"""Rules that look up a route: `rpfilter` of iptables, and `fib` of nf_tables (recorded, as the kernel returns them)."""

import base64
import json
from ipaddress import ip_address
from pathlib import Path

import pytest

from datapath_probe.addresses import IpAddress
from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.sources.netfilter import iptables, nftables
from datapath_probe.sources.packet import Loss, Packet, Routes, RouteTo, no_routes

FIB = json.loads((Path(__file__).parents[3] / "data/nftables/fib-linux-6.18.json").read_text())
POD, HOST = ip_address("10.244.1.7"), ip_address("172.30.0.12")
REPLY = Packet("tcp", POD, HOST, 40000, 80, state="ESTABLISHED").arriving_at("lxc1")
BACK, ELSEWHERE, NONE = RouteTo("unicast", "lxc1"), RouteTo("unicast", "cilium_host"), RouteTo()
OWN = RouteTo("local", "lo")
PREROUTING = ("PREROUTING", "INPUT")


def routing(to_pod: RouteTo | None, to_host: RouteTo | None = OWN) -> Routes:
    def look_up(ip: IpAddress) -> RouteTo | None:
        return to_pod if ip == POD else to_host

    return look_up


def by_iptables(words: str, routes: Routes, packet: Packet = REPLY) -> Loss | None:
    text = f"*mangle\n:PREROUTING ACCEPT [0:0]\n[3:180] -A PREROUTING {words}\nCOMMIT\n"
    filters = iptables.parse(Answer(0, text.encode(), b"", 0.0, 0.0))
    assert not isinstance(filters, Unavailable)
    found = iptables.loss(filters, PREROUTING, packet, routes=routes)
    assert not isinstance(found, Unavailable)
    return found


STRICT, LOOSE = "-i lxc+ -m rpfilter --validmark --invert -j DROP", "-m rpfilter --loose --invert -j DROP"
PASSED = "-m rpfilter -j DROP"


@pytest.mark.parametrize(
    ("words", "to_pod", "drops"),
    [
        (STRICT, ELSEWHERE, True),
        (STRICT, NONE, True),
        (STRICT, OWN, True),
        (STRICT, BACK, False),
        (LOOSE, ELSEWHERE, False),
        (LOOSE, NONE, True),
        (LOOSE, OWN, True),
        ("-m rpfilter --loose --accept-local --invert -j DROP", OWN, False),
        (PASSED, BACK, True),
        (PASSED, ELSEWHERE, False),
        ("-i eth+ -m rpfilter --invert -j DROP", ELSEWHERE, False),
        ("-s 10.244.1.7/32 -m rpfilter --invert -j DROP", ELSEWHERE, True),
    ],
)
def test_the_reverse_path_filter_is_decided_by_the_route_to_the_source(
    words: str, to_pod: RouteTo, drops: bool
) -> None:
    found = by_iptables(words, routing(to_pod))
    assert (found is not None and found.certain) is drops


@pytest.mark.parametrize(
    ("words", "routes", "packet"),
    [
        (STRICT, no_routes, REPLY),
        (
            STRICT,
            routing(ELSEWHERE),
            Packet("tcp", POD, HOST, devices=frozenset({"lxc1"})),
        ),  # where it arrives?
        ("-m rpfilter --accept-local --invert -j DROP", routing(OWN), REPLY),
        ("-m rpfilter --invert -m connlimit --connlimit-above 0 -j DROP", routing(ELSEWHERE), REPLY),
    ],
)
def test_without_the_route_or_the_device_it_is_unknown(words: str, routes: Routes, packet: Packet) -> None:
    found = by_iptables(words, routes, packet)
    assert found is not None
    assert not found.certain


def test_packets_of_the_host_to_itself_pass() -> None:
    to_itself = Packet("tcp", HOST, HOST, 80).arriving_at("lo")
    assert by_iptables("-m rpfilter --invert -j DROP", routing(None, OWN), to_itself) is None


def test_no_route_is_looked_up_unless_all_else_matches() -> None:
    def fail(_: IpAddress) -> RouteTo | None:
        raise AssertionError

    assert by_iptables("-p udp -m rpfilter --invert -j DROP", fail) is None


def by_nft(name: str, routes: Routes, packet: Packet = REPLY) -> Loss | None:
    chains = nftables.parse(Answer(0, base64.b64decode(FIB[name]["output"]), b"", 0.0, 0.0))
    assert not isinstance(chains, Unavailable), chains
    found = nftables.loss(chains, PREROUTING, packet, routes=routes)
    assert not isinstance(found, Unavailable)
    return found


@pytest.mark.parametrize(
    ("name", "to_pod", "drops"),
    [
        ("reverse-path-missing", ELSEWHERE, True),
        ("reverse-path-missing", BACK, False),
        ("reverse-path-missing-as-firewalld", ELSEWHERE, True),
        ("reverse-path-missing-as-firewalld", NONE, True),
        ("reverse-path-missing-as-firewalld", BACK, False),
        ("reverse-path-loose", ELSEWHERE, False),
        ("reverse-path-loose", NONE, True),
        ("reverse-path-device", ELSEWHERE, True),
        ("reverse-path-device", BACK, False),
        ("reverse-path-ifindex", NONE, True),
        ("source-local", OWN, True),
        ("source-local", ELSEWHERE, False),
        ("destination-not-local", BACK, False),
    ],
)
def test_a_fib_expression_is_decided_by_the_route(name: str, to_pod: RouteTo, drops: bool) -> None:
    found = by_nft(name, routing(to_pod))
    assert (found is not None and found.certain) is drops


def test_an_address_that_is_not_local_is_unicast() -> None:
    assert by_nft("destination-not-local", routing(BACK, ELSEWHERE))
    assert by_nft("destination-not-local", routing(BACK, NONE))


def test_a_path_back_that_exists_may_be_accepted_before() -> None:
    udp = Packet("udp", POD, HOST, 53).arriving_at("lxc1")
    assert by_nft("reverse-path-exists", routing(BACK), udp) is None
    found = by_nft("reverse-path-exists", routing(ELSEWHERE), udp)
    assert found
    assert found.certain


@pytest.mark.parametrize(
    ("name", "routes"),
    [
        ("reverse-path-missing", no_routes),
        ("reverse-path-ifindex", routing(BACK)),  # the index of the device is not known
        ("destination-local", routing(BACK, OWN)),  # nor which device has the address
    ],
)
def test_without_what_it_depends_on_a_fib_expression_is_unknown(name: str, routes: Routes) -> None:
    found = by_nft(name, routes)
    assert found is not None
    assert not found.certain
