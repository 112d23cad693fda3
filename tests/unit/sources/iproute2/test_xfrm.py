"""IPsec policies, as a kernel prints them that has applied them to tunnel packets (recorded), and states."""

import json
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.sources.iproute2 import xfrm
from datapath_probe.sources.iproute2.xfrm import Direction, Policy, State
from datapath_probe.sources.packet import Match, Packet
from datapath_probe.tools.commands import argv_of

RECORDED = json.loads((Path(__file__).parents[3] / "data/xfrm/linux-6.18.json").read_text())
S, D = ip_address("172.30.0.12"), ip_address("172.30.0.13")
OUTER = Packet("udp", S, D, 8472, devices=frozenset({"eth0"}))
# `ip xfrm state list nokeys` of a node with Cilium's IPsec; the last one is still negotiated
STATES = """\
src 172.30.0.12 dst 172.30.0.13
	proto esp spi 0x00000003 reqid 1 mode tunnel
	replay-window 0 flag noecn
	mark 0x3e00/0xff00 output-mark 0xe00/0xf00
	aead rfc4106(gcm(aes)) <<Keys hidden>> 128
	anti-replay context: seq 0x0, oseq 0xe, bitmap 0x00000000
	sel src 0.0.0.0/0 dst 0.0.0.0/0
src 172.30.0.13 dst 172.30.0.12
	proto esp spi 0x00000000 reqid 1 mode tunnel
	replay-window 0
	sel src 172.30.0.13/32 dst 172.30.0.12/32
"""


def answer(text: str, code: int = 0, stderr: bytes = b"") -> Answer:
    return Answer(code, text.encode(), stderr, 0.0, 0.0)


def policies(name: str) -> tuple[Policy, ...]:
    found = xfrm.parse_policies(answer(RECORDED[name]["policies"]))
    assert not isinstance(found, Unavailable), found
    return found


def test_a_policy_has_its_selector_its_use_and_its_templates() -> None:
    by_direction = {(p.direction, p.selector.get("proto")): p for p in policies("blocks-arriving")}
    tunnel, tcp = by_direction["in", "udp"], by_direction["in", "tcp"]
    assert (tunnel.blocks, tunnel.priority, tunnel.selector) == (True, 0, {"proto": "udp", "dport": "8472"})
    assert tunnel.last_used.startswith("2026-11-30 ")
    assert tcp.last_used == ""
    forwarded = by_direction["fwd", None]
    assert (forwarded.blocks, forwarded.priority, forwarded.required) == (False, 2975, ())
    assert forwarded.templates[0].optional
    assert str(tunnel) == (
        "src 172.30.0.12/32 dst 172.30.0.13/32 proto udp dport 8472 dir in priority 0 action block"
    )


def test_policies_are_in_the_order_in_which_the_kernel_considers_them() -> None:
    allowed, blocked = policies("allowed-first")
    assert (allowed.priority, allowed.blocks, blocked.blocks) == (3, False, True)
    older = "src 0.0.0.0/0 dst 0.0.0.0/0 \n\tdir in action block priority 0 ptype main \n"
    newer = "src 10.0.0.0/8 dst 0.0.0.0/0 \n\tdir in action block priority 0 ptype main \n"
    found = xfrm.parse_policies(answer(newer + older))  # as printed: the newest first
    assert isinstance(found, tuple)
    assert [str(policy.source) for policy in found] == ["0.0.0.0/0", "10.0.0.0/8"]


@pytest.mark.parametrize(
    ("name", "direction", "match"),
    [
        ("blocks-arriving", "in", Match.YES),
        ("wants-encryption", "in", Match.YES),
        ("without-state", "out", Match.YES),
        ("blocks-others", "in", Match.NO),
        ("blocks-marked", "out", Match.NO),  # with a mark that only programs of IPsec set
    ],
)
def test_which_policies_apply_to_a_tunnel_packet(name: str, direction: str, match: Match) -> None:
    found = {
        xfrm.matches(policy, OUTER)
        for policy in policies(name)
        if policy.direction == direction and policy.selector.get("proto") != "tcp"
    }
    assert found == {match}


def _selecting(words: str, more: str = "") -> Policy:
    text = f"{words} uid 0\n\tdir in action block index 8 priority 0 ptype main share any flag  (0x00000000)\n{more}"
    found = xfrm.parse_policies(answer(text))
    assert isinstance(found, tuple)
    (policy,) = found
    return policy


@pytest.mark.parametrize(
    ("selector", "match"),
    [
        ("src 172.30.0.0/24 dst 0.0.0.0/0", Match.YES),
        ("src 172.30.0.0/24 dst 0.0.0.0/0 dev eth0", Match.YES),
        ("src 172.30.0.0/24 dst 0.0.0.0/0 proto 17", Match.YES),
        ("src 172.30.0.0/24 dst 0.0.0.0/0 dev eth1", Match.NO),
        ("src 172.30.0.13/32 dst 172.30.0.12/32", Match.NO),
        ("src ::/0 dst ::/0", Match.NO),
        ("src 0.0.0.0/0 dst 0.0.0.0/0 proto udp sport 40000", Match.UNKNOWN),  # each flow has its own
        ("src 0.0.0.0/0 dst 0.0.0.0/0 proto tcp sport 40000", Match.NO),
        ("src 0.0.0.0/0 dst 0.0.0.0/0 proto icmp type 8 code 0", Match.NO),
    ],
)
def test_a_selector_is_compared_with_the_packet(selector: str, match: Match) -> None:
    assert xfrm.matches(_selecting(selector), OUTER) is match


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ("\tmark 0/0xf00 \n", Match.YES),
        ("\tmark 0x17/0xff \n", Match.UNKNOWN),
        ("\tmark 0x3e00/0xff00 \n", Match.NO),
        ("\tif_id 0x1\n", Match.NO),
    ],
)
def test_marks_and_interfaces_of_ipsec_restrict_a_policy(more: str, match: Match) -> None:
    assert xfrm.matches(_selecting("src 0.0.0.0/0 dst 0.0.0.0/0", more), OUTER) is match


def test_policies_of_single_sockets_do_not_count() -> None:
    text = "src 0.0.0.0/0 dst 0.0.0.0/0 \n\tsocket in priority 0 ptype main \n"
    assert xfrm.parse_policies(answer(text)) == ()


def test_a_state_serves_templates_of_its_kind_to_its_own_end() -> None:
    found = xfrm.parse_states(answer(STATES))
    assert found == (State("esp", D, 1, "tunnel"),)
    (template,) = policies("without-state")[0].required
    assert found[0].serves(template)
    assert not State("esp", D, 2, "tunnel").serves(template)
    assert not State("esp", S, 1, "tunnel").serves(template)


def test_keys_of_states_are_not_read() -> None:
    assert argv_of(xfrm.states("n"))[-1] == "nokeys"


def test_what_happens_without_a_policy() -> None:
    found = xfrm.parse_defaults(answer(RECORDED["default-blocks"]["defaults"]))
    assert found == frozenset({Direction.IN})
    assert xfrm.parse_defaults(answer(RECORDED["blocks-leaving"]["defaults"])) == frozenset()
    assert xfrm.parse_defaults(answer("", 255, b'Command "getdefault" is unknown')) == frozenset()


def test_a_kernel_without_ipsec_has_no_policies() -> None:
    without = answer("", 1, b"Cannot open netlink socket: Protocol not supported\n")
    assert (xfrm.parse_policies(without), xfrm.parse_states(without)) == ((), ())
    denied = xfrm.parse_policies(answer("", 2, b"RTNETLINK answers: Operation not permitted\n"))
    assert isinstance(denied, Unavailable)


@given(st.sampled_from(sorted(RECORDED)), st.data())
def test_damaged_output_never_raises(name: str, data: st.DataObject) -> None:
    text = RECORDED[name]["policies"] + STATES
    start = data.draw(st.integers(0, len(text)))
    cut = text[:start] + data.draw(st.text(max_size=5)) + text[start + data.draw(st.integers(0, 20)) :]
    for parse in (xfrm.parse_policies, xfrm.parse_states):
        found = parse(answer(cut))
        if isinstance(found, Unavailable):
            assert found.reason == EvidenceError.UNPARSABLE
    found = xfrm.parse_policies(answer(cut))
    if not isinstance(found, Unavailable):
        for policy in found:
            xfrm.matches(policy, OUTER)
