"""Records of Kubernetes and Cilium objects: the basis of the *intent* witness.

Made by `kube.objects` from API objects, kept in an `Inventory`, copied into every `Plan`. IPv4 addresses
precede IPv6 addresses.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from ..addresses import IpAddress, IpFamily, family_of
from ..api.vocabulary import WorkloadKind
from .numbers import Count, EndpointId, EpochS, Identity, Port


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod. `running`: from its containerStatus. `other_user`: its securityContext sets another user
    than that of the pod.
    """

    name: str
    running: bool
    ports: Mapping[str, Port]  # named containerPorts â number
    other_user: bool = False


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod. `restarts`: the sum over its containers. `started_at`: the latest start of a running container. Both times
    are seconds since the epoch, 0 if unknown.
    """

    namespace: str
    name: str
    uid: str
    node: str
    phase: str
    ready: bool
    terminating: bool
    host_network: bool
    ips: tuple[IpAddress, ...]
    containers: tuple[Container, ...]
    default_container: str | None
    labels: Mapping[str, str]
    restarts: Count
    started_at: EpochS = 0.0
    created_at: EpochS = 0.0
    dns_policy: str = "ClusterFirst"

    @property
    def ip(self) -> IpAddress | None:
        """The first address; None if there is none yet."""
        return self.ips[0] if self.ips else None

    @property
    def owns_address(self) -> bool:
        """Whether its addresses are its own: not those of its node, and not reused since it ended."""
        return self.phase == "Running" and not self.host_network


@dataclass(frozen=True, slots=True)
class Node:
    """A node. `pod_cidrs` is `spec.podCIDRs`, which is the intent only if `ipam` is `kubernetes`. `zone`: "" if there
    is none.

    `ready_changed_at`, `cordoned_at`: seconds since the epoch, 0 if unknown or never.
    """

    name: str
    ready: bool
    unschedulable: bool
    internal_ips: tuple[IpAddress, ...]
    pod_cidrs: tuple[str, ...]
    ready_changed_at: EpochS = 0.0
    cordoned_at: EpochS = 0.0
    zone: str = ""


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a Service. `target_port` is a number or the name of a containerPort."""

    name: str
    port: Port
    protocol: str
    target_port: Port | str
    node_port: Port | None


@dataclass(frozen=True, slots=True)
class Service:
    """A Service. `cluster_ip` is None if it is `headless`, and for ExternalName; `cluster_ips`: one of each version of
    IP. `prefers_close`: its traffic should stay in its zone, according to the hints of its endpoints. `proxy_name`,
    `marked_headless`, `exposure`: labels and annotations that decide whether Cilium serves it (`exposure`).
    """

    namespace: str
    name: str
    uid: str
    type: str
    cluster_ip: IpAddress | None
    ports: tuple[ServicePort, ...]
    internal_traffic_policy: str
    session_affinity: str
    selects: bool  # has a selector
    selector: Mapping[str, str] = field(default_factory=dict)
    prefers_close: bool = False
    headless: bool = False
    proxy_name: str | None = None
    marked_headless: bool = False
    exposure: Mapping[str, str] = field(default_factory=dict)
    cluster_ips: tuple[IpAddress, ...] = ()

    def over(self, family: IpFamily) -> "Service":
        """The Service at its ClusterIP of this version of IP; if it has none, at its own."""
        ip = next((ip for ip in self.cluster_ips if family_of(ip) is family), self.cluster_ip)
        return replace(self, cluster_ip=ip)


@dataclass(frozen=True, slots=True)
class SliceEndpoint:
    """One endpoint of an EndpointSlice at one of its ports. `zones`: the zones that it is hinted for. `managed_by`: the
    controller of the slice, "" if there is none.
    """

    ip: IpAddress
    port_name: str
    port: Port
    protocol: str
    ready: bool
    serving: bool
    terminating: bool
    node: str | None
    pod: str | None  # name of targetRef when that is a Pod
    zones: tuple[str, ...] = ()
    slice_name: str = field(default="", compare=False)
    managed_by: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class CiliumEndpoint:
    """A CiliumEndpoint. `endpoint_id` is unique only on its node; `identity` is the security identity. `written_at`:
    the last write by any client, seconds since the epoch, 0 if unknown.
    """

    namespace: str
    name: str
    endpoint_id: EndpointId
    identity: Identity
    ips: tuple[IpAddress, ...]
    node_ip: IpAddress | None
    state: str
    written_at: EpochS = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class CiliumNode:
    """A CiliumNode. `pod_cidrs`: `spec.ipam.podCIDRs` plus the CIDRs of allocated pools."""

    name: str
    internal_ips: tuple[IpAddress, ...]
    cilium_internal_ips: tuple[IpAddress, ...]
    pod_cidrs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Agent:
    """The cilium-agent pod of a node. `incarnation` changes with the pod and with restarts of its container.

    `started_at`: start of its container; `ready_changed_at`: when its pod last became ready or not ready. Both are
    seconds since the epoch, 0 if unknown.
    """

    node: str
    namespace: str
    pod: str
    container: str
    ready: bool
    incarnation: str
    started_at: EpochS = 0.0
    ready_changed_at: EpochS = 0.0


MAX_ENDPOINTS = 5_000
"""Of a Service with more endpoints no plan is made: each run looks at all of them."""


class Inventory(Protocol):
    """Look-ups in a consistent view of the cluster; None means that the object does not exist.

    `stale_since`: since when changes may have been missed, seconds since the epoch; None while all watches are up.
    """

    @property
    def stale_since(self) -> float | None: ...

    def pod(self, namespace: str, name: str) -> Pod | None: ...
    def pod_with(self, ip: IpAddress) -> Pod | None: ...
    def node(self, name: str) -> Node | None: ...
    def node_with(self, ip: IpAddress) -> Node | None: ...
    def node_with_pod_cidr(self, cidr: str) -> str | None: ...
    def has_pod_cidr_within(self, cidr: str) -> bool: ...
    def node_labels(self, name: str) -> Mapping[str, str]: ...
    def service(self, namespace: str, name: str) -> Service | None: ...
    def service_with(self, ip: IpAddress) -> Service | None: ...
    def endpoint_count(self, namespace: str, service: str) -> int: ...
    def slice_endpoints(
        self, namespace: str, service: str, port: ServicePort
    ) -> tuple[SliceEndpoint, ...]: ...
    def endpoints_changed_at(self, namespace: str, service: str) -> float: ...
    def pods_in(self, namespace: str) -> Iterable[Pod]: ...
    def workload_pods(self, kind: WorkloadKind, namespace: str, name: str) -> tuple[Pod, ...] | None: ...
    def selected_pods(self, namespace: str, selector: Mapping[str, str]) -> tuple[Pod, ...]: ...
    def cilium_endpoint(self, namespace: str, pod: str) -> CiliumEndpoint | None: ...
    def cilium_node(self, name: str) -> CiliumNode | None: ...
    def agent(self, node: str) -> Agent | None: ...
    def cilium_config(self) -> Mapping[str, str]: ...
