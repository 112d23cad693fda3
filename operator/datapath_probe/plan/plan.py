"""The plan of one path: source, destination, request and expectation, with the Kubernetes objects behind them.

Made by `resolve`, read by `runs`, `diagnose` and `publish`. A `Plan` is complete: diagnosis needs no other objects of
the cluster, so a saved plan can be replayed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..addresses import IpAddress, IpFamily, family_of, with_port
from ..api.reasons import Reason
from ..api.spec.source import Client
from .numbers import Port
from .objects import Agent, CiliumEndpoint, CiliumNode, Node, Pod, Service, ServicePort
from .request import Expectation, Request


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A node as Kubernetes and Cilium describe it; None for an object that does not exist."""

    name: str
    node: Node | None
    cilium: CiliumNode | None
    agent: Agent | None

    @property
    def addresses(self) -> frozenset[IpAddress]:
        """The node's own addresses, including that of Cilium's router."""
        known = self.node.internal_ips if self.node else ()
        of_cilium = (*self.cilium.internal_ips, *self.cilium.cilium_internal_ips) if self.cilium else ()
        return frozenset((*known, *of_cilium))


@dataclass(frozen=True, slots=True)
class PodFacts:
    """A pod with its CiliumEndpoint and its node."""

    pod: Pod
    endpoint: CiliumEndpoint | None
    node: NodeFacts

    @property
    def ip(self) -> IpAddress:
        """The first address of the pod. Raises ValueError if it has none; no such pod is in a plan."""
        if not self.pod.ips:
            raise ValueError(f"pod {self.pod.namespace}/{self.pod.name} has no address")
        return self.pod.ips[0]

    def over(self, family: IpFamily) -> "PodFacts":
        """The pod with its addresses of this version of IP first."""
        # stable: keeps the order within each version
        ips = tuple(sorted(self.pod.ips, key=lambda ip: family_of(ip) is not family))
        return replace(self, pod=replace(self.pod, ips=ips))

    @property
    def addresses(self) -> frozenset[IpAddress]:
        """All its source addresses: in the host network, any address of the node."""
        return frozenset(self.pod.ips) | (self.node.addresses if self.pod.host_network else frozenset())


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The network of a node, which has no endpoint; `pod`: the pod in it that answers, if known."""

    node: NodeFacts
    pod_facts: PodFacts | None


@dataclass(frozen=True, slots=True)
class Backend:
    """One address that may answer. `target`: its owner, a pod with its own network or a host; None: outside the
    cluster. `wrongly_listed`: why no ready endpoint can have this address, as a sentence; "" if one can.
    """

    ip: IpAddress
    port: Port
    target: PodFacts | HostFacts | None
    wrongly_listed: str = ""

    @property
    def pod_facts(self) -> PodFacts | None:
        """The pod that answers, in its own network or in the host network."""
        return self.target.pod_facts if isinstance(self.target, HostFacts) else self.target

    @property
    def host(self) -> NodeFacts | None:
        """The node, if the address is one of the host network."""
        return self.target.node if isinstance(self.target, HostFacts) else None

    @property
    def label(self) -> str:
        """The address and, if known, the pod, for display."""
        pod, address = self.pod_facts.pod if self.pod_facts else None, with_port(self.ip, self.port)
        return f"{pod.namespace}/{pod.name} ({address})" if pod else address

    @property
    def place(self) -> NodeFacts | None:
        """The node that the address is on; None: outside the cluster."""
        return self.target.node if self.target else None


@dataclass(frozen=True, slots=True)
class Frontend:
    """The frontend of a Service. `ip` is the ClusterIP, or with a `node_port` an address of the source's node.
    `not_served`: why Cilium does not load-balance it there, as a sentence; "" if it does.
    """

    service: Service
    port: ServicePort
    ip: IpAddress
    node_port: Port | None = None
    not_served: str = ""

    @property
    def number(self) -> int:
        """The port that clients connect to."""
        return self.node_port or self.port.port

    @property
    def address(self) -> str:
        """`ip:number`."""
        return with_port(self.ip, self.number)


@dataclass(frozen=True, slots=True)
class PodTarget:
    """A pod, requested at its own address."""

    display: str  # namespace/name:port
    backend: Backend

    @property
    def backends(self) -> tuple[Backend, ...]:
        """The pod itself."""
        return (self.backend,)


@dataclass(frozen=True, slots=True)
class ServiceTarget:
    """A Service, requested at its frontend. `unready`: if it has no backend, the endpoints that are not Ready."""

    display: str
    frontend: Frontend
    backends: tuple[Backend, ...]
    unready: tuple[Backend, ...] = ()


@dataclass(frozen=True, slots=True)
class HeadlessTarget:
    """A headless Service: its name resolves to its backends, and curl picks one."""

    display: str
    service: Service
    backends: tuple[Backend, ...]


@dataclass(frozen=True, slots=True)
class AddressTarget:
    """A host outside the cluster, requested by name or address. `backends`: its address; none for a name, which is
    resolved in the source pod.
    """

    display: str
    host: str
    port: Port
    backends: tuple[Backend, ...]


Target = PodTarget | ServiceTarget | HeadlessTarget | AddressTarget
"""What a plan leads to. A pod of a workload is a `PodTarget` too."""


@dataclass(frozen=True, slots=True)
class Nameserver:
    """The cluster's DNS, as the Service that pods query at UDP port 53."""

    frontend: Frontend
    backends: tuple[Backend, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """One pair of source and destination, ready to run. `config` is the ConfigMap `cilium-config`.

    `nameserver`: None if the pod does not use the cluster's DNS, or if it was not found. `client`: where curl runs;
    bundles of earlier versions do not have it.
    """

    probe: str  # namespace/name
    source: PodFacts
    container: str
    target: Target
    request: Request
    expect: Expectation
    config: Mapping[str, str]
    nameserver: Nameserver | None = None
    client: Client = Client.CONTAINER

    @property
    def destination(self) -> str:
        """The destination, for display: namespace/name:port."""
        return self.target.display

    @property
    def family(self) -> IpFamily:
        """The version of IP of the path: that of the address that the source sends from."""
        return family_of(self.source.ip)

    @property
    def backends(self) -> tuple[Backend, ...]:
        """The addresses that may answer."""
        return self.target.backends

    def may_reach(self, backend: Backend | None) -> bool:
        """Whether this backend is a planned one; a name outside the cluster may resolve to any address."""
        return backend in self.backends or (backend is not None and isinstance(self.target, AddressTarget))

    @property
    def frontend(self) -> Frontend | None:
        """The frontend of the Service; None if the target has none."""
        return self.target.frontend if isinstance(self.target, ServiceTarget) else None

    @property
    def service(self) -> Service | None:
        """The Service that is requested, if any."""
        match self.target:
            case ServiceTarget(frontend=frontend):
                return frontend.service
            case HeadlessTarget(service=service):
                return service
        return None

    @property
    def by_name(self) -> bool:
        """Whether the request uses a name, which has to be resolved."""
        match self.target:
            case ServiceTarget(frontend=frontend):
                return not frontend.node_port
            case HeadlessTarget():
                return True
            case AddressTarget(backends=backends):
                return not backends
        return False

    @property
    def nodes(self) -> tuple[NodeFacts, ...]:
        """Every node that may be part of the path, the source's first."""
        nodes = (self.source.node, *(backend.place for backend in self.backends if backend.place))
        return tuple({node.name: node for node in nodes}.values())

    @property
    def agents(self) -> tuple[Agent, ...]:
        """The agents on those nodes and on those of the name servers."""
        nameservers = self.nameserver.backends if self.nameserver else ()
        nodes = (*self.nodes, *(backend.place for backend in nameservers if backend.place))
        return tuple({node.name: node.agent for node in nodes if node.agent}.values())

    @property
    def pair(self) -> tuple[str, str, IpFamily]:
        """Identifies one of the probe's paths: source and destination by name, independent of re-created pods, and the
        version of IP.
        """
        return f"{self.source.pod.namespace}/{self.source.pod.name}", self.destination, self.family


@dataclass(frozen=True, slots=True)
class CannotRun:
    """No run is possible now. This is not a failure of the path: the verdict is Unknown with this reason."""

    reason: Reason
    message: str
    source: str = ""
    destination: str = ""
