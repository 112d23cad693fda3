"""Facts as commands: the exact argv that runs in the agent's container."""

from ipaddress import IPv4Address, ip_address

import pytest

from datapath_probe.addresses import IpFamily
from datapath_probe.evidence.delivery import delivery
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import PARAMETERS, FactKind
from datapath_probe.sources.agent import agent_config, agent_endpoint
from datapath_probe.sources.bpf import bpftool, socket_lb
from datapath_probe.sources.capture import pcap
from datapath_probe.sources.flows import hubble, monitor
from datapath_probe.sources.iproute2 import links, neighbors, qdisc, rules, ss
from datapath_probe.sources.maps import lxcmap
from datapath_probe.sources.netfilter import iptables, nftables
from datapath_probe.sources.packet import Packet
from datapath_probe.tools.command import Command
from datapath_probe.tools.commands import argv_of, command_of

PACKET = Packet("tcp", ip_address("10.0.0.1"), ip_address("10.0.0.2"), 80, 20001)
KEY = "0a 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00"
INSIDE = "nsenter --net=/var/run/cilium/netns/cni-1 "


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        (bpftool.map_id("n", "cilium_lxc"), "bpftool -j map show pinned /sys/fs/bpf/tc/globals/cilium_lxc"),
        (bpftool.attached("n", "eth0", "cni-1"), INSIDE + "bpftool -j net show dev eth0"),
        (
            lxcmap.lookup("n", ip_address("10.0.0.1")),
            f"bpftool -j map lookup pinned /sys/fs/bpf/tc/globals/cilium_lxc key hex {KEY}",
        ),
        (
            links.arrival("n", PACKET, "eth0"),
            "ip -j route get 10.0.0.2 from 10.0.0.1 iif eth0 ipproto tcp sport 20001 dport 80",
        ),
        (links.routes_for("n", ip_address("10.0.0.2")), "ip -j route show match 10.0.0.2"),
        (links.pod_routes("n", "cni-1"), INSIDE + "ip -j route show"),
        (links.routes_for("n", ip_address("fd00::2")), "ip -j -6 route show match fd00::2"),
        (links.route_to("n", ip_address("fd00::2")), "ip -j route get fd00::2"),
        (links.pod_routes("n", "cni-1", IpFamily.IPV6), INSIDE + "ip -j -6 route show"),
        (rules.fact("n", family=IpFamily.IPV6), "ip -j -6 rule show"),
        (iptables.fact("n", family=IpFamily.IPV6), "ip6tables-save -c"),
        (iptables.fact("n", "cni-1", "nft", IpFamily.IPV6), INSIDE + "ip6tables-nft-save -c"),
        (agent_endpoint.at("n", ip_address("fd00::2")), "cilium-dbg endpoint get ipv6:fd00::2 -o json"),
        (neighbors.neighbor("n", ip_address("10.0.0.2"), "eth0"), "ip -j neigh show to 10.0.0.2 dev eth0"),
        (qdisc.losing("n"), "tc -j -s qdisc show"),
        (ss.of_host("n", 80), "ss -H -t -a -n sport = :80"),
        (iptables.fact("n", "cni-1", "legacy"), INSIDE + "iptables-legacy-save -c"),
        (agent_endpoint.at("n", ip_address("10.0.0.1")), "cilium-dbg endpoint get ipv4:10.0.0.1 -o json"),
        (
            hubble.connection("n", ip_address("10.0.1.1"), 20000, 35),
            "hubble observe -o jsonpb --ip 10.0.1.1 --port 20000 --since 35s --last 100",
        ),
        (
            hubble.icmp("n", ip_address("10.0.1.1"), 35),
            "hubble observe -o jsonpb --ip 10.0.1.1 --protocol icmp --since 35s --last 100",
        ),
        (
            monitor.traces("n", (689, 580), 4),
            "timeout -k 1 4 cilium-dbg monitor -j -t trace --related-to 689 --related-to 580",
        ),
    ],
    ids=str,
)
def test_a_fact_is_one_command(fact: Fact, words: str) -> None:
    assert " ".join(argv_of(fact)) == words


def test_the_agents_configuration_is_one_file_per_key() -> None:
    assert argv_of(agent_config.fact("n"))[:3] == ("grep", "-sH", "")
    assert len(argv_of(agent_config.fact("n"))) == 3 + len(agent_config.KEYS)


def test_a_pods_cgroup_is_found_by_its_uid_however_the_kubelet_writes_it() -> None:
    argv = argv_of(socket_lb.of_pod("n", "/run/cilium/cgroupv2", "0e-1f"))
    assert " ".join(argv) == (
        "find /run/cilium/cgroupv2 -maxdepth 10 -type d ( -path /run/cilium/cgroupv2 "
        "-o -name *pod0e-1f* -prune -o -name *pod0e_1f* -prune ) "
        "-print -exec bpftool -j cgroup show {} effective ;"
    )


@pytest.mark.parametrize("root", ["run", "/", "/run/../etc", "/run/./x", "/a b", "/run/*", "-delete"])
def test_only_a_folder_can_be_the_root_of_cgroups(root: str) -> None:
    with pytest.raises(ValueError, match="cgroup"):
        socket_lb.of_pod("n", root, "0e-1f")


@pytest.mark.parametrize("uid", ["", "*", "-delete", "a/b", "a b"])
def test_only_a_uid_can_be_part_of_the_name_of_a_cgroup(uid: str) -> None:
    with pytest.raises(ValueError, match="UID"):
        socket_lb.of_pod("n", "/run", uid)


def test_scripts_are_followed_by_their_arguments() -> None:
    assert argv_of(nftables.fact("n"))[:2] == ("perl", "-e")
    capture = argv_of(pcap.fact("n", [IPv4Address("10.0.0.1")], 20001, 8472, 12.4))
    assert capture[:2] == ("perl", "-e")
    assert capture[-2:] == ("12", "200")


def test_each_kind_without_required_parameters_has_a_command() -> None:
    plain = [Fact(kind, "n") for kind, parameters in PARAMETERS.items() if not parameters.required]
    assert len({argv_of(fact) for fact in plain}) == len(plain)


@pytest.mark.parametrize(
    "fact", [hubble.newest("n"), monitor.fact("n", 4), lxcmap.lookup("n", ip_address("10.0.0.1"))]
)
def test_a_command_has_the_delivery_of_its_fact(fact: Fact) -> None:
    command, how = command_of(fact), delivery(fact)
    assert (command.node, command.timeout_s, command.program) == (fact.node, how.timeout_s, how.tool)
    assert (command.repeatable, command.by_agent, command.often_absent) == (
        how.repeatable,
        how.by_agent,
        how.often_absent,
    )


@pytest.mark.parametrize("kind", [kind for kind, known in PARAMETERS.items() if not known.required])
def test_the_tool_of_a_fact_is_the_program_of_its_command(kind: FactKind) -> None:
    fact = Fact(kind, "n")
    assert command_of(fact).program == delivery(fact).tool


@pytest.mark.parametrize(
    ("argv", "program"),
    [
        (("bpftool", "-j", "map", "show"), "bpftool"),
        (("nsenter", "--net=/x", "ip", "-j", "route"), "ip"),
        (("timeout", "-k", "1", "4", "cilium-dbg", "monitor"), "cilium-dbg"),
        (("timeout", "4"), "timeout"),
    ],
)
def test_the_program_is_the_tool_without_its_wrappers(argv: tuple[str, ...], program: str) -> None:
    assert Command("n", argv).program == program


@pytest.mark.parametrize("argv", [(), ("-rf", "/"), ("ip", "a\0b")])
def test_a_command_starts_with_a_program_and_contains_no_nul(argv: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="argv"):
        Command("n", argv)


def test_the_text_of_a_command_is_one_line_without_its_script() -> None:
    text = command_of(nftables.fact("n", "cni-1")).text
    assert text.startswith(f"{INSIDE}perl -e '")
    assert len(text) < 400
