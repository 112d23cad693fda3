"""nf_tables rules as the kernel returns them (recorded: the rules, and the output of `nftables.pl`), evaluated for one
packet.
"""

import base64
import json
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.nfnetlink.nftsocket import nft_chain_msg, nft_rule_msg

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.sources.netfilter import nft_netlink, nftables
from datapath_probe.sources.netfilter.nftables import Chains
from datapath_probe.sources.packet import Loss, Packet

RECORDED = json.loads((Path(__file__).parents[3] / "data/nftables/linux-6.18.json").read_text())
TUNNELED = Packet(
    "udp", ip_address("172.30.0.11"), ip_address("172.30.0.12"), 8472, devices=frozenset({"eth0"})
)
ARRIVING, LEAVING = ("INGRESS", "PREROUTING", "INPUT"), ("OUTPUT", "POSTROUTING")


def printed(name: str) -> bytes:
    return base64.b64decode(RECORDED[name]["output"])


def parsed(octets: bytes) -> Chains | Unavailable:
    return nftables.parse(Answer(0, octets, b"", 0.0, 0.0))


def loss(name: str, packet: Packet = TUNNELED, hooks: tuple[str, ...] = ARRIVING) -> Loss | None:
    chains = parsed(printed(name))
    assert not isinstance(chains, Unavailable), chains
    found = nftables.loss(chains, hooks, packet)
    assert not isinstance(found, Unavailable), found
    return found


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
def test_a_rule_that_certainly_matches_drops_the_packet(name: str) -> None:
    assert loss(name)


@pytest.mark.parametrize(
    "name",
    [
        "input-drop-counted",  # has counted nothing
        "input-drop-of-tcp",
        "input-drop-on-another-device",
        "input-drop-behind-an-accept",
        "input-drop-behind-a-return",
        "output-drop",
        "table-of-iptables",  # left to iptables-save
        "nothing",
    ],
)
def test_a_rule_that_does_not_match_is_not_blamed(name: str) -> None:
    assert loss(name) is None


@pytest.mark.parametrize("name", ["input-drop-of-a-set", "input-drop-behind-a-doubtful-accept"])
def test_a_rule_that_may_match_is_uncertain(name: str) -> None:
    found = loss(name)
    assert found
    assert not found.certain


def test_a_loss_names_table_chain_and_handle() -> None:
    found = loss("input-drop")
    assert found == Loss("inet t", "rule with handle 2 in chain in", None)


def test_a_rule_for_large_packets_does_not_match_the_handshake() -> None:
    assert loss("input-drop-of-large", TUNNELED.of_handshake(50)) is None
    assert loss("input-drop-of-large", TUNNELED.with_data())


def test_egress_packets_pass_egress_hooks() -> None:
    assert loss("output-drop", hooks=LEAVING)
    assert loss("input-drop", hooks=LEAVING) is None


def test_chains_of_other_devices_do_not_apply() -> None:
    elsewhere = Packet(
        "udp", ip_address("172.30.0.11"), ip_address("172.30.0.12"), 8472, devices=frozenset({"bond1"})
    )
    assert loss("ingress-drop", elsewhere) is None


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A recorded answer with flipped, removed or replaced bytes, or truncated."""
    octets = bytearray(printed(draw(st.sampled_from(sorted(set(RECORDED) - {"nothing"})))))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(octets)))
        match draw(st.sampled_from(["flip", "cut", "replace", "end"])):
            case "flip" if place < len(octets):
                octets[place] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del octets[place : place + draw(st.integers(1, 12))]
            case "replace":
                patch = draw(st.binary(max_size=4))
                octets[place : place + len(patch)] = patch
            case "end":
                del octets[place:]
    return bytes(octets)


@given(damaged(), st.sampled_from([TUNNELED, replace(TUNNELED, protocol="tcp").with_data()]))
def test_damaged_answers_never_raise(octets: bytes, packet: Packet) -> None:
    chains = parsed(octets)
    if isinstance(chains, Unavailable):
        assert chains.reason is EvidenceError.UNPARSABLE
    else:
        nftables.loss(chains, ARRIVING + LEAVING, packet, translated=True)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_raise(octets: bytes) -> None:
    chains = parsed(octets)
    assert not octets or isinstance(chains, Unavailable) or chains == {}


@pytest.mark.parametrize("name", sorted(set(RECORDED) - {"nothing", "table-of-iptables"}))
def test_a_truncated_answer_is_unavailable(name: str) -> None:
    octets = printed(name)
    between = {0}
    while max(between) < len(octets):
        between.add(max(between) + int.from_bytes(octets[max(between) :][:4], "little"))
    for end in set(range(len(octets))) - between:
        assert isinstance(parsed(octets[:end]), Unavailable)


def test_an_element_of_length_0_is_unparsable() -> None:
    octets = printed("input-drop")
    length = octets.rindex(b"immediate") - 8  # of the element, before its type and the header of its name
    assert octets[length : length + 4] == b"\x30\0\1\0"
    assert isinstance(parsed(octets[:length] + b"\0\0" + octets[length + 2 :]), Unavailable)


def by_pyroute2(message: Any) -> dict[str, Any]:
    """Attributes by name from pyroute2's own decoder, which is correct for complete answers."""
    found: dict[str, Any] = {}
    for slot in message["attrs"]:
        name, value = slot[0], slot[1]
        if name == "NFTA_RULE_EXPRESSIONS":
            elements = map(by_pyroute2, value)
            value = [(element["NFTA_EXPR_NAME"], element.get("NFTA_EXPR_DATA")) for element in elements]
        elif name == "NFTA_HOOK_DEVS":
            value = [device[1] for device in value["attrs"]]
        elif isinstance(value, dict) and "attrs" in value:
            nested = by_pyroute2(value)
            value = nested.get("NFTA_DATA_VALUE", nested)
        found[name] = value
    return found


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_complete_answers_are_decoded_like_pyroute2(name: str) -> None:
    octets, place = printed(name), 0
    for message in nft_netlink.messages(octets):
        length = int.from_bytes(octets[place : place + 4], "little")
        theirs = (nft_rule_msg if message.is_rule else nft_chain_msg)(octets[place : place + length])
        theirs.decode()
        expected = by_pyroute2(theirs)
        ours = dict(message.attributes)
        expressions: Any = ours.pop("NFTA_RULE_EXPRESSIONS", [])
        assert ours.items() <= expected.items()
        for (kind, data), (their_kind, their_data) in zip(
            expressions, expected.get("NFTA_RULE_EXPRESSIONS", []), strict=True
        ):
            assert kind == their_kind
            assert not data or data.items() <= their_data.items()
        place += length
    assert place == len(octets)


@pytest.mark.parametrize(
    ("stderr", "has_none"),
    [
        (b"the kernel refuses: -22\n", True),
        (b"no netlink socket: Protocol not supported\n", True),
        (b"the kernel refuses: -1\n", False),
        (b"no answer: Interrupted system call\n", False),
    ],
)
def test_a_kernel_without_nf_tables_has_no_rules(stderr: bytes, has_none: bool) -> None:
    chains = nftables.parse(Answer(255, b"", stderr, 0.0, 0.0))
    assert chains == {} if has_none else isinstance(chains, Unavailable)
