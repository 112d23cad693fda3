"""The facts that `record` asks for: by module and name, all facts of a run through a Service, and some without an
answer.

In: the two pods, and answers so far. Out: facts. Pure.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address

from datapath_probe.addresses import IpAddress, IpFamily
from datapath_probe.evidence.fact import Fact
from datapath_probe.sources.agent import agent_config, agent_endpoint, bpf_metrics
from datapath_probe.sources.agent.agent_endpoint import AgentEndpoint
from datapath_probe.sources.bpf import bpftool
from datapath_probe.sources.bpf.map_layout import Layout
from datapath_probe.sources.iproute2 import links, uptime
from datapath_probe.sources.maps import conntrack, ipcache, lbmap, lxcmap, policymap
from datapath_probe.sources.maps.policymap import ANY_IDENTITY, TrafficDirection
from datapath_probe.tools.command import Command
from datapath_probe.tools.commands import argv_of

Asked = tuple[str, str, Fact | Command]  # module, name, fact; a command that prints no fact
UNUSED_ID = 65000


@dataclass(frozen=True, slots=True)
class End:
    """A pod: node, address, port; its endpoint's id and identity, its node's address."""

    node: str
    ip: IpAddress
    port: int
    endpoint: int
    identity: int
    node_ip: IpAddress


def unused(ip: IpAddress) -> IpAddress:
    """An address in the same /24 that is probably unused."""
    return ip_address(str(ip).rpartition(".")[0] + ".254")


def of_endpoints(client: End, server: End) -> Iterator[Asked]:
    """What the agent knows about the endpoints, and the endpoint maps."""
    node = client.node
    yield "agent_config", "files", agent_config.fact(node)
    yield "uptime", "uptime", uptime.uptime(node)
    yield "bpf_metrics", "counters", bpf_metrics.fact(node)
    yield "agent_endpoint", "unknown", agent_endpoint.fact(node, UNUSED_ID)
    yield "lxcmap", "client", lxcmap.lookup(node, client.ip)
    yield "lxcmap", "server", lxcmap.lookup(server.node, server.ip)
    yield "lxcmap", "server on the client's node", lxcmap.lookup(node, server.ip)
    yield "lxcmap", "address of the node", lxcmap.lookup(node, client.node_ip)


def _in_map(client: End, name: str) -> Fact:
    return ipcache.lookup(client.node, Layout("", ipcache_map=name, policy_map=""), client.ip)


def of_programs(client: End, agent: AgentEndpoint, policy_program: int) -> Iterator[Asked]:
    """Programs, their maps and where they are attached. `policy_program`: the id of the client's."""
    node, endpoint = client.node, client.endpoint
    yield "bpftool", "map", bpftool.map_id(node, "cilium_lxc")
    yield "bpftool", "unknown map", bpftool.map_id(node, "cilium_unknown")
    yield "bpftool", "value in an unknown map", _in_map(client, "cilium_unknown")
    yield "bpftool", "value of a key of the wrong size", _in_map(client, "cilium_lxc")
    yield "bpftool", "policy program of an unknown endpoint", bpftool.policy_call(node, UNUSED_ID)
    yield "bpftool", "program", bpftool.prog(node, policy_program)
    yield "bpftool", "unknown program", bpftool.prog(node, 2**32 - 1)
    yield "bpftool", "tail call", bpftool.endpoint_call(node, endpoint, 0x1A)
    yield "bpftool", "empty tail call", bpftool.endpoint_call(node, endpoint, 0)
    yield "bpftool", "overlay tail call", bpftool.overlay_call(node, 7)
    for name, device in (
        ("lxc", agent.interface_name),
        ("the tunnel device", "cilium_vxlan"),
        ("a device without programs", "lo"),
        ("an unknown device", "unknown"),
    ):
        yield "bpftool", f"attached to {name}", bpftool.attached(node, device)
    yield "bpftool", "endpoint's link", bpftool.endpoint_link(node, endpoint, "cil_from_container")
    yield "bpftool", "endpoint's missing link", bpftool.endpoint_link(node, endpoint, "cil_to_container")
    yield "bpftool", "device's link", bpftool.device_link(node, "cilium_vxlan", "cil_to_overlay")


def of_devices(client: End, server: End, agent: AgentEndpoint, namespace: str) -> Iterator[Asked]:
    """Devices and routes, of the node and of the pod, whose network namespace is `namespace`."""
    node, inside = client.node, agent.container_interface_name
    yield "links", "lxc", links.link(node, agent.interface_name)
    yield "links", "tunnel device", links.link(node, "cilium_vxlan")
    yield "links", "unknown device", links.link(node, "unknown")
    yield "links", "pod's device", links.pod_link(node, namespace, inside)
    yield "links", "pod's unknown device", links.pod_link(node, namespace, "unknown")
    yield "links", "device in an unknown namespace", links.pod_link(node, "unknown", inside)
    yield "links", "pod's routes", links.pod_routes(node, namespace)
    route = links.route_to(node, server.node_ip)
    yield "links", "route to the server's node", route
    yield "links", "route to the server", links.route_to(node, server.ip)
    yield "links", "no route", Command(node, ("unshare", "--net", *argv_of(route)))


def of_ipcache(client: End, server: End, maps: Layout) -> Iterator[Asked]:
    """The ipcache of the client's node."""
    for name, ip in (
        ("server", server.ip),
        ("client", client.ip),
        ("unknown pod on the server's node", unused(server.ip)),
        ("server's node", server.node_ip),
        ("IPv6", ip_address("2001:db8::1")),
    ):
        yield "ipcache", name, ipcache.lookup(client.node, maps, ip)
        yield "ipcache", f"{name}, wider", ipcache.lookup_wider(client.node, maps, ip)
    earlier = replace(maps, ipcache_map="cilium_ipcache")
    yield "ipcache", "map of an earlier version", ipcache.lookup(client.node, earlier, server.ip)


def of_policy(client: End, server: End, maps: Layout) -> Iterator[Asked]:
    """The client's policy map."""
    for name, identity in (("server's identity", server.identity), ("any identity", ANY_IDENTITY)):
        fact = policymap.lookup(
            client.node, maps, client.endpoint, TrafficDirection.EGRESS, identity, server.port
        )
        yield "policymap", name, fact


def of_service(node: str, frontend: lbmap.Frontend, master: lbmap.ServiceSlot) -> Iterator[Asked]:
    """The maps of a service."""
    for number in range(1, master.count + 2):
        yield "lbmap", f"slot {number}", lbmap.slot(node, frontend, number)
    unknown = replace(frontend, port=9)
    yield "lbmap", "slot 0 of an unknown frontend", lbmap.slot(node, unknown, 0)
    yield "lbmap", "unknown backend", lbmap.backend(node, 2**32 - 1, IpFamily.IPV4)
    yield "lbmap", "reverse NAT", lbmap.revnat(node, master.rev_nat_id, IpFamily.IPV4)
    yield "lbmap", "unknown reverse NAT", lbmap.revnat(node, 65535, IpFamily.IPV4)


def of_connection(name: str, client: End, server: End) -> Iterator[Asked]:
    """The entries of a connection on both nodes."""
    pair = client.ip, client.port, server.ip, server.port
    yield "conntrack", f"{name}: OUT", conntrack.out_entry(client.node, *pair)
    yield "conntrack", f"{name}: IN", conntrack.in_entry(server.node, *pair)
    yield "conntrack", f"{name}: IN on the client's node", conntrack.in_entry(client.node, *pair)
    yield "conntrack", f"{name}: ICMP errors", conntrack.icmp_related(client.node, client.ip, server.ip)
