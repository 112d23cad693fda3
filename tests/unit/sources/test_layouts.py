"""Keys and values byte for byte, as observed on a live cluster with Cilium 1.18.5 and as in other versions."""

import struct
from ipaddress import ip_address

import pytest

from datapath_probe.addresses import IpFamily
from datapath_probe.evidence.fact import Fact
from datapath_probe.sources.bpf import bpftool
from datapath_probe.sources.bpf.map_layout import Layout
from datapath_probe.sources.byte_order import L4Protocol
from datapath_probe.sources.maps import conntrack, ipcache, lbmap, lxcmap, natmap
from datapath_probe.sources.maps.conntrack import CtEntry, CtFlag, TcpFlag
from datapath_probe.sources.maps.ipcache import IpcacheFlag, IpcacheRecord
from datapath_probe.sources.maps.lbmap import (
    BackendRecord,
    BackendState,
    Frontend,
    RevNatRecord,
    Scope,
    ServiceFlag,
    ServiceSlot,
)
from datapath_probe.sources.maps.lxcmap import EndpointFlag, EndpointRecord
from datapath_probe.sources.maps.map_keys import MAP_KEYS
from datapath_probe.sources.maps.natmap import NatEntry
from unit.sources.golden import looked_up

V1_17 = Layout("1.17.0", "cilium_ipcache", "cilium_policy_v2")
V1_18 = Layout("1.18.5", "cilium_ipcache_v2", "cilium_policy_v2")
XWING, DEATHSTAR, VIP = map(ip_address, ("10.244.1.27", "10.244.0.172", "10.96.57.217"))

PAIR = f"fd {'00 ' * 14}01 fd {'00 ' * 14}02"  # fd00::1, fd00::2


def key(fact: Fact) -> tuple[str, str]:
    """Name of the map and key of a look-up."""
    entry = MAP_KEYS[fact.kind](fact)
    return entry.map, entry.key.hex(" ")


KEYS = {
    "ipcache": (
        ipcache.lookup("n", V1_18, DEATHSTAR),
        "cilium_ipcache_v2",
        "40 00 00 00 00 00 00 01 0a f4 00 ac 00 00 00 00 00 00 00 00 00 00 00 00",
    ),
    "ipcache, one bit less": (
        ipcache.lookup_wider("n", V1_18, DEATHSTAR),
        "cilium_ipcache_v2",
        "3f 00 00 00 00 00 00 01 0a f4 00 ac 00 00 00 00 00 00 00 00 00 00 00 00",
    ),
    "ipcache of 1.17": (
        ipcache.lookup("n", V1_17, DEATHSTAR),
        "cilium_ipcache",
        "40 00 00 00 00 00 00 01 0a f4 00 ac 00 00 00 00 00 00 00 00 00 00 00 00",
    ),
    "ipcache, IPv6": (
        ipcache.lookup("n", V1_18, ip_address("fd00::1:2")),
        "cilium_ipcache_v2",
        "a0 00 00 00 00 00 00 02 fd 00 00 00 00 00 00 00 00 00 00 00 00 01 00 02",
    ),
    "endpoint": (
        lxcmap.lookup("n", DEATHSTAR),
        "cilium_lxc",
        "0a f4 00 ac 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00",
    ),
    "endpoint, IPv6": (
        lxcmap.lookup("n", ip_address("fd00::1:2")),
        "cilium_lxc",
        "fd 00 00 00 00 00 00 00 00 00 00 00 00 01 00 02 02 00 00 00",
    ),
    "frontend": (
        lbmap.slot("n", Frontend(VIP, 80), 0),
        "cilium_lb4_services_v2",
        "0a 60 39 d9 00 50 00 00 06 00 00 00",
    ),
    "slot": (
        lbmap.slot("n", Frontend(VIP, 80), 258),
        "cilium_lb4_services_v2",
        "0a 60 39 d9 00 50 02 01 06 00 00 00",
    ),
    "slot of any protocol, for internal traffic": (
        lbmap.slot("n", Frontend(VIP, 80, L4Protocol.ANY, Scope.INTERNAL), 1),
        "cilium_lb4_services_v2",
        "0a 60 39 d9 00 50 01 00 00 01 00 00",
    ),
    "slot, IPv6": (
        lbmap.slot("n", Frontend(ip_address("fd00::1:2"), 443), 1),
        "cilium_lb6_services_v2",
        "fd 00 00 00 00 00 00 00 00 00 00 00 00 01 00 02 01 bb 01 00 06 00 00 00",
    ),
    "backend": (lbmap.backend("n", 18, IpFamily.IPV4), "cilium_lb4_backends_v3", "12 00 00 00"),
    "reverse NAT": (lbmap.revnat("n", 5, IpFamily.IPV4), "cilium_lb4_reverse_nat", "00 05"),
    "IPv6 backend": (lbmap.backend("n", 18, IpFamily.IPV6), "cilium_lb6_backends_v3", "12 00 00 00"),
    "IPv6 reverse NAT": (lbmap.revnat("n", 5, IpFamily.IPV6), "cilium_lb6_reverse_nat", "00 05"),
    "conntrack SVC": (
        conntrack.service_entry("n", XWING, 40101, VIP, 80),
        "cilium_ct4_global",
        "0a 60 39 d9 0a f4 01 1b 9c a5 00 50 06 04",
    ),
    "conntrack OUT": (
        conntrack.out_entry("n", XWING, 40101, DEATHSTAR, 80),
        "cilium_ct4_global",
        "0a f4 01 1b 0a f4 00 ac 00 50 9c a5 06 00",
    ),
    "conntrack IN": (
        conntrack.in_entry("n", XWING, 40101, DEATHSTAR, 80),
        "cilium_ct4_global",
        "0a f4 01 1b 0a f4 00 ac 00 50 9c a5 06 01",
    ),
    "conntrack OUT of UDP": (
        conntrack.out_entry("n", XWING, 40101, DEATHSTAR, 53, L4Protocol.UDP),
        "cilium_ct_any4_global",
        "0a f4 01 1b 0a f4 00 ac 00 35 9c a5 11 00",
    ),
    "conntrack OUT, IPv6": (
        conntrack.out_entry("n", ip_address("fd00::1"), 1, ip_address("fd00::2"), 2),
        "cilium_ct6_global",
        f"{PAIR} 00 02 00 01 06 00",
    ),
    "ICMP errors": (
        conntrack.icmp_related("n", XWING, DEATHSTAR),
        "cilium_ct_any4_global",
        "0a f4 01 1b 0a f4 00 ac 00 00 00 00 01 02",
    ),
    "ICMP errors, IPv6": (
        conntrack.icmp_related("n", ip_address("fd00::1"), ip_address("fd00::2")),
        "cilium_ct_any6_global",
        f"{PAIR} 00 00 00 00 3a 02",
    ),
    "policy program": (bpftool.policy_call("n", 689), "cilium_call_policy", "b1 02 00 00"),
    "tail call": (bpftool.endpoint_call("n", 213, 0x1A), "cilium_calls_00213", "1a 00 00 00"),
    "overlay's tail call": (bpftool.overlay_call("n", 7), "cilium_calls_overlay_2", "07 00 00 00"),
}


@pytest.mark.parametrize("name", KEYS)
def test_a_key_has_the_layout_of_the_datapath(name: str) -> None:
    fact, pinned_map, octets = KEYS[name]
    assert key(fact) == (pinned_map, octets)


ZEROS = " ".join(["00"] * 12)


@pytest.mark.parametrize(
    ("value", "record"),
    [
        (
            f"b9 de 00 00 ac 1e 00 0b {ZEROS} 00 00 00 02",
            IpcacheRecord(57017, ip_address("172.30.0.11"), 0, IpcacheFlag.HAS_TUNNEL),
        ),
        (f"b9 de 00 00 00 00 00 00 {ZEROS} 00 00 00 00", IpcacheRecord(57017, None, 0, IpcacheFlag(0))),
        # the flag decides, and the address may be 0.0.0.0 or left over
        (
            f"b9 de 00 00 00 00 00 00 {ZEROS} 00 00 00 02",
            IpcacheRecord(57017, ip_address("0.0.0.0"), 0, IpcacheFlag.HAS_TUNNEL),  # noqa: S104
        ),
        (
            f"b9 de 00 00 ac 1e 00 0b {ZEROS} 00 00 ff 01",
            IpcacheRecord(57017, None, 255, IpcacheFlag.SKIP_TUNNEL),
        ),
        (
            "b9 de 00 00 fd 00 00 00 00 00 00 00 00 00 00 00 00 01 00 02 00 00 03 0e",
            IpcacheRecord(
                57017,
                ip_address("fd00::1:2"),
                3,
                IpcacheFlag.HAS_TUNNEL | IpcacheFlag.IPV6_TUNNEL | IpcacheFlag.REMOTE_CLUSTER,
            ),
        ),
        # until 1.17
        (
            "b9 de 00 00 ac 1e 00 0b 00 00 05 00",
            IpcacheRecord(57017, ip_address("172.30.0.11"), 5, IpcacheFlag(0)),
        ),
        ("01 00 00 00 00 00 00 00 00 00 00 01", IpcacheRecord(1, None, 0, IpcacheFlag.SKIP_TUNNEL)),
    ],
)
def test_ipcache_values(value: str, record: IpcacheRecord) -> None:
    assert ipcache.parse(looked_up(value)) == record


def test_endpoint_values() -> None:
    value = (
        "24 01 00 00 00 00 b1 02 00 00 00 00 00 00 00 00 8e 2e 80 93 65 ae 00 00 "
        "0e 32 13 01 10 0c 00 00 b9 de 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
    )
    macs = "8e:2e:80:93:65:ae", "0e:32:13:01:10:0c"
    assert lxcmap.parse(looked_up(value)) == EndpointRecord(292, 689, EndpointFlag(0), *macs, 57017, 0)
    with_parent = (
        "24 01 00 00 00 00 b1 02 06 00 00 00 ff ff ff ff 8e 2e 80 93 65 ae 00 00 "
        "0e 32 13 01 10 0c 00 00 b9 de 00 00 03 00 00 00 00 00 00 00 00 00 00 00"
    )
    flags = EndpointFlag.AT_HOST_NS | EndpointFlag.SKIP_MASQUERADE_V4
    assert lxcmap.parse(looked_up(with_parent)) == EndpointRecord(292, 689, flags, *macs, 57017, 3)


def test_service_values() -> None:
    frontend = ServiceSlot(0, 2, 5, ServiceFlag(0), 0)
    assert lbmap.parse_slot(looked_up("00 00 00 00 02 00 00 05 00 00 00 00")) == frontend
    assert lbmap.parse_slot(looked_up("12 00 00 00 00 00 00 05 00 00 00 00")) == ServiceSlot(
        18, 0, 5, ServiceFlag(0), 0
    )
    flags = ServiceFlag.AFFINITY | ServiceFlag.ROUTABLE | ServiceFlag.INTERNAL_LOCAL | ServiceFlag.TWO_SCOPES
    assert lbmap.parse_slot(looked_up("30 2a 00 02 03 01 01 05 50 30 02 00")) == ServiceSlot(
        0x02002A30, 259, 261, flags, 2
    )


def test_backend_values() -> None:
    active = BackendRecord(DEATHSTAR, 80, 6, BackendState.ACTIVE)
    assert lbmap.parse_backend(looked_up("0a f4 00 ac 00 50 06 00 00 00 00 00")) == active
    six = "fd 00 00 00 00 00 00 00 00 00 00 00 00 01 00 02 01 bb 06 01 00 00 00 00"
    terminating = BackendRecord(ip_address("fd00::1:2"), 443, 6, BackendState.TERMINATING)
    assert lbmap.parse_backend(looked_up(six)) == terminating


def test_reverse_nat_values() -> None:
    assert lbmap.parse_revnat(looked_up("0a 60 39 d9 00 50")) == RevNatRecord(VIP, 80)
    six = "fd 00 00 00 00 00 00 00 00 00 00 00 00 01 00 02 01 bb"
    assert lbmap.parse_revnat(looked_up(six)) == RevNatRecord(ip_address("fd00::1:2"), 443)


def test_conntrack_values() -> None:
    # ct_entry: 8 unused, backend_id, packets, bytes, lifetime, flags, rev_nat be16, 2 unused, tx, rx, …
    value = struct.pack(
        "<QQQQIH2sHBBIII", 2**64 - 1, 18, 3, 4, 5, 0x413, b"\1\5", 0xFFFF, 0x1B, 0x14, 27728, 4483, 4484
    )
    assert len(value) == 56
    assert conntrack.parse(looked_up(value.hex(" "))) == CtEntry(
        backend_id=18,
        packets=3,
        bytes=4,
        lifetime_s=5,
        flags=CtFlag.FROM_TUNNEL | CtFlag.SEEN_NON_SYN | CtFlag.RX_CLOSING | CtFlag.TX_CLOSING,
        rev_nat_id=0x0105,
        tx_flags=TcpFlag.FIN | TcpFlag.SYN | TcpFlag.PSH | TcpFlag.ACK,
        rx_flags=TcpFlag.RST | TcpFlag.ACK,
        source_identity=27728,
        last_tx_s=4483,
        last_rx_s=4484,
    )


def test_nat_keys_and_values() -> None:
    """As bpftool printed them on the lab, Cilium 1.18.5."""
    fact = natmap.egress_entry("node3", ip_address("10.0.2.223"), 0xBD8C, ip_address("10.0.0.48"), 4240)
    found = natmap.key(fact)
    assert found.map == "cilium_snat_v4_external"
    assert found.key.hex(" ") == "0a 00 00 30 0a 00 02 df 10 90 bd 8c 06 00"
    value = f"1c 8f 00 00 00 00 00 00 01 {'00 ' * 23} 0a 00 02 df bd 8c 00 00"
    assert natmap.parse(looked_up(value)) == NatEntry(ip_address("10.0.2.223"), 0xBD8C, 0x8F1C)
    six = natmap.egress_entry("node3", ip_address("fd00::1"), 1, ip_address("fd00::2"), 2)
    assert (natmap.key(six).map, len(natmap.key(six).key)) == ("cilium_snat_v6_external", 38)
    source = ip_address("fd00::3")
    value = struct.pack("<Q24x16s2s6x", 7, source.packed, b"\1\2").hex(" ")
    assert natmap.parse(looked_up(value)) == NatEntry(source, 0x0102, 7)


def test_flags_of_later_versions_are_kept() -> None:
    value = struct.pack("<36xH18x", 1 << 2 | 1 << 15)
    entry = conntrack.parse(looked_up(value.hex(" ")))
    assert isinstance(entry, CtEntry)
    assert int(entry.flags) == 1 << 2 | 1 << 15


def test_program_ids_are_little_endian() -> None:
    assert bpftool.parse_call(looked_up("b5 0b 00 00")) == 2997
