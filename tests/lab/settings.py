"""The settings of a lab: read from environment and flags by `cli`, stored while the lab runs."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

KUBERNETES_VERSION = "1.34.2"
CILIUM_MODULES = {"1.18.5": "cilium-1.18", "1.19.5": "cilium-1.19"}
"""Cilium version → folder in `modules/` that pins it."""

POD_CIDR = "10.244.0.0/16"
SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"
DNS_SERVICE_IP = "10.96.0.10"
API_PORT = 6443
NODE_SUBNET_PREFIX = "172.30.0"
POD_CIDR_V6 = "fd00::/104"
"""The chart's default pool; each node gets a /120 of it."""
POD_MASK_V6 = 120
SERVICE_CIDR_V6 = "fd00:10:96::/112"
NODE_SUBNET_PREFIX_V6 = "fd00:172:30:"
MAX_NODES = 9


class Mode(StrEnum):
    """Datapath mode: VXLAN overlay, VXLAN with kube-proxy replacement (socket LB), or native routing."""

    VXLAN = "vxlan"
    KPR = "kpr"
    NATIVE = "native"


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
    ip: Ip = Ip.IPV4

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
