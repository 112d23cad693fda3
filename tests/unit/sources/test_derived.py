"""Outputs that the recorded lab does not contain: derived from the programs' sources, or observed elsewhere."""

from ipaddress import ip_address

import pytest

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Absent, Unavailable
from datapath_probe.sources import netns
from datapath_probe.sources.agent import agent_config, agent_endpoint
from datapath_probe.sources.bpf import bpftool, map_layout
from datapath_probe.sources.bpf.bpftool import AttachKind, Attachment, Direction, PinnedLink
from datapath_probe.sources.bpf.map_layout import Layout
from datapath_probe.sources.iproute2 import links, uptime
from datapath_probe.sources.iproute2.links import Route
from unit.sources.golden import printed

INGRESS, EGRESS = Direction.INGRESS, Direction.EGRESS


def attached(entries: str, xdp: str = "") -> object:
    """The parsed output of `bpftool net show`."""
    return bpftool.parse_attached(printed(f'[{{"xdp":[{xdp}],"tc":[{entries}],"flow_dissector":[]}}]'))


def test_classic_tc_uses_other_names() -> None:
    entry = '{"devname":"lxc1","ifindex":9,"kind":"clsact/%s","name":"%s-lxc1","id":%d}'
    assert attached(f"{entry % ('ingress', 'cil_from_container', 7)},{entry % ('egress', 'other', 8)}") == (
        Attachment("lxc1", 9, "clsact/ingress", INGRESS, AttachKind.TC, "cil_from_container", 7),
        Attachment("lxc1", 9, "clsact/egress", EGRESS, AttachKind.TC, "other", 8),
    )


def test_directions_of_netkit_are_as_seen_from_the_host() -> None:
    entry = '{"devname":"lxc1","ifindex":9,"kind":"netkit/%s","name":"p","prog_id":7}'
    assert attached(f"{entry % 'peer'},{entry % 'primary'}") == (
        Attachment("lxc1", 9, "netkit/peer", INGRESS, AttachKind.NETKIT, "p", 7),
        Attachment("lxc1", 9, "netkit/primary", EGRESS, AttachKind.NETKIT, "p", 7),
    )


def test_xdp_comes_first_and_can_be_several() -> None:
    one = '{"devname":"eth0","ifindex":2,"mode":"driver","id":5}'
    modes = '[{"mode":"generic","id":6},{"mode":"offload","id":7}]'
    several = f'{{"devname":"eth1","ifindex":3,"multi_attachments":{modes}}}'
    foreign = '{"devname":"eth0","ifindex":2,"kind":"tcx/ingress","name":"f","prog_id":8}'
    assert attached(foreign, xdp=f"{one},{several}") == (
        Attachment("eth0", 2, "xdp/driver", INGRESS, AttachKind.XDP, "", 5),
        Attachment("eth1", 3, "xdp/generic", INGRESS, AttachKind.XDP, "", 6),
        Attachment("eth1", 3, "xdp/offload", INGRESS, AttachKind.XDP, "", 7),
        Attachment("eth0", 2, "tcx/ingress", INGRESS, AttachKind.TCX, "f", 8),
    )


def test_program_names_may_be_cut_by_the_kernel() -> None:
    assert bpftool.is_program("cil_from_container", "cil_from_container")
    assert bpftool.is_program("cil_from_contai", "cil_from_container")
    assert not bpftool.is_program("cil_from_cont", "cil_from_container")
    assert not bpftool.is_program("cil_from_overla", "cil_from_container")


def test_a_pinned_link_may_be_detached_or_have_no_device() -> None:
    detached = '{"id":1,"type":"tcx","prog_id":2,"devname":"(detached)","ifindex":0,"attach_type":"x"}'
    assert bpftool.parse_link(printed(detached, exit_code=255)) == PinnedLink(1, 2, 0)
    assert bpftool.parse_link(printed('{"id":1,"type":11,"prog_id":2}')) == PinnedLink(1, 2, None)


def test_an_unreadable_pinned_link_is_unavailable() -> None:
    denied = '{"error":"bpf obj get (/sys/fs/bpf/cilium/x): Permission denied"}'
    result = bpftool.parse_link(printed(denied, exit_code=255))
    assert isinstance(result, Unavailable)
    assert result.reason == EvidenceError.COMMAND_FAILED


def test_null_means_absent_also_in_older_versions_of_bpftool() -> None:
    assert bpftool.parse_call(printed("null\n", exit_code=254)) == Absent()
    assert bpftool.parse_call(printed("null\n", exit_code=255)) == Absent()


@pytest.mark.parametrize(
    ("stdout", "exit_code"),
    [
        ("null", 0),
        ("null", 1),
        ("", 254),
        ("nullnull", 254),
        ('{"error":"null"}', 254),
        ('{"key":["0x00"],"value":["0x01","0x02"]}', 0),  # two bytes, not four
        ('{"key":["0x00"],"value":["0x01","0x02","0x03","0x100"]}', 0),
        ('{"key":["0x00"],"value":["0x01","0x02","0x03","-0x1"]}', 0),
        ('{"key":["0x00"],"values":[{"cpu":0,"value":["0x01","0x02","0x03","0x04"]}]}', 0),
    ],
)
def test_anything_but_a_value_or_null_is_unavailable(stdout: str, exit_code: int) -> None:
    assert isinstance(bpftool.parse_call(printed(stdout, exit_code)), Unavailable)


@pytest.mark.parametrize(
    ("said", "ipcache", "policy"),
    [
        ("cilium-agent 1.16.19 a1b2c3d 2025-01-01T00:00:00+00:00 go version go1.22.12 linux/amd64", "", ""),
        ("cilium-agent 1.17.0 c2bbf787 2025-01-01T00:00:00+00:00 go version go1.23.4 linux/arm64", "", "_v2"),
        ("cilium-agent 1.18.5 lab 1970-01-01 go version go1.26.8 linux/amd64", "_v2", "_v2"),
        ("cilium-agent 1.19.0-rc.1 x 2026-01-01 go version go1.25 linux/amd64", "_v2", "_v2"),
        ("cilium-agent 1.20.2-dev x 2026-01-01 go version go1.26 linux/amd64", "_v2", "_v3"),
    ],
)
def test_each_version_has_its_maps(said: str, ipcache: str, policy: str) -> None:
    version = said.split()[1]
    expected = Layout(version, f"cilium_ipcache{ipcache}", f"cilium_policy{policy}")
    assert map_layout.parse(printed(f"{said}\n")) == expected


@pytest.mark.parametrize(
    "said", ["cilium-agent 1.15.19 x", "cilium-agent 1.21.0 x", "cilium-agent  lab x", ""]
)
def test_an_unsupported_version_is_reported(said: str) -> None:
    unknown = map_layout.parse(printed(said))
    assert isinstance(unknown, Unavailable)
    assert unknown.reason == EvidenceError.UNSUPPORTED_VERSION
    assert unknown.message.endswith(said or "nothing")
    assert "1.16 to 1.20" in unknown.message


def configured(**keys: str) -> agent_config.AgentConfig:
    """The configuration from a ConfigMap with these keys."""
    return agent_config.from_config_map({key.replace("_", "-"): value for key, value in keys.items()})


def test_without_keys_the_agents_defaults_apply() -> None:
    config = configured()
    assert (config.routing_mode, config.tunnel_protocol, config.tunnel_port) == ("tunnel", "vxlan", 8472)
    assert (config.ipam, config.datapath_mode) == ("cluster-pool", "veth")
    assert (config.ipv4, config.ipv6) == (True, True)
    assert not any((config.socket_lb, config.endpoint_routes, config.auto_direct_node_routes))
    assert config.monitor_flags == {"syn", "fin", "rst"}


def test_each_tunnel_protocol_has_its_port_unless_one_is_set() -> None:
    assert configured(tunnel_protocol="geneve").tunnel_port == 6081
    assert configured(tunnel_protocol="geneve", tunnel_port="0").tunnel_port == 6081
    assert configured(tunnel_port="4789").tunnel_port == 4789


def test_socket_load_balancing_applies_to_pods_unless_limited_to_the_host() -> None:
    assert configured(kube_proxy_replacement="true").socket_lb
    assert configured(bpf_lb_sock="true").socket_lb
    assert not configured(kube_proxy_replacement="true", bpf_lb_sock_hostns_only="true").socket_lb
    assert not configured(kube_proxy_replacement="false", bpf_lb_sock="false").socket_lb


def test_encryption_is_named() -> None:
    assert configured().encryption is None
    assert configured(enable_wireguard="true").encryption == "wireguard"
    assert configured(enable_ipsec="true").encryption == "ipsec"


class RecordingConfigMap(dict[str, str]):
    """A ConfigMap that records the requested keys."""

    def __init__(self, values: dict[str, str], asked: set[str]) -> None:
        super().__init__(values)
        self.asked = asked

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]  # enough here
        self.asked.add(key)
        return super().get(key, default)


def test_exactly_the_relevant_keys_are_read() -> None:
    counted: set[str] = set()
    everything_on = {"kube-proxy-replacement": "true", "enable-bpf-masquerade": "true"}
    for values in ({}, everything_on, {"enable-ipv4-masquerade": "false"}):
        agent_config.from_config_map(RecordingConfigMap(values, counted))
    assert sorted(agent_config.KEYS) == sorted(counted)


def test_keys_may_be_unset() -> None:
    parsed = agent_config.parse(printed(f"{agent_config.FOLDER}/routing-mode:native\n", exit_code=2))
    assert parsed == configured(routing_mode="native")


@pytest.mark.parametrize("stdout", ["", "no file name\n", "/etc/passwd:root\n"])
def test_other_output_is_not_a_configuration(stdout: str) -> None:
    assert isinstance(agent_config.parse(printed(stdout, exit_code=2)), Unavailable)


def endpoint(**networking: str) -> object:
    """The parsed endpoint with these members of `networking`."""
    values = {
        "addressing": '[{"ipv4":"10.0.0.1"}]',
        "interface-name": '"lxc1"',
        "interface-index": "9",
        "mac": '"AA:bb:CC:dd:ee:01"',
        "host-mac": '"AA:bb:CC:dd:ee:02"',
    } | {name.replace("_", "-"): value for name, value in networking.items()}
    members = ",".join(f'"{name}":{value}' for name, value in values.items())
    status = f'"state":"ready","identity":{{"id":300}},"networking":{{{members}}}'
    return agent_endpoint.parse(printed(f'[{{"id":7,"status":{{{status}}}}}]'))


def test_an_endpoint_may_lack_the_name_of_the_pods_interface_and_an_ipv4_address() -> None:
    found = endpoint(addressing='[{"ipv6":"fd00::1"}]')
    assert isinstance(found, agent_endpoint.AgentEndpoint)
    assert (found.container_interface_name, found.ipv4) == ("eth0", None)
    assert (found.mac, found.host_mac) == ("aa:bb:cc:dd:ee:01", "aa:bb:cc:dd:ee:02")


def test_an_unreachable_agent_does_not_mean_absent() -> None:
    stderr = "Error: Cannot get endpoint 7: dial unix /var/run/cilium/cilium.sock: connection refused\n"
    result = agent_endpoint.parse(printed("", exit_code=1, stderr=stderr))
    assert isinstance(result, Unavailable)
    assert result.reason == EvidenceError.COMMAND_FAILED


@pytest.mark.parametrize("name", ['""', '"../x"', '"-x"', "null", "7"])
def test_an_endpoint_with_an_invalid_interface_is_unparsable(name: str) -> None:
    assert isinstance(endpoint(interface_name=name), Unavailable)
    if name != "null":
        assert isinstance(endpoint(container_interface_name=name), Unavailable)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("mac", '"\\ud800"'),  # an unpaired surrogate: valid JSON, but it can't be encoded
        ("mac", "7"),
        ("interface-index", "true"),
        ("interface-index", '"9"'),
        ("interface-index", "9.0"),
        ("addressing", '"10.0.0.1"'),
    ],
)
def test_a_value_of_another_type_is_unparsable(member: str, value: str) -> None:
    assert isinstance(endpoint(**{member: value}), Unavailable)


@pytest.mark.parametrize(
    ("stderr", "absent"),
    [
        ("RTNETLINK answers: Network is unreachable\n", True),  # none, or one of type throw
        ("RTNETLINK answers: No route to host\n", True),  # type unreachable
        ("RTNETLINK answers: Invalid argument\n", True),  # type blackhole
        ("RTNETLINK answers: Permission denied\n", True),  # type prohibit
        ("RTNETLINK answers: Operation not supported\n", False),
        ("RTNETLINK answers: No buffer space available\n", False),
        ("nsenter: Network is unreachable\n", False),
        ("", False),
    ],
)
def test_only_the_kernels_error_means_that_there_is_no_route(stderr: str, absent: bool) -> None:
    result = links.parse_route(printed("", exit_code=2, stderr=stderr))
    assert isinstance(result, Absent if absent else Unavailable)


def test_a_multipath_route_has_several_next_hops_and_a_blackhole_none() -> None:
    output = (
        '[{"dst":"default","flags":[],"metrics":[{"mtu":1400}],"nexthops":['
        '{"gateway":"10.0.0.1","dev":"eth0","weight":1,"flags":[]},{"dev":"eth1","weight":1,"flags":[]}]},'
        '{"type":"blackhole","dst":"10.1.0.0/16","flags":[]}]'
    )
    assert links.parse_routes(printed(output)) == (
        Route("default", ip_address("10.0.0.1"), "eth0", None, 1400),
        Route("default", None, "eth1", None, 1400),
    )


def test_a_pod_without_routes_has_none() -> None:
    assert links.parse_routes(printed("[ ]\n")) == ()
    assert links.parse_routes(printed("")) == ()


@pytest.mark.parametrize(
    ("flags", "state", "up"),
    [
        ('"UP","LOWER_UP"', "UP", True),
        ('"UP","LOWER_UP"', "UNKNOWN", True),  # vxlan
        ('"UP","NO-CARRIER"', "DOWN", False),
        ('"UP"', "LOWERLAYERDOWN", False),  # its peer is down
        ("", "DOWN", False),
    ],
)
def test_a_device_is_up_if_both_its_flag_and_its_state_are(flags: str, state: str, up: bool) -> None:
    shown = f'[{{"ifindex":1,"ifname":"x","flags":[{flags}],"operstate":"{state}"}}]'
    link = links.parse_link(printed(shown))
    assert isinstance(link, links.Link)
    assert link.up is up


@pytest.mark.parametrize(
    "stdout", ["nan 1.0", "inf 1.0", "-1.0 1.0", "1e300 1.0", "1.0", "a b", "1.0 2.0 3.0"]
)
def test_an_invalid_uptime_is_unparsable(stdout: str) -> None:
    assert isinstance(uptime.parse(printed(stdout)), Unavailable)


FOLDER = "/var/run/cilium/netns"
ONE = f'{FOLDER}/cni-1\n[{{"ifname":"eth0","addr_info":[{{"local":"10.0.0.1"}}]}}]\n'


def test_namespaces_that_were_deleted_meanwhile_are_left_out() -> None:
    gone = f"{FOLDER}/cni-2\n"
    stderr = f"nsenter: cannot open {FOLDER}/cni-2: No such file or directory\n"
    assert netns.parse(printed(gone + ONE + gone, exit_code=1, stderr=stderr)) == {
        ip_address("10.0.0.1"): ("cni-1",)
    }


def test_interfaces_without_addresses_and_unusual_names_are_skipped() -> None:
    empty = f'{FOLDER}/cni-2\n[{{}},{{"ifname":"lo","addr_info":[]}}]\n'
    strange = f'{FOLDER}/my ns\n[{{"ifname":"eth0","addr_info":[{{"local":"10.0.0.2"}}]}}]\n'
    assert netns.parse(printed(empty + ONE + strange)) == {ip_address("10.0.0.1"): ("cni-1",)}


@pytest.mark.parametrize(
    ("stdout", "exit_code", "stderr"),
    [
        ("", 1, f"find: '{FOLDER}': No such file or directory\n"),
        (f"{FOLDER}/cni-1\n", 0, "find: 'nsenter': No such file or directory\n"),
        (
            f"{FOLDER}/cni-1\n",
            0,
            "nsenter: reassociate to namespace 'ns/net' failed: Operation not permitted\n",
        ),
    ],
)
def test_if_no_namespace_can_be_entered_there_is_no_answer(stdout: str, exit_code: int, stderr: str) -> None:
    result = netns.parse(printed(stdout, exit_code, stderr))
    assert isinstance(result, Unavailable)
    assert result.reason == EvidenceError.COMMAND_FAILED
    assert stderr.strip() in result.message


def test_all_namespaces_with_the_same_address_are_listed() -> None:
    other = ONE.replace("cni-1", "cni-2")
    assert netns.parse(printed(ONE + other + other)) == {ip_address("10.0.0.1"): ("cni-1", "cni-2")}


def test_a_survey_lists_all_devices_with_their_peers_and_addresses() -> None:
    pair = '{"ifname":"eth0","link_index":15,"link_netnsid":0,"address":"C6:4D:80:8C:D5:44","addr_info":[]}'
    assert netns.survey("node1") != netns.find("node1")
    assert netns.parse_survey(printed(f"{ONE}{FOLDER}/cni-2\n[{pair}]\n")) == (
        netns.Device("cni-1", "eth0", None, "", (ip_address("10.0.0.1"),)),
        netns.Device("cni-2", "eth0", 15, "c6:4d:80:8c:d5:44", ()),
    )
    assert isinstance(netns.parse_survey(printed(f"{FOLDER}/cni-1\n", 0, "find: no nsenter\n")), Unavailable)


def test_a_node_without_pods_has_no_namespaces() -> None:
    assert netns.parse(printed("")) == {}


def test_addresses_outside_a_namespace_are_unparsable() -> None:
    assert isinstance(netns.parse(printed(ONE.partition("\n")[2])), Unavailable)
