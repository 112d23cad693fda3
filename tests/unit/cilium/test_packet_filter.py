"""iptables' rules, followed for one packet as the kernel follows them."""

import pytest

from datapath_probe.cilium import packet_filter
from datapath_probe.cilium.packet_filter import Loss, Packet
from datapath_probe.evidence.reading import Answer, Unavailable

TUNNELED = Packet("udp", "172.30.0.11", "172.30.0.12", 8472, devices=frozenset({"eth0"}))
ARRIVING = ("PREROUTING", "INPUT")


def saved(*rules: str, policy: str = "ACCEPT [9:900]", table: str = "filter") -> str:
    """What iptables-save -c prints of one table."""
    lines = (
        f"*{table}",
        f":INPUT {policy}",
        ":PREROUTING ACCEPT [9:900]",
        ":GUARD - [0:0]",
        *rules,
        "COMMIT",
        "",
    )
    return "\n".join(lines)


def loss(text: str, packet: Packet = TUNNELED) -> Loss | None:
    filters = packet_filter.parse(Answer(0, text.encode(), b"", 0.0, 0.0))
    assert not isinstance(filters, Unavailable), filters
    return packet_filter.loss(filters, ARRIVING, packet)


@pytest.mark.parametrize(
    "rule",
    [
        "[3:300] -A INPUT -j DROP",
        "[3:300] -A INPUT -p udp -m udp --dport 8472 -j DROP",
        "[3:300] -A INPUT -s 172.30.0.0/24 -d 172.30.0.12/32 -i eth0 -j DROP",
        "[3:300] -A INPUT -i eth+ -p udp -m udp --dport 8000:9000 -j REJECT --reject-with icmp-port-unreachable",
        "[3:300] -A INPUT ! -s 10.0.0.0/8 -j DROP",
        '[3:300] -A INPUT -p udp -m comment --comment "no -j ACCEPT here" -j DROP',
    ],
)
def test_a_rule_that_means_the_packet_and_has_met_some_drops_it(rule: str) -> None:
    found = loss(saved(rule))
    assert found is not None
    assert (found.table, found.packets, found.by_size) == ("filter", 3, False)
    assert found.rule == rule.removeprefix("[3:300] ")


@pytest.mark.parametrize(
    "rule",
    [
        "[0:0] -A INPUT -j DROP",  # has met nothing yet
        "[3:300] -A INPUT -p tcp -j DROP",
        "[3:300] -A INPUT ! -p udp -j DROP",
        "[3:300] -A INPUT -s 172.30.0.99/32 -j DROP",
        "[3:300] -A INPUT -i cilium_host -j DROP",
        "[3:300] -A INPUT -p udp -m udp --dport 8473 -j DROP",
        "[3:300] -A INPUT -m conntrack --ctstate INVALID -j DROP",
        "[3:300] -A INPUT -m mark ! --mark 0x1 -j DROP",
        "[3:300] -A GUARD -j DROP",  # nobody goes there
        "[3:300] -A INPUT -p udp -j LOG",
    ],
)
def test_a_rule_that_does_not_certainly_mean_the_packet_is_not_blamed(rule: str) -> None:
    assert loss(saved(rule)) is None


def test_chains_are_entered_and_left() -> None:
    jump = "[5:500] -A INPUT -p udp -j GUARD"
    assert loss(saved(jump, "[2:200] -A GUARD -d 172.30.0.12/32 -j DROP")) is not None
    assert loss(saved(jump, "[2:200] -A GUARD -j RETURN", "[2:200] -A GUARD -j DROP")) is None
    assert loss(saved("[5:500] -A INPUT -p tcp -j GUARD", "[2:200] -A GUARD -j DROP")) is None


def test_who_is_accepted_meets_no_later_rule_of_the_table() -> None:
    assert loss(saved("[5:500] -A INPUT -p udp -j ACCEPT", "[2:200] -A INPUT -j DROP")) is None
    other_table = saved("[2:200] -A INPUT -j DROP", table="mangle")
    assert loss(saved("[5:500] -A INPUT -p udp -j ACCEPT") + other_table) is not None


def test_the_policy_of_a_chain_drops_what_no_rule_has_accepted() -> None:
    found = loss(saved(policy="DROP [7:700]"))
    assert found is not None
    assert (found.rule, found.packets) == ("-P INPUT DROP", 7)
    assert loss(saved("[5:500] -A INPUT -p udp -j ACCEPT", policy="DROP [7:700]")) is None


def test_what_is_dropped_by_its_length_is_told_apart() -> None:
    found = loss(saved("[1:1400] -A INPUT -p udp -m length --length 1200:65535 -j DROP"))
    assert found is not None
    assert found.by_size


def test_a_port_that_is_not_known_is_not_guessed() -> None:
    assert loss(saved("[3:300] -A INPUT -p udp -m udp --sport 5000 -j DROP")) is None


def test_other_output_is_no_evidence() -> None:
    assert isinstance(packet_filter.parse(Answer(0, b"nonsense\n", b"", 0.0, 0.0)), Unavailable)
