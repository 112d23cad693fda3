"""The policy map: which of two entries decides, and the layouts of each version."""

from dataclasses import replace

import pytest

from datapath_probe.evidence.reading import Absent
from datapath_probe.sources.bpf.map_layout import Layout
from datapath_probe.sources.maps import policymap
from datapath_probe.sources.maps.policymap import ANY_IDENTITY, PolicyEntry, TrafficDirection, decide
from unit.sources.golden import answer, fact, looked_up

V1_16 = Layout("1.16.19", "cilium_ipcache", "cilium_policy")
V1_18 = Layout("1.18.5", "cilium_ipcache_v2", "cilium_policy_v2")
V1_20 = Layout("1.20.2", "cilium_ipcache_v2", "cilium_policy_v3")
EGRESS, INGRESS = TrafficDirection.EGRESS, TrafficDirection.INGRESS
TOP = 2**32 - 1
ALLOW_ALL = PolicyEntry(deny=False, proxy_port=0, precedence=0, prefix_bits=0)


def test_without_policies_any_identity_is_allowed() -> None:
    of_server = policymap.lookup("node2", V1_18, 732, EGRESS, 35535, 80)
    of_any = policymap.lookup("node2", V1_18, 732, EGRESS, ANY_IDENTITY, 80)
    assert of_server == fact("policymap", "server's identity")
    assert of_any == fact("policymap", "any identity")
    assert policymap.parse(answer("policymap", "server's identity")) == Absent()
    assert policymap.parse(answer("policymap", "any identity")) == ALLOW_ALL


@pytest.mark.parametrize(("layout", "name"), [(V1_16, ""), (V1_18, "v2_"), (V1_20, "v3_")])
def test_each_version_names_the_map_of_an_endpoint(layout: Layout, name: str) -> None:
    entry = policymap.key(policymap.lookup("n", layout, 689, INGRESS, 27728, 80))
    assert entry.map == f"cilium_policy_{name}00689"
    assert entry.key.hex(" ") == "40 00 00 00 50 6c 00 00 00 06 00 50"


@pytest.mark.parametrize(
    ("value", "entry"),
    [
        # until 1.17, with counters: packets 5, bytes 370
        ("00 00 c0 00 00 00 00 00 05 00 00 00 00 00 00 00 72 01 00 00 00 00 00 00", (False, 0, 0, 24)),
        ("00 00 01 00 00 00 00 00 05 00 00 00 00 00 00 00 72 01 00 00 00 00 00 00", (True, 0, TOP, 0)),
        # 1.18
        ("2b 67 c0 00 07 00 00 00", (False, 11111, 7, 24)),
        ("00 00 41 00 00 00 00 00", (True, 0, TOP, 8)),
        # since 1.19: precedence and cookie
        ("00 00 c1 00 ff fe ff ff 09 00 00 00", (True, 0, 0xFFFFFEFF, 24)),
        ("2b 67 40 00 00 01 00 00 09 00 00 00", (False, 11111, 256, 8)),
    ],
)
def test_the_layout_of_an_entry_in_each_version(value: str, entry: tuple[bool, int, int, int]) -> None:
    assert policymap.parse(looked_up(value)) == PolicyEntry(*entry)


NONE = Absent()
DENY = PolicyEntry(deny=True, proxy_port=0, precedence=TOP, prefix_bits=0)
ALLOW_PORT = PolicyEntry(deny=False, proxy_port=0, precedence=0, prefix_bits=24)
REDIRECT = PolicyEntry(deny=False, proxy_port=11111, precedence=5, prefix_bits=8)


@pytest.mark.parametrize(
    ("of_identity", "of_any", "decisive"),
    [
        (NONE, NONE, NONE),
        (ALLOW_ALL, NONE, ALLOW_ALL),
        (NONE, DENY, DENY),
        (ALLOW_PORT, DENY, DENY),
        (DENY, ALLOW_PORT, DENY),
        (ALLOW_ALL, ALLOW_PORT, ALLOW_PORT),
        (ALLOW_PORT, ALLOW_ALL, ALLOW_PORT),
        (ALLOW_PORT, REDIRECT, REDIRECT),
    ],
)
def test_the_higher_precedence_then_the_longer_prefix_decides(
    of_identity: PolicyEntry | Absent, of_any: PolicyEntry | Absent, decisive: PolicyEntry | Absent
) -> None:
    assert decide(of_identity, of_any) == decisive


def test_of_equal_entries_that_of_the_identity_decides() -> None:
    own = PolicyEntry(deny=False, proxy_port=1, precedence=3, prefix_bits=24)
    others = PolicyEntry(deny=False, proxy_port=2, precedence=3, prefix_bits=24)
    assert decide(own, others) is own


@pytest.mark.parametrize(
    ("own", "others", "auth_type"),
    [
        (ALLOW_PORT, replace(ALLOW_ALL, auth_type=1), 1),
        (replace(ALLOW_PORT, auth_type=2, auth_explicit=True), replace(ALLOW_ALL, auth_type=3), 2),
        (replace(ALLOW_PORT, auth_explicit=True), replace(ALLOW_ALL, auth_type=1), 0),
        (replace(ALLOW_PORT, auth_type=1), ALLOW_ALL, 1),
    ],
)
def test_an_inherited_authentication_type_is_that_of_the_wider_entry(
    own: PolicyEntry, others: PolicyEntry, auth_type: int
) -> None:
    decided = decide(own, others)
    assert isinstance(decided, PolicyEntry)
    assert decided.auth_type == auth_type


def test_the_authentication_of_an_entry_is_read() -> None:
    found = policymap.parse(looked_up("00 00 c0 81 00 00 00 00"))
    assert found == replace(ALLOW_PORT, auth_type=1, auth_explicit=True)
