"""The settings of a lab: read from environment and flags by `cli`, stored while the lab runs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

KUBERNETES_VERSION = "1.34.2"
CILIUM_MODULES = {"1.18.5": "cilium-1.18", "1.19.5": "cilium-1.19"}
"""Cilium version → folder in `modules/` that pins it."""

POD_CIDR = "10.0.0.0/8"
"""The chart's default pool; each node gets a /24 of it from cilium-operator."""
SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"
DNS_SERVICE_IP = "10.96.0.10"
API_PORT = 6443
NODE_SUBNET_PREFIX = "172.30.0"
ROUTER_IP = f"{NODE_SUBNET_PREFIX}.1"
# A range for documentation (RFC 5737).
OUTSIDE_IP = "203.0.113.10"
OUTSIDE_ROUTER_IP = "203.0.113.1"
POD_CIDR_V6 = "fd00::/104"
"""The chart's default pool; each node gets a /120 of it."""
SERVICE_CIDR_V6 = "fd00:10:96::/112"
NODE_SUBNET_PREFIX_V6 = "fd00:172:30:"
MAX_NODES = 9


class Mode(StrEnum):
    """Datapath mode: VXLAN overlay, VXLAN with kube-proxy replacement (socket LB), native routing, or what clusters in
    production have: VXLAN with kube-proxy replacement, BPF masquerading and, with these two, BPF host routing.
    """

    VXLAN = "vxlan"
    KPR = "kpr"
    NATIVE = "native"
    PRODUCTION = "production"

    @property
    def replaces_kube_proxy(self) -> bool:
        """Whether Cilium serves NodePorts, and the sockets of pods choose the backends of Services."""
        return self in {Mode.KPR, Mode.PRODUCTION}


class Attach(StrEnum):
    """How Cilium attaches its programs to devices: tcx links or classic tc filters."""

    TCX = "tcx"
    TC = "tc"


class Ip(StrEnum):
    """The versions of IP that nodes, pods and Services have addresses of."""

    IPV4 = "ipv4"
    DUAL = "dual"


class SettingsError(ValueError):
    """An invalid setting; the message lists the valid values."""


@dataclass(frozen=True, slots=True)
class Settings:
    mode: Mode = Mode.VXLAN
    attach: Attach = Attach.TCX
    cilium: str = "1.18.5"
    nodes: int = 2
    endpoint_routes: bool = False
    """A route per endpoint and a program towards it, instead of a redirect between devices."""
    hubble: bool = True
    """Without it, `cilium-dbg monitor` is the only source of events."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """More values of Cilium's chart, by name."""
    ip: Ip = Ip.IPV4
    slim_agent: bool = False
    """No shell, perl and bpftool in the container of Cilium's agent, as in images to come."""

    def __post_init__(self) -> None:
        if self.cilium not in CILIUM_MODULES:
            raise SettingsError(f"Cilium {self.cilium} is not one of {', '.join(CILIUM_MODULES)}")
        if not 1 <= self.nodes <= MAX_NODES:
            raise SettingsError(f"a lab has 1 to {MAX_NODES} nodes, not {self.nodes}")

    @property
    def node_names(self) -> tuple[str, ...]:
        return tuple(f"node{i}" for i in range(1, self.nodes + 1))

    @property
    def dual_stack(self) -> bool:
        return self.ip is Ip.DUAL

    def per_family(self, ipv4: str, ipv6: str) -> str:
        """The values of the lab's versions of IP, as flags of Kubernetes take them."""
        return f"{ipv4},{ipv6}" if self.dual_stack else ipv4

    @property
    def tunneled(self) -> bool:
        """Whether packets between nodes are encapsulated."""
        return self.mode is not Mode.NATIVE and self.values.get("routingMode") != "native"

    @property
    def tunnels_to_hosts(self) -> bool:
        """Whether packets of pods to another node are encapsulated: its firewall needs their identity."""
        return self.tunneled and "hostFirewall.enabled" in self.values

    @property
    def balances_per_packet(self) -> bool:
        """Whether the programs of pods choose the backends of Services; otherwise their sockets do."""
        return not self.mode.replaces_kube_proxy or "socketLB.hostNamespaceOnly" in self.values

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Self:
        kinds = {"mode": Mode(raw["mode"]), "attach": Attach(raw["attach"]), "ip": Ip(raw["ip"])}
        return cls(**{**raw, **kinds})


def node_ip(node: str) -> str:
    return f"{NODE_SUBNET_PREFIX}.{_node_number(node)}"


def node_ip_v6(node: str) -> str:
    return f"{NODE_SUBNET_PREFIX_V6}:{_node_number(node)}"


def _node_number(node: str) -> int:
    return 10 + int(node.removeprefix("node"))
