"""How Cilium is configured: of a node, as its agent runs with, and of the cluster, as the ConfigMap says.

The agent's own files win: they hold the overrides of CiliumNodeConfig, and what was true when it started.
Source: Cilium 1.16–1.20 `pkg/option/config.go`, `pkg/kpr` (1.18: `daemon/cmd/kube_proxy_replacement.go`),
`pkg/datapath/tunnel`; chart `cilium-agent/daemonset.yaml` (`--config-dir`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...evidence.question import Question
from ...evidence.reading import Answer, Unavailable
from ..parsing import parser

_FOLDER = "/tmp/cilium/config-map"  # noqa: S108  # the agent's own
_DEFAULT_PORTS = {"vxlan": 8472, "geneve": 6081}
_ENCRYPTION = ("ipsec", "wireguard", "ztunnel")
# Asked for in two questions: recorded answers belong to the first as it is.
_KEYS = (
    "auto-direct-node-routes",
    "bpf-lb-sock",
    "bpf-lb-sock-hostns-only",
    "datapath-mode",
    "enable-endpoint-routes",
    "enable-ipsec",
    "enable-ipv4",
    "enable-ipv6",
    "enable-wireguard",
    "ipam",
    "kube-proxy-replacement",
    "monitor-aggregation-flags",
    "routing-mode",
    "tunnel-port",
    "tunnel-protocol",
)
_MORE_KEYS = (
    "cluster-id",
    "cni-chaining-mode",
    "enable-bpf-clock-probe",
    "enable-bpf-masquerade",
    "enable-host-legacy-routing",
    "enable-ipv4-masquerade",
    "enable-ipv6-masquerade",
    "enable-ztunnel",
    "ipv4-service-loopback-address",
    "underlay-protocol",
)


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """`socket_lb`: connect() translates Services, for pods too, so that no packet carries a ClusterIP.

    `kube_proxy_replacement`: Cilium serves NodePorts too. `bpf_host_routing`: between pods and the wire, packets pass
    the host's stack by. `cni_chaining`: the plugin that makes the pods' interfaces in Cilium's place.
    """

    routing_mode: str  # tunnel | native
    tunnel_protocol: str  # vxlan | geneve
    tunnel_port: int
    ipam: str
    socket_lb: bool
    kube_proxy_replacement: bool
    bpf_host_routing: bool
    auto_direct_node_routes: bool
    endpoint_routes: bool
    datapath_mode: str  # veth | netkit | netkit-l2
    encryption: str | None  # ipsec | wireguard | ztunnel
    cni_chaining: str | None
    cluster_id: int
    underlay: str  # ipv4 | ipv6
    ipv4: bool
    ipv6: bool
    monitor_flags: frozenset[str]  # TCP flags that conntrack notes; "all" or names
    service_loopback: str  # the source address of a pod that reaches itself through a Service
    conntrack_in_jiffies: bool  # maybe: the agent then probes which clock it can use

    @property
    def routes_to_endpoints(self) -> bool:
        """Whether the host's stack hands packets to pods, by a route for each, instead of Cilium's programs."""
        return self.endpoint_routes and not self.bpf_host_routing


def question(node: str) -> Question:
    """The keys that matter most, as files of the agent; grep leaves out those that do not exist."""
    return _question(node, _KEYS)


def more(node: str) -> Question:
    """The other keys that matter."""
    return _question(node, _MORE_KEYS)


def _question(node: str, keys: Sequence[str]) -> Question:
    files = tuple(f"{_FOLDER}/{key}" for key in keys)
    return Question(node, ("grep", "-sH", "", *files), max_age_s=60.0)


@parser("grep of the agent's configuration", exit_codes=(0, 2))  # 2: some files do not exist
def parse(answer: Answer) -> Mapping[str, str]:
    """The keys that are set, with their values; ValueError inside if none is, or a line has no file name."""
    values = _values(answer)
    if not values:
        raise ValueError("not one key is set")
    return values


@parser("grep of the agent's configuration", exit_codes=(0, 2))
def parse_more(answer: Answer) -> Mapping[str, str]:
    """The same of the answer to `more`, of which none need be set."""
    return _values(answer)


def _values(answer: Answer) -> dict[str, str]:
    values: dict[str, str] = {}
    for line in answer.stdout.decode().splitlines():
        path, colon, value = line.partition(":")
        if not colon or not path.startswith(f"{_FOLDER}/"):
            raise ValueError(f"{line!r} is not FILE:VALUE")
        values[path.removeprefix(f"{_FOLDER}/")] = value
    return values


def of_node(
    keys: Mapping[str, str] | Unavailable,
    other_keys: Mapping[str, str] | Unavailable,
    config_map: Mapping[str, str],
) -> AgentConfig | Unavailable:
    """What a node's agent runs with, by the answers to both questions. Other keys that could not be asked for are taken
    to be those of the ConfigMap.
    """
    if isinstance(keys, Unavailable):
        return keys
    if isinstance(other_keys, Unavailable):
        other_keys = {key: config_map[key] for key in _MORE_KEYS if key in config_map}
    return from_config_map({**other_keys, **keys})


def from_config_map(values: Mapping[str, str]) -> AgentConfig:
    """The configuration that these keys make, with the agent's defaults for those that are missing."""

    def on(key: str, default: str = "false") -> bool:
        return values.get(key, default).lower() == "true"

    protocol = values.get("tunnel-protocol", "vxlan")
    port = values.get("tunnel-port", "")
    chaining = values.get("cni-chaining-mode", "none")
    cluster_id = values.get("cluster-id", "0")
    encryption = next((kind for kind in _ENCRYPTION if on(f"enable-{kind}")), None)
    replaces_kube_proxy = on("kube-proxy-replacement")
    masquerades = on("enable-ipv4-masquerade", default="true") or on("enable-ipv6-masquerade", default="true")
    needs_stack = not replaces_kube_proxy or encryption == "ipsec"
    needs_stack |= masquerades and not on("enable-bpf-masquerade")
    everywhere = on("bpf-lb-sock") or replaces_kube_proxy
    return AgentConfig(
        routing_mode=values.get("routing-mode", "tunnel"),
        tunnel_protocol=protocol,
        tunnel_port=int(port) if port.isdecimal() and port != "0" else _DEFAULT_PORTS.get(protocol, 8472),
        ipam=values.get("ipam", "cluster-pool"),
        socket_lb=everywhere and not on("bpf-lb-sock-hostns-only"),
        kube_proxy_replacement=replaces_kube_proxy,
        bpf_host_routing=not needs_stack and not on("enable-host-legacy-routing"),
        auto_direct_node_routes=on("auto-direct-node-routes"),
        endpoint_routes=on("enable-endpoint-routes"),
        datapath_mode=values.get("datapath-mode", "veth"),
        encryption=encryption,
        cni_chaining=chaining if chaining not in ("", "none", "portmap") else None,
        cluster_id=int(cluster_id) if cluster_id.isdecimal() else 0,
        underlay=values.get("underlay-protocol", "ipv4"),
        ipv4=on("enable-ipv4", default="true"),
        ipv6=on("enable-ipv6", default="true"),
        service_loopback=values.get("ipv4-service-loopback-address", "169.254.42.1"),
        conntrack_in_jiffies=on("enable-bpf-clock-probe"),
        monitor_flags=frozenset(
            values.get("monitor-aggregation-flags", "syn,fin,rst").replace(" ", ",").split(",")
        ),
    )
