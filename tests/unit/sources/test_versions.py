"""The same facts in versions that the lab can't run: derived from the sources, see the README next to the data."""

from collections.abc import Callable
from ipaddress import ip_address

import pytest

from datapath_probe.addresses import IpFamily
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Absent, Reading
from datapath_probe.sources.bpf import map_layout
from datapath_probe.sources.bpf.map_layout import Layout
from datapath_probe.sources.byte_order import L4Protocol
from datapath_probe.sources.maps import conntrack, ipcache, lbmap, lxcmap, policymap
from datapath_probe.sources.maps.lbmap import Frontend
from datapath_probe.sources.maps.policymap import ANY_IDENTITY, TrafficDirection
from unit.sources.golden import FIRST, recordings

DERIVED = [f"cilium-{version}-derived" for version in ("1.16", "1.17", "1.20")]
NODE, ENDPOINT, IDENTITY = "node2", 732, 35535
XWING, DEATHSTAR, VIP = map(ip_address, ("10.244.1.124", "10.244.0.143", "10.96.46.197"))
PORT = 24337


def of(folder: str) -> Layout:
    """The layout of this version."""
    found = map_layout.parse(recordings("layout", folder)["version"].answer)
    assert isinstance(found, Layout)
    return found


def frontend(folder: str) -> Frontend:
    """A frontend; 1.16 has no protocol in its keys."""
    return Frontend(VIP, 80, L4Protocol.ANY if "1.16" in folder else L4Protocol.TCP)


Asked = tuple[Fact, Callable[[Reading], object]]


def asked(folder: str) -> dict[tuple[str, str], Asked]:
    """What is asked of this version, with the parser of the answer."""
    maps, vip = of(folder), frontend(folder)
    policies = {"server's identity": IDENTITY, "any identity": ANY_IDENTITY}
    tuple_ = (NODE, XWING, PORT)
    return {
        ("ipcache", "server"): (ipcache.lookup(NODE, maps, DEATHSTAR), ipcache.parse),
        ("ipcache", "server, wider"): (ipcache.lookup_wider(NODE, maps, DEATHSTAR), ipcache.parse),
        ("ipcache", "client"): (ipcache.lookup(NODE, maps, XWING), ipcache.parse),
        ("lxcmap", "client"): (lxcmap.lookup(NODE, XWING), lxcmap.parse),
        ("lbmap", "slot 0"): (lbmap.slot(NODE, vip, 0), lbmap.parse_slot),
        ("lbmap", "slot 1"): (lbmap.slot(NODE, vip, 1), lbmap.parse_slot),
        ("lbmap", "reverse NAT"): (lbmap.revnat(NODE, 6, IpFamily.IPV4), lbmap.parse_revnat),
        ("conntrack", "service: SVC"): (conntrack.service_entry(*tuple_, VIP, 80), conntrack.parse),
        ("conntrack", "service: OUT"): (conntrack.out_entry(*tuple_, DEATHSTAR, 80), conntrack.parse),
    } | {
        ("policymap", name): (
            policymap.lookup(NODE, maps, ENDPOINT, TrafficDirection.EGRESS, identity, 80),
            policymap.parse,
        )
        for name, identity in policies.items()
    }


@pytest.mark.parametrize("folder", DERIVED)
def test_each_version_is_read_with_its_own_layout(folder: str) -> None:
    for (module, name), (fact, parse) in asked(folder).items():
        recording = recordings(module, folder)[name]
        assert fact == recording.fact, name
        same_of_first = parse(recordings(module, FIRST)[name].answer)
        if (module, name) != (
            "ipcache",
            "server, wider",
        ):  # up to 1.17 there is no entry for a node's pod CIDR
            assert _core(parse(recording.answer)) == _core(same_of_first), name


@pytest.mark.parametrize("folder", DERIVED[:2])
def test_before_1_18_an_unknown_pod_has_the_identity_world(folder: str) -> None:
    record = ipcache.parse(recordings("ipcache", folder)["server, wider"].answer)
    assert isinstance(record, ipcache.IpcacheRecord)
    assert (record.identity, record.tunnel_endpoint) == (2, None)


def _core(record: object) -> object:
    """A record without the fields that only its version has: flags of the ipcache that are new in 1.18."""
    if isinstance(record, ipcache.IpcacheRecord):
        return record.identity, record.tunnel_endpoint, record.encrypt_key
    return "absent" if isinstance(record, Absent) else record
