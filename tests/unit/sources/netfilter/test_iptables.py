"""The rules of iptables, evaluated for one packet like in the kernel."""

from ipaddress import ip_address

import pytest

from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.sources.netfilter import iptables
from datapath_probe.sources.packet import Loss, Packet

TUNNELED = Packet(
    "udp", ip_address("172.30.0.11"), ip_address("172.30.0.12"), 8472, devices=frozenset({"eth0"})
)
ARRIVING = ("PREROUTING", "INPUT")
OVER_IPV6 = Packet("tcp", ip_address("fd00::1"), ip_address("fd00::2"), 80, 20001).of_handshake()


def saved(*rules: str, policy: str = "ACCEPT [9:900]", table: str = "filter") -> str:
    """The output of `iptables-save -c` for one table."""
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
    filters = iptables.parse(Answer(0, text.encode(), b"", 0.0, 0.0))
    assert not isinstance(filters, Unavailable), filters
    found = iptables.loss(filters, ARRIVING, packet)
    assert not isinstance(found, Unavailable), found
    return found


@pytest.mark.parametrize(
    "rule",
    [
        "[3:300] -A INPUT -j DROP",
        "[3:300] -A INPUT -p udp -m udp --dport 8472 -j DROP",
        "[3:300] -A INPUT -s 172.30.0.0/24 -d 172.30.0.12/32 -i eth0 -j DROP",
        "[3:300] -A INPUT -i eth+ -p udp -m udp --dport 8000:9000 -j REJECT --reject-with icmp-port-unreachable",
        "[3:300] -A INPUT ! -s 10.0.0.0/8 -j DROP",
        "[3:300] -A INPUT -p udp -m multiport --dports 53,8000:9000 -j DROP",
        "[3:300] -A INPUT -p udp -m multiport --ports 8472 -j DROP",
        "[3:300] -A INPUT -m iprange --src-range 172.30.0.10-172.30.0.20 -j DROP",
        "[3:300] -A INPUT -m addrtype --dst-type LOCAL -j DROP",
        "[3:300] -A INPUT -p udp -m statistic --mode random --probability 0.30000000000 -j DROP",
        "[3:300] -A INPUT -m statistic --mode nth --every 3 --packet 0 -p udp -j DROP",
        '[3:300] -A INPUT -p udp -m comment --comment "no -j ACCEPT here" -j DROP',
    ],
)
def test_a_rule_that_matches_the_packet_and_has_matched_some_drops_it(rule: str) -> None:
    found = loss(saved(rule))
    assert found is not None
    assert (found.table, found.packets, found.does, found.certain) == ("filter", 3, "drops", True)
    assert found.rule == rule.removeprefix("[3:300] ")


@pytest.mark.parametrize(
    "rule",
    [
        "[0:0] -A INPUT -j DROP",  # has matched nothing yet
        "[3:300] -A INPUT -p tcp -j DROP",
        "[3:300] -A INPUT ! -p udp -j DROP",
        "[3:300] -A INPUT -s 172.30.0.99/32 -j DROP",
        "[3:300] -A INPUT -i cilium_host -j DROP",
        "[3:300] -A INPUT -p udp -m udp --dport 8473 -j DROP",
        "[3:300] -A INPUT -m conntrack --ctstate INVALID -j DROP",
        "[3:300] -A INPUT -p udp -m multiport ! --dports 8472 -j DROP",
        "[3:300] -A INPUT -m iprange ! --dst-range 172.30.0.12-172.30.0.12 -j DROP",
        "[3:300] -A INPUT -m addrtype ! --dst-type LOCAL -j DROP",
        "[3:300] -A INPUT -f -j DROP",
        "[0:0] -A INPUT -m mark --mark 0x1 -j DROP",
        "[3:300] -A INPUT -p tcp -m string --string secret --algo bm -j DROP",
        "[3:300] -A GUARD -j DROP",  # no rule jumps there
        "[3:300] -A INPUT -p udp -j LOG",
    ],
)
def test_a_rule_that_does_not_match_is_not_blamed(rule: str) -> None:
    assert loss(saved(rule)) is None


@pytest.mark.parametrize(
    "rule",
    [
        "[3:300] -A INPUT -m mark ! --mark 0x1 -j DROP",
        "[3:300] -A INPUT -p udp -m udp --sport 5000 -j DROP",  # the port is not known
        "[3:300] -A INPUT -m limit --limit 1/sec -j DROP",
        '[3:300] -A INPUT -m string --string "-j ACCEPT" --algo bm -j DROP',
        "[3:300] -A INPUT -m recent --set --name a --mask 255.255.255.255 --rsource -j DROP",
        "[3:300] -A INPUT -m conntrack --ctstate DNAT -j DROP",
        "[3:300] -A INPUT -p udp -j NFQUEUE --queue-num 3",
        "[3:300] -A INPUT -m addrtype --dst-type LOCAL,BROADCAST -j DROP",
    ],
)
def test_a_rule_that_may_match_is_uncertain(rule: str) -> None:
    found = loss(saved(rule))
    assert found is not None
    assert not found.certain


def test_a_certain_loss_after_an_uncertain_one_counts() -> None:
    found = loss(saved("[3:300] -A INPUT -m mark --mark 0x1 -j DROP", "[4:400] -A INPUT -p udp -j DROP"))
    assert found is not None
    assert (found.certain, found.packets) == (True, 4)


def test_a_loss_in_a_chain_that_may_be_entered_is_uncertain() -> None:
    jump, drop = "[5:500] -A INPUT -m mark --mark 0x1 -j GUARD", "[2:200] -A GUARD -j DROP"
    found = loss(saved(jump, drop))
    assert found is not None
    assert not found.certain
    assert loss(saved(jump, "[5:500] -A GUARD -j ACCEPT", "[2:200] -A INPUT -j DROP")) is not None


def test_proxies_of_cilium_are_trusted() -> None:
    rule = "[3:300] -A {} -p udp -m mark --mark 0x200 -j TPROXY --on-port 39361"
    assert loss(saved(rule.format("INPUT"))) is not None
    chain = "CILIUM_PRE_mangle"
    own = saved(f"[3:300] -A INPUT -j {chain}", rule.format(chain)).replace("GUARD", chain)
    assert loss(own) is None


HANDSHAKE = Packet(
    "tcp", ip_address("10.0.1.2"), ip_address("10.0.2.3"), 80, 40101, frozenset({"eth0"})
).of_handshake()


@pytest.mark.parametrize(
    ("rule", "of_handshake", "of_data"),
    [
        ("-p tcp -m tcp --dport 80 -j DROP", True, True),
        ("-p tcp -m multiport --dports 80 -j REJECT --reject-with tcp-reset", True, True),
        ("-m conntrack --ctstate ESTABLISHED -j DROP", False, True),
        ("-m state --state NEW -j DROP", True, False),
        ("-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP", True, False),
        ("-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j DROP", False, True),
        ("-p tcp -m tcp --tcp-flags PSH PSH -j DROP", False, True),
        ("-p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE -j DROP", False, False),
        ("-m length --length 1200:65535 -j DROP", False, True),
        ("-m length --length 1200: -j DROP", False, True),
        ("-m length --length 40:65535 -j DROP", True, True),
        ("-m length --length 60 -j DROP", True, True),
    ],
)
def test_packets_of_the_handshake_are_distinguished_from_those_with_data(
    rule: str, of_handshake: bool, of_data: bool
) -> None:
    text = saved(f"[3:300] -A INPUT {rule}")
    assert (loss(text, HANDSHAKE) is not None) is of_handshake
    assert (loss(text, HANDSHAKE.with_data()) is not None) is of_data


def test_the_reply_of_a_handshake_is_established() -> None:
    answer = Packet(
        "tcp", ip_address("10.0.2.3"), ip_address("10.0.1.2"), 40101, 80, state="ESTABLISHED"
    ).of_handshake()
    assert loss(saved("[3:300] -A INPUT -m conntrack --ctstate ESTABLISHED -j DROP"), answer) is not None
    assert loss(saved("[3:300] -A INPUT -p tcp -m tcp --tcp-flags SYN,ACK SYN -j DROP"), answer) is None


def test_the_headers_of_a_tunnel_count() -> None:
    rule = saved("[3:300] -A INPUT -p udp -m length --length 100:1500 -j DROP")
    assert loss(rule, TUNNELED.of_handshake(50)) is not None
    assert loss(rule, TUNNELED.of_handshake(20)) is None


def test_a_redirect_counts_only_if_packets_must_not_be_translated() -> None:
    text = saved("[3:300] -A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 81", table="nat")
    filters = iptables.parse(Answer(0, text.encode(), b"", 0.0, 0.0))
    assert not isinstance(filters, Unavailable)
    assert iptables.loss(filters, ARRIVING, HANDSHAKE) is None
    found = iptables.loss(filters, ARRIVING, HANDSHAKE, translated=True)
    assert isinstance(found, Loss)
    assert found.does == "redirects"
    later = HANDSHAKE.with_data()  # only the first packet of a connection passes the table
    assert iptables.loss(filters, ARRIVING, later, translated=True) is None


def test_chains_are_entered_and_left() -> None:
    jump = "[5:500] -A INPUT -p udp -j GUARD"
    assert loss(saved(jump, "[2:200] -A GUARD -d 172.30.0.12/32 -j DROP")) is not None
    assert loss(saved(jump, "[2:200] -A GUARD -j RETURN", "[2:200] -A GUARD -j DROP")) is None
    assert loss(saved("[5:500] -A INPUT -p tcp -j GUARD", "[2:200] -A GUARD -j DROP")) is None


def test_an_accepted_packet_passes_no_later_rule_of_the_table() -> None:
    assert loss(saved("[5:500] -A INPUT -p udp -j ACCEPT", "[2:200] -A INPUT -j DROP")) is None
    other_table = saved("[2:200] -A INPUT -j DROP", table="mangle")
    assert loss(saved("[5:500] -A INPUT -p udp -j ACCEPT") + other_table) is not None


def test_the_policy_of_a_chain_drops_packets_that_no_rule_accepts() -> None:
    found = loss(saved(policy="DROP [7:700]"))
    assert found is not None
    assert (found.rule, found.packets) == ("-P INPUT DROP", 7)
    assert loss(saved("[5:500] -A INPUT -p udp -j ACCEPT", policy="DROP [7:700]")) is None


def test_other_output_is_unavailable() -> None:
    assert isinstance(iptables.parse(Answer(0, b"nonsense\n", b"", 0.0, 0.0)), Unavailable)


@pytest.mark.parametrize("last", ["[3:300] -A INPUT -j DROP", ""])
def test_after_a_rule_that_may_accept_every_loss_is_uncertain(last: str) -> None:
    accepts = "[9:900] -A INPUT -m set --match-set allowed src -j ACCEPT"
    found = loss(saved(accepts, last, policy="ACCEPT [9:900]" if last else "DROP [3:300]"))
    assert found is not None
    assert not found.certain


def test_rules_that_accept_marked_packets_do_not_match() -> None:
    rules = (
        "[9:900] -A INPUT -j CILIUM_INPUT",
        "[9:900] -A CILIUM_INPUT -m mark --mark 0x200/0xf00 -j ACCEPT",
    )
    text = saved(*rules, "[3:300] -A INPUT -j DROP").replace(
        ":GUARD - [0:0]", ":GUARD - [0:0]\n:CILIUM_INPUT - [0:0]"
    )
    found = loss(text)
    assert found is not None
    assert found.certain


def test_a_return_from_a_built_in_chain_applies_its_policy() -> None:
    found = loss(saved("[5:500] -A INPUT -p udp -j RETURN", policy="DROP [7:700]"))
    assert found is not None
    assert (found.rule, found.certain) == ("-P INPUT DROP", True)


def test_a_return_that_may_match_makes_the_rest_of_its_chain_uncertain() -> None:
    jump = "[5:500] -A INPUT -j GUARD"
    returns, drops = "[5:500] -A GUARD -m mark --mark 0x1 -j RETURN", "[2:200] -A GUARD -j DROP"
    found = loss(saved(jump, returns, drops))
    assert found is not None
    assert not found.certain
    behind = loss(saved(jump, returns, "[2:200] -A INPUT -j DROP"))
    assert behind is not None
    assert behind.certain


def test_goto_does_not_return() -> None:
    entered = "[5:500] -A INPUT -p udp -g GUARD"
    assert loss(saved(entered, "[2:200] -A GUARD -p udp -j DROP")) is not None
    assert loss(saved(entered, "[2:200] -A INPUT -j DROP")) is None
    assert loss(saved(entered.replace("-g", "-j"), "[2:200] -A INPUT -j DROP")) is not None


@pytest.mark.parametrize(
    "rule",
    [
        "-A INPUT -s fd00::/64 -d fd00::2/128 -p tcp -m tcp --dport 80 -j DROP",
        "-A INPUT -m iprange --src-range fd00::1-fd00::f -j DROP",
        "-A INPUT -m length --length 80 -j DROP",
        "-A INPUT -p tcp -j REJECT --reject-with icmp6-port-unreachable",
    ],
)
def test_rules_of_ip6tables_match_packets_of_ipv6(rule: str) -> None:
    assert loss(saved(f"[3:300] {rule}"), OVER_IPV6)


@pytest.mark.parametrize("range_", ["fd00::3-fd00::f", "10.0.0.1-10.0.0.9"])
def test_a_range_without_the_address_does_not_match(range_: str) -> None:
    assert loss(saved(f"[3:300] -A INPUT -m iprange --src-range {range_} -j DROP"), OVER_IPV6) is None
