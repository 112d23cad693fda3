"""The same on a live cluster with Cilium 1.19.5: xwing on node2 requests the Service, deathstar-0 on node1 replies."""

from dataclasses import replace
from ipaddress import ip_address

from datapath_probe.addresses import IpFamily
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Absent, Answer
from datapath_probe.sources import netns
from datapath_probe.sources.agent import agent_config, agent_endpoint, bpf_metrics
from datapath_probe.sources.agent.agent_endpoint import AgentEndpoint
from datapath_probe.sources.bpf import bpftool, map_layout
from datapath_probe.sources.bpf.bpftool import AttachKind, Attachment, Direction, PinnedLink
from datapath_probe.sources.bpf.map_layout import Layout
from datapath_probe.sources.iproute2 import links
from datapath_probe.sources.iproute2.links import Route
from datapath_probe.sources.maps import conntrack, ipcache, lbmap, lxcmap, policymap
from datapath_probe.sources.maps.conntrack import CtEntry, CtFlag, TcpFlag
from datapath_probe.sources.maps.ipcache import IpcacheFlag, IpcacheRecord
from datapath_probe.sources.maps.lbmap import (
    BackendRecord,
    Frontend,
    RevNatRecord,
    ServiceFlag,
    ServiceSlot,
)
from datapath_probe.sources.maps.lxcmap import EndpointFlag, EndpointRecord
from datapath_probe.sources.maps.policymap import ANY_IDENTITY, PolicyEntry, TrafficDirection
from unit.sources import golden

VERSION = "cilium-1.19.5"
XWING, DEATHSTAR, SERVICE = map(ip_address, ("10.244.1.191", "10.244.0.94", "10.96.212.49"))
ENDPOINT, IDENTITY, DEATHSTARS = 16, 16005, 2429
LXC, MAC, HOST_MAC = "lxc25c7bee1c0e7", "aa:53:60:ae:c7:6c", "02:af:33:39:7c:39"
NAMESPACE = "cni-11b067ce-7681-b8c1-6827-1dac7ff5fee0"
LAYOUT = Layout("1.19.5", "cilium_ipcache_v2", "cilium_policy_v2")
FRONTEND = Frontend(SERVICE, 80)
ALL_FLAGS = TcpFlag.SYN | TcpFlag.ACK | TcpFlag.PSH | TcpFlag.FIN
RST_ACK = TcpFlag.RST | TcpFlag.ACK


def answer(module: str, name: str) -> Answer:
    return golden.recordings(module, VERSION)[name].answer


def fact(module: str, name: str) -> Fact:
    return golden.recordings(module, VERSION)[name].fact


def test_maps_have_the_names_of_1_18() -> None:
    assert map_layout.parse(answer("layout", "version")) == LAYOUT


def test_the_agent_is_configured_like_1_18() -> None:
    of_first = agent_config.parse(golden.answer("agent_config", "files"))
    assert agent_config.parse(answer("agent_config", "files")) == of_first


def test_an_endpoint_of_the_agent_and_of_the_datapath() -> None:
    assert agent_endpoint.fact("node2", ENDPOINT) == fact("agent_endpoint", "client")
    assert agent_endpoint.parse(answer("agent_endpoint", "client")) == AgentEndpoint(
        id=ENDPOINT,
        state="ready",
        identity=IDENTITY,
        ips=(XWING,),
        interface_name=LXC,
        ifindex=11,
        container_interface_name="eth0",
        mac=MAC,
        host_mac=HOST_MAC,
    )
    assert lxcmap.lookup("node2", XWING) == fact("lxcmap", "client")
    assert lxcmap.parse(answer("lxcmap", "client")) == EndpointRecord(
        11, ENDPOINT, EndpointFlag(0), MAC, HOST_MAC, IDENTITY, 0
    )
    assert lxcmap.parse(answer("lxcmap", "server on the client's node")) == Absent()


def test_the_ipcache() -> None:
    assert ipcache.lookup("node2", LAYOUT, DEATHSTAR) == fact("ipcache", "server")
    server = IpcacheRecord(DEATHSTARS, ip_address("172.30.0.11"), 0, IpcacheFlag.HAS_TUNNEL)
    assert ipcache.parse(answer("ipcache", "server")) == server
    assert ipcache.parse(answer("ipcache", "server, wider")) == replace(server, identity=2)
    assert ipcache.parse(answer("ipcache", "client")) == IpcacheRecord(IDENTITY, None, 0, IpcacheFlag(0))
    assert ipcache.parse(answer("ipcache", "IPv6")) == Absent()


def test_a_policy_map_without_policy_allows_any_identity() -> None:
    asked = policymap.lookup("node2", LAYOUT, ENDPOINT, TrafficDirection.EGRESS, ANY_IDENTITY, 80)
    assert asked == fact("policymap", "any identity")
    entry = policymap.parse(answer("policymap", "any identity"))
    assert isinstance(entry, PolicyEntry)
    assert not entry.deny
    assert policymap.parse(answer("policymap", "server's identity")) == Absent()


def test_a_service() -> None:
    assert lbmap.slot("node2", FRONTEND, 0) == fact("lbmap", "slot 0")
    assert lbmap.parse_slot(answer("lbmap", "slot 0")) == ServiceSlot(0, 2, 5, ServiceFlag(0), 0)
    assert lbmap.parse_slot(answer("lbmap", "slot 1")) == ServiceSlot(5, 0, 5, ServiceFlag(0), 0)
    assert lbmap.parse_slot(answer("lbmap", "slot 3")) == Absent()
    assert lbmap.backend("node2", 5, IpFamily.IPV4) == fact("lbmap", "backend")
    assert lbmap.parse_backend(answer("lbmap", "backend")) == BackendRecord(DEATHSTAR, 80, 6, 0)
    assert lbmap.parse_revnat(answer("lbmap", "reverse NAT")) == RevNatRecord(SERVICE, 80)


def test_a_connection_to_it_has_entries_on_both_nodes() -> None:
    service, out, into = (entry(f"service: {kind}") for kind in ("SVC", "OUT", "IN"))
    assert (service.backend_id, service.rev_nat_id, service.source_identity) == (5, 5, 0)
    assert (out.rev_nat_id, into.rev_nat_id) == (5, 0)
    assert CtFlag.FROM_TUNNEL in into.flags
    for end in (out, into):
        assert (end.tx_flags, end.rx_flags) == (ALL_FLAGS, ALL_FLAGS)
        assert (end.source_identity, end.last_tx_s, end.last_rx_s) == (IDENTITY, 19745, 19745)
    assert conntrack.parse(answer("conntrack", "service: IN on the client's node")) == Absent()


def test_a_refusal_is_a_reset_that_the_pod_sent() -> None:
    out, into = entry("refused: OUT"), entry("refused: IN")
    assert (out.tx_flags, out.rx_flags) == (TcpFlag.SYN, RST_ACK)
    assert (into.tx_flags, into.rx_flags) == (RST_ACK, TcpFlag.SYN)


def entry(name: str) -> CtEntry:
    found = conntrack.parse(answer("conntrack", name))
    assert isinstance(found, CtEntry), found
    return found


def test_programs_are_attached_and_pinned_like_in_1_18() -> None:
    attached = bpftool.parse_attached(answer("bpftool", "attached to lxc"))
    assert attached == (
        Attachment(
            LXC, 11, "tcx/ingress", Direction.INGRESS, AttachKind.TCX, "cil_from_container", 35596, 2203
        ),
    )
    assert bpftool.endpoint_link("node2", ENDPOINT, "cil_from_container") == fact(
        "bpftool", "endpoint's link"
    )
    assert bpftool.parse_link(answer("bpftool", "endpoint's link")) == PinnedLink(2203, 35596, 11)
    assert bpftool.policy_call("node2", ENDPOINT) == fact("bpftool", "policy program")
    assert bpftool.parse_call(answer("bpftool", "policy program")) == 35595
    assert bpftool.overlay_call("node2", 7) == fact("bpftool", "overlay tail call")
    assert isinstance(bpftool.parse_call(answer("bpftool", "overlay tail call")), int)


def test_the_pods_namespace_and_the_route_to_the_other_node() -> None:
    namespaces = netns.parse(answer("netns", "namespaces"))
    assert isinstance(namespaces, dict)
    assert namespaces[XWING] == (NAMESPACE,)
    assert links.pod_link("node2", NAMESPACE, "eth0") == fact("links", "pod's device")
    route = links.parse_route(answer("links", "route to the server's node"))
    assert isinstance(route, Route)
    assert route.device == "eth0"


def test_the_counters_of_dropped_and_forwarded_packets() -> None:
    counters = bpf_metrics.parse(answer("bpf_metrics", "counters"))
    assert isinstance(counters, tuple)
    assert ("Success", "egress", "local_delivery.h") in {
        (one.reason, one.direction, one.file) for one in counters
    }
