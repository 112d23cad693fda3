"""Builders of facts: no input can become more than the single word that it is meant to be."""

from collections.abc import Callable
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.addresses import IpAddress, IpFamily
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.sources.agent import agent_endpoint
from datapath_probe.sources.bpf import bpftool
from datapath_probe.sources.bpf.map_layout import Layout
from datapath_probe.sources.iproute2 import links
from datapath_probe.sources.maps import conntrack, ipcache, lbmap, lxcmap, policymap
from datapath_probe.sources.maps.lbmap import Frontend
from datapath_probe.tools.commands import argv_of

LAYOUT = Layout("1.18.5", "cilium_ipcache_v2", "cilium_policy_v2")
IP, OTHER, THIRD = map(ip_address, ("10.0.0.1", "10.0.0.2", "10.0.0.3"))
INGRESS = policymap.TrafficDirection.INGRESS

Build = Callable[[int], Fact]

BITS_16: dict[str, Build] = {
    "frontend": lambda port: lbmap.slot("n", Frontend(IP, port), 0),
    "slot": lambda number: lbmap.slot("n", Frontend(IP, 80), number),
    "RevNAT id": lambda number: lbmap.revnat("n", number, IpFamily.IPV4),
    "client": lambda port: conntrack.out_entry("n", IP, port, OTHER, 80),
    "server": lambda port: conntrack.in_entry("n", IP, 80, OTHER, port),
    "VIP": lambda port: conntrack.service_entry("n", IP, 80, OTHER, port),
    "endpoint": lambda number: agent_endpoint.fact("n", number),
    "policy program": lambda number: bpftool.policy_call("n", number),
    "tail calls": lambda number: bpftool.endpoint_call("n", number, 0),
    "policy": lambda port: policymap.lookup("n", LAYOUT, 1, INGRESS, 1, port),
    "endpoint's policy": lambda number: policymap.lookup("n", LAYOUT, number, INGRESS, 1, 80),
    "pinned link": lambda number: bpftool.endpoint_link("n", number, "cil_from_container"),
}
BITS_32: dict[str, Build] = {
    "backend": lambda number: lbmap.backend("n", number, IpFamily.IPV4),
    "tail call": lambda number: bpftool.endpoint_call("n", 1, number),
    "overlay's tail call": lambda number: bpftool.overlay_call("n", number),
    "program": lambda number: bpftool.prog("n", number),
    "identity": lambda number: policymap.lookup("n", LAYOUT, 1, INGRESS, number, 80),
}
SIZES = [(build, 16) for build in BITS_16.values()] + [(build, 32) for build in BITS_32.values()]


@pytest.mark.parametrize(("build", "bits"), SIZES, ids=[*BITS_16, *BITS_32])
def test_numbers_out_of_range_are_rejected(build: Build, bits: int) -> None:
    assert build(0) != build(2**bits - 1)
    for number in (-1, 2**bits, 2**64):
        with pytest.raises(ValueError, match=f"{number} does not fit into {bits} bits"):
            build(number)


ADDRESSES: dict[str, Callable[[IpAddress], Fact]] = {
    "ipcache": lambda ip: ipcache.lookup("n", LAYOUT, ip),
    "ipcache, wider": lambda ip: ipcache.lookup_wider("n", LAYOUT, ip),
    "endpoint": lambda ip: lxcmap.lookup("n", ip),
    "frontend": lambda ip: lbmap.slot("n", Frontend(ip, 80), 0),
    "client": lambda ip: conntrack.out_entry("n", ip, 1, OTHER, 2),
    "server": lambda ip: conntrack.in_entry("n", OTHER, 1, ip, 2),
    "ICMP errors": lambda ip: conntrack.icmp_related("n", ip, OTHER),
    "route": lambda ip: links.route_to("n", ip),
}


@pytest.mark.parametrize("build", ADDRESSES.values(), ids=list(ADDRESSES))
def test_each_address_is_a_part_of_its_fact_as_text(build: Callable[[IpAddress], Fact]) -> None:
    assert build(IP) != build(THIRD)
    assert str(THIRD) in dict(build(THIRD).parameters).values()


@pytest.mark.parametrize("ip", ["", "10.0.0", "10.0.0.1/32", "10.0.0.256", "deathstar", "-4", "fe80::1%eth0"])
def test_invalid_addresses_are_rejected(ip: str) -> None:
    with pytest.raises(ValueError, match=r"IP|address|zone"):
        Fact.of(FactKind.ENDPOINT_ENTRY, "n", address=ip)


def test_addresses_of_one_connection_have_one_ip_version() -> None:
    with pytest.raises(ValueError, match="not of one IP version"):
        conntrack.out_entry("n", IP, 1, ip_address("fd00::1"), 2)


def test_two_spellings_of_an_address_are_one_fact() -> None:
    fact = links.route_to("n", ip_address("fd00::1"))
    assert Fact.of(FactKind.ROUTE, "n", destination="FD00:0::1") == fact


BAD_NAMES = [
    "",
    "-x",
    "--help",
    ".",
    "..",
    "../x",
    "a/b",
    "a b",
    "a\n",
    "a\0",
    "eth0:1",
    "$(x)",
    "x" * 16,
    "ä",
]


DEVICES: dict[str, Callable[[str], Fact]] = {
    "device": lambda name: links.link("n", name),
    "pod's device": lambda name: links.pod_link("n", "cni-1", name),
    "attached": lambda name: bpftool.attached("n", name),
    "pinned link": lambda name: bpftool.device_link("n", name, "cil_to_overlay"),
}


@pytest.mark.parametrize("build", DEVICES.values(), ids=list(DEVICES))
@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_of_devices_are_neither_options_nor_paths(build: Callable[[str], Fact], name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a network device"):
        build(name)


@pytest.mark.parametrize(
    "name", ["eth0", "lxc300fe62f077b", "cilium_vxlan", "eth0.100", "br-lan", "a@b", "_"]
)
def test_device_names_are_used_unchanged(name: str) -> None:
    assert links.link("n", name).get("device") == name


def test_pins_of_a_vlan_device_have_no_dot() -> None:
    argv = argv_of(bpftool.device_link("n", "eth0.100", "cil_from_netdev"))
    assert argv[-1] == "/sys/fs/bpf/cilium/devices/eth0-100/links/cil_from_netdev"


@pytest.mark.parametrize("name", [name for name in BAD_NAMES if name not in ("-x", "--help", "x" * 16)])
def test_names_of_namespaces_are_not_paths(name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a network namespace"):
        links.pod_routes("n", name)


@given(st.text())
def test_a_namespace_is_one_file_name_or_rejected(name: str) -> None:
    try:
        fact = links.pod_routes("n", name)
    except ValueError:
        return
    assert argv_of(fact)[:3] == ("nsenter", f"--net=/var/run/cilium/netns/{name}", "ip")
    assert "/" not in name
    assert not name.startswith(".")


def test_another_node_or_another_key_is_another_fact() -> None:
    assert lxcmap.lookup("n", IP) != lxcmap.lookup("m", IP)
    assert lxcmap.lookup("n", IP) != lxcmap.lookup("n", OTHER)
