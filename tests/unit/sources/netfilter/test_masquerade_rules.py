"""Which packets the rules of Cilium masquerade, as written by Cilium 1.18."""

from ipaddress import ip_address

import pytest

from datapath_probe.evidence.reading import Absent, Answer, Unavailable
from datapath_probe.sources.netfilter import masquerade_rules
from datapath_probe.sources.netfilter.masquerade_rules import Rules, Translation, translation_of
from datapath_probe.sources.packet import Packet

MASQUERADES = (
    '-A CILIUM_POST_nat -s 10.244.1.0/24 ! -d 10.244.1.0/24 ! -o cilium_+ -m comment --comment "cilium masquerade '
    'non-cluster" -j MASQUERADE'
)
OF_THE_PROXY = (
    '-A CILIUM_POST_nat -m mark --mark 0xa00/0xe00 -m comment --comment "exclude proxy return traffic from '
    'masquerade" -j ACCEPT'
)
RECORDED = f"-N CILIUM_POST_nat\n{OF_THE_PROXY}\n{MASQUERADES}\n"
PACKET = Packet("tcp", ip_address("10.244.1.24"), ip_address("203.0.113.10"), 80, 23456, frozenset({"eth0"}))


def parsed(stdout: str, stderr: bytes = b"", exit_code: int = 0) -> Rules | Absent | Unavailable:
    return masquerade_rules.parse(Answer(exit_code, stdout.encode(), stderr, at=1.0, duration_s=0.01))


def translation(*lines: str, packet: Packet = PACKET) -> Translation:
    rules = parsed("\n".join(lines))
    assert isinstance(rules, tuple)
    return translation_of(rules, packet)


def test_packets_out_of_the_cluster_are_masqueraded() -> None:
    found = translation(*RECORDED.splitlines())
    assert (found.translates, found.certain) == (True, True)
    assert found.rule.startswith("-s 10.244.1.0/24")


@pytest.mark.parametrize(
    "packet",
    [
        Packet("tcp", PACKET.source, ip_address("10.244.1.9"), 80, 1, PACKET.devices),
        Packet("tcp", ip_address("10.244.2.9"), PACKET.destination, 80, 1, PACKET.devices),
        Packet("tcp", PACKET.source, PACKET.destination, 80, 1, frozenset({"cilium_host"})),
    ],
    ids=["to a pod", "from another node", "to Cilium's own device"],
)
def test_other_packets_are_not(packet: Packet) -> None:
    assert translation(MASQUERADES, packet=packet) == Translation(translates=False, certain=True)


def test_the_first_rule_decides() -> None:
    found = translation("-A CILIUM_POST_nat -d 203.0.113.0/24 -j RETURN", MASQUERADES)
    assert (found.translates, found.certain) == (False, True)


def test_a_rule_that_may_match_leaves_it_open() -> None:
    found = translation("-A CILIUM_POST_nat -m set --match-set x dst -j ACCEPT")
    assert (found.translates, found.certain) == (False, False)


def test_a_chain_that_does_not_exist_is_absent() -> None:
    stderr = b"iptables: No chain/target/match by that name.\n"
    assert parsed("", stderr, 1) == Absent()
    assert isinstance(parsed("", b"iptables v1.8.9: can't initialize iptables table `nat'", 3), Unavailable)
