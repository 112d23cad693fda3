"""nf_tables rules as the kernel tells them (recorded: the rules, and what `nftables.pl` made of them), followed for one
packet.
"""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.sources.netfilter import nftables
from datapath_probe.sources.netfilter.nftables import Chains
from datapath_probe.sources.packet import Loss, Packet

RECORDED = json.loads((Path(__file__).parents[3] / "data/nftables/linux-6.18.json").read_text())
TUNNELED = Packet("udp", "172.30.0.11", "172.30.0.12", 8472, devices=frozenset({"eth0"}))
ARRIVING, LEAVING = ("INGRESS", "PREROUTING", "INPUT"), ("OUTPUT", "POSTROUTING")


def told(name: str) -> bytes:
    return base64.b64decode(RECORDED[name]["told"])


def parsed(octets: bytes) -> Chains | Unavailable:
    return nftables.parse(Answer(0, octets, b"", 0.0, 0.0))


def loss(name: str, packet: Packet = TUNNELED, hooks: tuple[str, ...] = ARRIVING) -> Loss | None:
    chains = parsed(told(name))
    assert not isinstance(chains, Unavailable), chains
    return nftables.loss(chains, hooks, packet)


@pytest.mark.parametrize(
    "name",
    [
        "input-drop",
        "input-reject-of-a-network",
        "input-drop-on-devices",
        "input-drop-behind-a-jump",
        "input-policy-drop-but-for-known",
        "input-accept-and-another-chain-that-drops",
        "ingress-drop",
    ],
)
def test_what_certainly_means_the_packet_drops_it(name: str) -> None:
    assert loss(name)


@pytest.mark.parametrize(
    "name",
    [
        "input-drop-counted",  # and has counted nothing
        "input-drop-of-tcp",
        "input-drop-on-another-device",
        "input-drop-behind-an-accept",
        "input-drop-behind-a-return",
        "output-drop",
        "table-of-iptables",  # told by iptables-save
        "nothing",
    ],
)
def test_what_does_not_mean_it_is_not_blamed(name: str) -> None:
    assert loss(name) is None


@pytest.mark.parametrize("name", ["input-drop-of-a-set", "input-drop-behind-a-doubtful-accept"])
def test_what_may_mean_it_is_a_doubt(name: str) -> None:
    found = loss(name)
    assert found
    assert not found.certain


def test_a_loss_is_told_by_table_chain_and_handle() -> None:
    found = loss("input-drop")
    assert found == Loss("inet t", "rule with handle 2 in chain in", None)


def test_what_drops_large_packets_alone_drops_none_of_the_handshake() -> None:
    assert loss("input-drop-of-large", TUNNELED.of_handshake(50)) is None
    assert loss("input-drop-of-large", TUNNELED.with_data())


def test_packets_that_leave_meet_what_is_hooked_there() -> None:
    assert loss("output-drop", hooks=LEAVING)
    assert loss("input-drop", hooks=LEAVING) is None


def test_a_device_that_the_packet_does_not_pass_filters_nothing() -> None:
    elsewhere = Packet("udp", "172.30.0.11", "172.30.0.12", 8472, devices=frozenset({"bond1"}))
    assert loss("ingress-drop", elsewhere) is None


@given(st.sampled_from(sorted(RECORDED)), st.integers(0, 400), st.binary(max_size=3))
def test_damaged_answers_never_raise(name: str, place: int, patch: bytes) -> None:
    octets = told(name)
    chains = parsed(octets[:place] + patch + octets[place + len(patch) :])
    if not isinstance(chains, Unavailable):
        nftables.loss(chains, ARRIVING, TUNNELED)


@pytest.mark.parametrize(
    ("stderr", "has_none"),
    [
        (b"the kernel refuses: -22\n", True),
        (b"no netlink socket: Protocol not supported\n", True),
        (b"the kernel refuses: -1\n", False),
        (b"no answer: Interrupted system call\n", False),
    ],
)
def test_a_kernel_that_has_no_nf_tables_says_so(stderr: bytes, has_none: bool) -> None:
    chains = nftables.parse(Answer(255, b"", stderr, 0.0, 0.0))
    assert chains == {} if has_none else isinstance(chains, Unavailable)
