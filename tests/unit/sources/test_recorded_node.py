"""Agent, programs and devices of a node of a live cluster: node2, where xwing runs."""

from ipaddress import IPv4Address, ip_address

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Absent, Unavailable
from datapath_probe.sources import netns
from datapath_probe.sources.agent import agent_config, agent_endpoint
from datapath_probe.sources.agent.agent_config import AgentConfig
from datapath_probe.sources.agent.agent_endpoint import AgentEndpoint
from datapath_probe.sources.bpf import bpftool, map_layout
from datapath_probe.sources.bpf.bpftool import AttachKind, Attachment, Direction, PinnedLink, Program
from datapath_probe.sources.bpf.map_layout import Layout
from datapath_probe.sources.iproute2 import links, uptime
from datapath_probe.sources.iproute2.links import Link, Route
from unit.sources.golden import answer, fact

XWING, ENDPOINT, LXC = ip_address("10.244.1.124"), 732, "lxc300fe62f077b"
NAMESPACE = "cni-54eee2eb-c2b7-7167-f6ce-69b1632d1ff0"
UNKNOWN_ENDPOINT = 65000


def reason(result: object) -> str:
    """The reason why there is no evidence."""
    assert isinstance(result, Unavailable)
    return result.reason


def test_the_names_of_maps_depend_on_the_agents_version() -> None:
    assert map_layout.version("node2") == fact("layout", "version")
    assert map_layout.parse(answer("layout", "version")) == Layout(
        "1.18.5", "cilium_ipcache_v2", "cilium_policy_v2"
    )


def test_the_configuration_of_the_agent() -> None:
    assert agent_config.fact("node2") == fact("agent_config", "files")
    assert agent_config.parse(answer("agent_config", "files")) == AgentConfig(
        routing_mode="tunnel",
        tunnel_protocol="vxlan",
        tunnel_port=8472,
        ipam="kubernetes",
        socket_lb=False,
        host_socket_lb=False,
        kube_proxy_replacement=False,
        bpf_host_routing=False,
        host_firewall=False,
        auto_direct_node_routes=False,
        endpoint_routes=False,
        datapath_mode="veth",
        encryption=None,
        cni_chaining=None,
        cluster_id=0,
        underlay="ipv4",
        ipv4=True,
        ipv6=False,
        cgroup_root="/run/cilium/cgroupv2",
        filter_priority=1,
        monitor_flags=frozenset({"all"}),
        service_loopback=IPv4Address("169.254.42.1"),
        masquerades=frozenset({4, 6}),
        bpf_masquerade=False,
        not_masqueraded=(),
        exceptions_to_masquerading=False,
        egress_gateway=False,
        conntrack_in_jiffies=False,
    )


def test_the_agents_endpoint() -> None:
    assert agent_endpoint.fact("node2", ENDPOINT) == fact("agent_endpoint", "client")
    assert agent_endpoint.parse(answer("agent_endpoint", "client")) == AgentEndpoint(
        id=732,
        state="ready",
        identity=18506,
        ips=(XWING,),
        interface_name=LXC,
        ifindex=13,
        container_interface_name="eth0",
        mac="b2:56:dd:f3:0f:c0",
        host_mac="7e:d3:92:d1:57:b5",
    )


def test_an_endpoint_that_the_agent_does_not_have_is_absent() -> None:
    assert agent_endpoint.fact("node2", UNKNOWN_ENDPOINT) == fact("agent_endpoint", "unknown")
    assert agent_endpoint.parse(answer("agent_endpoint", "unknown")) == Absent()


def test_the_nodes_clock() -> None:
    assert uptime.uptime("node2") == fact("uptime", "uptime")
    assert uptime.parse(answer("uptime", "uptime")) == 4938.83


def test_a_map_has_an_id_and_programs_list_the_maps_they_use() -> None:
    assert bpftool.map_id("node2", "cilium_lxc") == fact("bpftool", "map")
    assert bpftool.policy_call("node2", ENDPOINT) == fact("bpftool", "policy program")
    assert bpftool.prog("node2", 857) == fact("bpftool", "program")
    assert bpftool.parse_call(answer("bpftool", "policy program")) == 857
    program = bpftool.parse_prog(answer("bpftool", "program"))
    assert program == Program(
        id=857,
        name="cil_lxc_policy",
        type="sched_cls",
        tag="fe583a80e6518ae5",
        map_ids=(412, 292, 411, 293, 294, 295, 413, 281, 410, 273, 291, 249, 287, 288, 289, 246),
    )
    assert bpftool.parse_map_id(answer("bpftool", "map")) == 290


def test_a_missing_map_or_program_is_a_failed_command() -> None:
    assert bpftool.map_id("node2", "cilium_unknown") == fact("bpftool", "unknown map")
    assert bpftool.prog("node2", 2**32 - 1) == fact("bpftool", "unknown program")
    failed = EvidenceError.COMMAND_FAILED
    assert reason(bpftool.parse_map_id(answer("bpftool", "unknown map"))) == failed
    assert reason(bpftool.parse_prog(answer("bpftool", "unknown program"))) == failed
    assert reason(bpftool.parse_value(answer("bpftool", "value in an unknown map"), 4)) == failed
    assert reason(bpftool.parse_value(answer("bpftool", "value of a key of the wrong size"), 48)) == failed


def test_tail_calls_exist_or_are_absent() -> None:
    assert bpftool.endpoint_call("node2", ENDPOINT, 0x1A) == fact("bpftool", "tail call")
    assert bpftool.parse_call(answer("bpftool", "tail call")) == 858
    assert bpftool.endpoint_call("node2", ENDPOINT, 0) == fact("bpftool", "empty tail call")
    assert bpftool.parse_call(answer("bpftool", "empty tail call")) == Absent()
    assert bpftool.overlay_call("node2", 7) == fact("bpftool", "overlay tail call")
    assert bpftool.parse_call(answer("bpftool", "overlay tail call")) == 721


def test_an_endpoint_without_policy_program_has_none() -> None:
    name = "policy program of an unknown endpoint"
    assert bpftool.policy_call("node2", UNKNOWN_ENDPOINT) == fact("bpftool", name)
    assert bpftool.parse_call(answer("bpftool", name)) == Absent()


def test_what_is_attached_to_an_lxc_device() -> None:
    assert bpftool.attached("node2", LXC) == fact("bpftool", "attached to lxc")
    ingress, tcx = Direction.INGRESS, AttachKind.TCX
    assert bpftool.parse_attached(answer("bpftool", "attached to lxc")) == (
        Attachment(LXC, 13, "tcx/ingress", ingress, tcx, "cil_from_container", 863, 137),
    )


def test_what_is_attached_to_the_tunnel_device() -> None:
    assert bpftool.attached("node2", "cilium_vxlan") == fact("bpftool", "attached to the tunnel device")
    tcx = AttachKind.TCX
    assert bpftool.parse_attached(answer("bpftool", "attached to the tunnel device")) == (
        Attachment("cilium_vxlan", 5, "tcx/ingress", Direction.INGRESS, tcx, "cil_from_overlay", 722, 120),
        Attachment("cilium_vxlan", 5, "tcx/egress", Direction.EGRESS, tcx, "cil_to_overlay", 723, 121),
    )


def test_no_attached_program_is_an_answer_and_a_missing_device_is_not() -> None:
    name = "attached to a device without programs"
    assert bpftool.attached("node2", "lo") == fact("bpftool", name)
    assert bpftool.parse_attached(answer("bpftool", name)) == ()
    no_device = bpftool.parse_attached(answer("bpftool", "attached to an unknown device"))
    assert reason(no_device) == EvidenceError.COMMAND_FAILED


def test_pinned_links_hold_the_programs() -> None:
    of_endpoint = bpftool.endpoint_link("node2", ENDPOINT, "cil_from_container")
    assert of_endpoint == fact("bpftool", "endpoint's link")
    assert bpftool.parse_link(answer("bpftool", "endpoint's link")) == PinnedLink(137, 863, 13)
    of_device = bpftool.device_link("node2", "cilium_vxlan", "cil_to_overlay")
    assert of_device == fact("bpftool", "device's link")
    assert bpftool.parse_link(answer("bpftool", "device's link")) == PinnedLink(121, 723, 5)


def test_a_missing_link_is_absent() -> None:
    built = bpftool.endpoint_link("node2", ENDPOINT, "cil_to_container")
    assert built == fact("bpftool", "endpoint's missing link")
    assert bpftool.parse_link(answer("bpftool", "endpoint's missing link")) == Absent()


def test_the_two_ends_of_a_veth_pair_name_each_other() -> None:
    assert links.link("node2", LXC) == fact("links", "lxc")
    assert links.pod_link("node2", NAMESPACE, "eth0") == fact("links", "pod's device")
    host = Link(
        ifindex=13,
        name=LXC,
        peer_ifindex=12,
        up=True,
        mac="7e:d3:92:d1:57:b5",
        mtu=1500,
        kind="veth",
        tunnel_port=None,
    )
    pod = Link(
        ifindex=12,
        name="eth0",
        peer_ifindex=13,
        up=True,
        mac="b2:56:dd:f3:0f:c0",
        mtu=1500,
        kind="veth",
        tunnel_port=None,
    )
    assert links.parse_link(answer("links", "lxc")) == host
    assert links.parse_link(answer("links", "pod's device")) == pod


def test_the_tunnel_device_is_up_though_its_state_is_unknown() -> None:
    assert links.link("node2", "cilium_vxlan") == fact("links", "tunnel device")
    assert links.parse_link(answer("links", "tunnel device")) == Link(
        ifindex=5,
        name="cilium_vxlan",
        peer_ifindex=None,
        up=True,
        mac="ca:e9:b6:4f:6b:3a",
        mtu=1500,
        kind="vxlan",
        tunnel_port=8472,
    )


def test_a_missing_device_is_absent_and_a_missing_namespace_unavailable() -> None:
    assert links.link("node2", "unknown") == fact("links", "unknown device")
    assert links.parse_link(answer("links", "unknown device")) == Absent()
    assert links.pod_link("node2", NAMESPACE, "unknown") == fact("links", "pod's unknown device")
    assert links.parse_link(answer("links", "pod's unknown device")) == Absent()
    assert links.pod_link("node2", "unknown", "eth0") == fact("links", "device in an unknown namespace")
    no_namespace = links.parse_link(answer("links", "device in an unknown namespace"))
    assert reason(no_namespace) == EvidenceError.COMMAND_FAILED


def test_the_routes_of_a_pod() -> None:
    assert links.pod_routes("node2", NAMESPACE) == fact("links", "pod's routes")
    assert links.parse_routes(answer("links", "pod's routes")) == (
        Route("default", ip_address("10.244.1.187"), "eth0", None, 1450),
        Route("10.244.1.187", None, "eth0", None, None),
    )


def test_the_kernels_route_to_an_address() -> None:
    assert links.route_to("node2", ip_address("172.30.0.11")) == fact("links", "route to the server's node")
    to_the_node = Route("172.30.0.11", None, "eth0", ip_address("172.30.0.12"), None)
    assert links.parse_route(answer("links", "route to the server's node")) == to_the_node
    to_the_pod = Route("10.244.0.143", None, "cilium_host", ip_address("10.244.1.187"), 1450)
    assert links.parse_route(answer("links", "route to the server")) == to_the_pod
    assert links.parse_route(answer("links", "no route")) == Absent()


def test_the_namespaces_of_a_node_by_the_addresses_in_them() -> None:
    assert netns.find("node2") == fact("netns", "namespaces")
    assert netns.parse(answer("netns", "namespaces")) == {
        ip_address("10.244.1.64"): ("cni-939ede5e-f54a-3762-1514-89a759404ca4",),
        ip_address("10.244.1.105"): ("cni-56ea8240-fcc8-1e0a-4eaf-852838394a0f",),
        ip_address("10.244.1.124"): (NAMESPACE,),
        ip_address("10.244.1.144"): ("cni-4ef32feb-a869-67ab-b7b8-d092688eb58c",),
        ip_address("10.244.1.146"): ("cni-e4a25c0d-78db-01c5-0d69-f8bb62a4e5b6",),
        ip_address("10.244.1.248"): ("cni-753cc68b-c3c9-2318-37f8-7e4ac3b8195c",),
    }


def test_the_counters_of_a_tunnel_device() -> None:
    name = "tunnel device's counters"
    assert links.counters("node1", "cilium_vxlan") == fact("links", name)
    assert links.parse_counters(answer("links", name)) == links.DeviceCounters(614, 644, 0, 0)
