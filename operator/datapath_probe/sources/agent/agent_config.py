"""The configuration of Cilium: of a node, as its agent runs with it, and of the cluster, from the ConfigMap.

The agent's own files take precedence: they include the overrides of CiliumNodeConfig, and the values at its start.
Source: Cilium 1.16–1.20 `pkg/option/config.go`, `pkg/kpr` (1.18: `daemon/cmd/kube_proxy_replacement.go`),
`pkg/datapath/tunnel`; chart `cilium-agent/daemonset.yaml` (`--config-dir`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from ...addresses import IpFamily, parse_address
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.parameters import is_cgroup
from ...evidence.reading import Answer
from ..parsing import parser

FOLDER = "/tmp/cilium/config-map"  # noqa: S108
"""The agent's configuration directory: a file for each key that is set."""
_DEFAULT_PORTS = {"vxlan": 8472, "geneve": 6081}
_SERVICE_LOOPBACK = IPv4Address("169.254.42.1")
_CGROUP_ROOT = "/run/cilium/cgroupv2"
_DIGITS = re.compile(r"[0-9]{1,10}")
_ENCRYPTION = ("ipsec", "wireguard", "ztunnel")
KEYS = (
    "auto-direct-node-routes",
    "bpf-filter-priority",
    "bpf-lb-sock",
    "bpf-lb-sock-hostns-only",
    "cgroup-root",
    "cluster-id",
    "cni-chaining-mode",
    "datapath-mode",
    "enable-bpf-clock-probe",
    "enable-bpf-masquerade",
    "enable-egress-gateway",
    "enable-endpoint-routes",
    "enable-host-firewall",
    "enable-host-legacy-routing",
    "enable-ip-masq-agent",
    "enable-ipsec",
    "enable-ipv4",
    "enable-ipv4-egress-gateway",
    "enable-ipv4-masquerade",
    "enable-ipv6",
    "enable-ipv6-masquerade",
    "enable-wireguard",
    "enable-ztunnel",
    "ipam",
    "ipv4-native-routing-cidr",
    "ipv4-service-loopback-address",
    "ipv6-native-routing-cidr",
    "kube-proxy-replacement",
    "monitor-aggregation-flags",
    "routing-mode",
    "tunnel-port",
    "tunnel-protocol",
    "underlay-protocol",
)
"""The keys that are read."""


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """`socket_lb`: connect() translates Services, also in pods, so that no packet carries a ClusterIP.
    `host_socket_lb`: the same in the host's network.

    `kube_proxy_replacement`: Cilium also serves NodePorts. `bpf_host_routing`: packets between pods and the network
    bypass the host's stack. `host_firewall`: policies select nodes, so packets of pods to another node go through
    the tunnel with their identity. `cni_chaining`: the plugin that creates the pods' interfaces instead of Cilium.
    """

    routing_mode: str  # tunnel | native
    tunnel_protocol: str  # vxlan | geneve
    tunnel_port: int
    ipam: str
    socket_lb: bool
    host_socket_lb: bool
    kube_proxy_replacement: bool
    bpf_host_routing: bool
    host_firewall: bool
    auto_direct_node_routes: bool
    endpoint_routes: bool
    datapath_mode: str  # veth | netkit | netkit-l2
    encryption: str | None  # ipsec | wireguard | ztunnel
    cni_chaining: str | None
    cluster_id: int
    underlay: str  # ipv4 | ipv6
    ipv4: bool
    ipv6: bool
    filter_priority: int  # of the programs, if attached as tc filters
    cgroup_root: str  # where the agent has mounted cgroup v2
    monitor_flags: frozenset[str]  # TCP flags that conntrack records; "all" or names
    service_loopback: IPv4Address  # the source address of a pod that reaches itself through a Service
    masquerades: frozenset[int]  # the versions of IP
    bpf_masquerade: bool
    not_masqueraded: tuple[str, ...]  # destinations: ranges in which pods' addresses are routed
    exceptions_to_masquerading: bool  # of the ip-masq-agent
    egress_gateway: bool
    conntrack_in_jiffies: bool  # possibly: the agent probes which clock it can use

    @property
    def underlay_family(self) -> IpFamily:
        """The version of IP of tunnels between nodes."""
        return IpFamily.IPV6 if self.underlay == "ipv6" else IpFamily.IPV4

    @property
    def routes_to_endpoints(self) -> bool:
        """Whether the host's stack delivers packets to pods, with a route for each, instead of Cilium's programs."""
        return self.endpoint_routes and not self.bpf_host_routing


def fact(node: str) -> Fact:
    """The keys that matter, as files of the agent. Keys that are not set have no file."""
    return Fact.of(FactKind.AGENT_CONFIG, node)


@parser("grep of the agent's configuration", exit_codes=(0, 2))  # 2: some files do not exist
def parse(answer: Answer) -> AgentConfig:
    """The configuration of the node's agent. ValueError inside if no key is set, or a line has no file name."""
    values: dict[str, str] = {}
    for line in answer.stdout.decode().splitlines():
        path, colon, value = line.partition(":")
        if not colon or not path.startswith(f"{FOLDER}/"):
            raise ValueError(f"{line!r} is not FILE:VALUE")
        values[path.removeprefix(f"{FOLDER}/")] = value
    if not values:
        raise ValueError("no key is set")
    return from_config_map(values)


def from_config_map(values: Mapping[str, str]) -> AgentConfig:
    """The configuration with these keys, and the agent's defaults for all others."""

    def on(key: str, default: str = "false") -> bool:
        return values.get(key, default).lower() == "true"

    protocol = values.get("tunnel-protocol", "vxlan")
    port = values.get("tunnel-port", "")
    chaining = values.get("cni-chaining-mode", "none")
    root = values.get("cgroup-root", _CGROUP_ROOT)
    encryption = next((kind for kind in _ENCRYPTION if on(f"enable-{kind}")), None)
    replaces_kube_proxy = on("kube-proxy-replacement")
    masquerades = frozenset(v for v in (4, 6) if on(f"enable-ipv{v}-masquerade", default="true"))
    needs_stack = not replaces_kube_proxy or encryption == "ipsec"
    needs_stack |= bool(masquerades) and not on("enable-bpf-masquerade")
    translates_sockets = on("bpf-lb-sock") or replaces_kube_proxy
    return AgentConfig(
        routing_mode=values.get("routing-mode", "tunnel"),
        tunnel_protocol=protocol,
        tunnel_port=_number(port, 16) or _DEFAULT_PORTS.get(protocol, 8472),
        ipam=values.get("ipam", "cluster-pool"),
        socket_lb=translates_sockets and not on("bpf-lb-sock-hostns-only"),
        host_socket_lb=translates_sockets,
        kube_proxy_replacement=replaces_kube_proxy,
        bpf_host_routing=not needs_stack and not on("enable-host-legacy-routing"),
        host_firewall=on("enable-host-firewall"),
        auto_direct_node_routes=on("auto-direct-node-routes"),
        endpoint_routes=on("enable-endpoint-routes"),
        datapath_mode=values.get("datapath-mode", "veth"),
        encryption=encryption,
        cni_chaining=chaining if chaining not in ("", "none", "portmap") else None,
        cluster_id=_number(values.get("cluster-id", ""), 16),
        underlay=values.get("underlay-protocol", "ipv4"),
        ipv4=on("enable-ipv4", default="true"),
        ipv6=on("enable-ipv6", default="true"),
        service_loopback=_service_loopback(values),
        cgroup_root=root if is_cgroup(root) else _CGROUP_ROOT,
        filter_priority=_number(values.get("bpf-filter-priority", ""), 16) or 1,
        masquerades=masquerades,
        bpf_masquerade=on("enable-bpf-masquerade"),
        not_masqueraded=tuple(filter(None, (values.get(f"ipv{v}-native-routing-cidr", "") for v in (4, 6)))),
        exceptions_to_masquerading=on("enable-ip-masq-agent"),
        egress_gateway=on("enable-egress-gateway") or on("enable-ipv4-egress-gateway"),
        conntrack_in_jiffies=on("enable-bpf-clock-probe"),
        monitor_flags=frozenset(
            values.get("monitor-aggregation-flags", "syn,fin,rst").replace(" ", ",").split(",")
        ),
    )


def _number(text: str, bits: int) -> int:
    """The number, or 0 if it is none of this size: an agent does not start with such a value."""
    number = int(text) if _DIGITS.fullmatch(text) else 0
    return number if number < 1 << bits else 0


def _service_loopback(values: Mapping[str, str]) -> IPv4Address:
    """An agent does not start with what is no IPv4 address."""
    found = parse_address(values.get("ipv4-service-loopback-address", ""))
    return found if isinstance(found, IPv4Address) else _SERVICE_LOOPBACK
