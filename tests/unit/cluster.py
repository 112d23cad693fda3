"""A small cluster for tests: two nodes, xwing on node2, deathstar-0 on node1, deathstar-1 on node2, one Service."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from datapath_probe.addresses import IpAddress
from datapath_probe.api.probe import Probe
from datapath_probe.api.vocabulary import WorkloadKind
from datapath_probe.plan.listed_address import cluster_range
from datapath_probe.plan.objects import (
    Agent,
    CiliumEndpoint,
    CiliumNode,
    Container,
    Node,
    Pod,
    Service,
    ServicePort,
    SliceEndpoint,
)
from datapath_probe.plan.pairs.pairs import pairs_of
from datapath_probe.plan.plan import CannotRun, Plan
from datapath_probe.plan.resolve import resolve as resolve_pair
from datapath_probe.plan.restrictions import UNRESTRICTED, Restrictions

VXLAN = {
    "routing-mode": "tunnel",
    "tunnel-protocol": "vxlan",
    "ipam": "kubernetes",
    "kube-proxy-replacement": "false",
}
IDENTITY = {"xwing": 27728, "tiefighter": 11111, "deathstar": 57017}


def pod(name: str, ip: str, node: str, **changes: object) -> Pod:
    """A running pod of one container that has curl."""
    values: dict[str, object] = {
        "namespace": "default",
        "name": name,
        "uid": f"uid-{name}",
        "node": node,
        "phase": "Running",
        "ready": True,
        "terminating": False,
        "host_network": False,
        "ips": (ip_address(ip),) if ip else (),
        "containers": (Container("spaceship", running=True, ports={}),),
        "default_container": None,
        "labels": {},
        "restarts": 0,
    }
    return Pod(**(values | changes))  # type: ignore[arg-type]  # a test's shorthand


def slice_endpoint(name: str, ip: str, node: str, **changes: object) -> SliceEndpoint:
    """A ready endpoint of deathstar."""
    values: dict[str, object] = {
        "ip": ip_address(ip),
        "port_name": "",
        "port": 80,
        "protocol": "TCP",
        "ready": True,
        "serving": True,
        "terminating": False,
        "node": node,
        "pod": name,
    }
    return SliceEndpoint(**(values | changes))  # type: ignore[arg-type]  # a test's shorthand


DEATHSTAR = Service(
    namespace="default",
    name="deathstar",
    uid="uid-service",
    type="ClusterIP",
    cluster_ip=ip_address("10.96.57.217"),
    ports=(ServicePort("", 80, "TCP", 80, None),),
    internal_traffic_policy="Cluster",
    session_affinity="None",
    selects=True,
)


@dataclass
class Cluster:
    """An `Inventory` in plain dictionaries, to be changed by tests."""

    pods: dict[str, Pod] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    endpoints: dict[str, tuple[SliceEndpoint, ...]] = field(default_factory=dict)
    cilium_endpoints: dict[str, CiliumEndpoint] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    cilium_nodes: dict[str, CiliumNode] = field(default_factory=dict)
    labels: dict[str, dict[str, str]] = field(default_factory=dict)  # of nodes
    workloads: dict[str, set[str]] = field(default_factory=dict)  # "KIND NAMESPACE/NAME" → names of pods
    agents: dict[str, Agent] = field(default_factory=dict)
    config: dict[str, str] = field(default_factory=lambda: dict(VXLAN))
    changed_at: dict[str, float] = field(default_factory=dict)
    stale_since: float | None = None

    def pod(self, namespace: str, name: str) -> Pod | None:
        return self.pods.get(f"{namespace}/{name}")

    def pod_with(self, ip: IpAddress) -> Pod | None:
        return next((pod for pod in self.pods.values() if ip in pod.ips and pod.owns_address), None)

    def node(self, name: str) -> Node | None:
        return self.nodes.get(name)

    def node_with(self, ip: IpAddress) -> Node | None:
        return next((node for node in self.nodes.values() if ip in node.internal_ips), None)

    def node_labels(self, name: str) -> Mapping[str, str]:
        return self.labels.get(name, {})

    def node_with_pod_cidr(self, cidr: str) -> str | None:
        return next((node.name for node in self.cilium_nodes.values() if cidr in node.pod_cidrs), None)

    def has_pod_cidr_within(self, cidr: str) -> bool:
        known = (ip_network(known) for node in self.cilium_nodes.values() for known in node.pod_cidrs)
        return any(cluster_range(network.network_address) == cidr for network in known)

    def service(self, namespace: str, name: str) -> Service | None:
        return self.services.get(f"{namespace}/{name}")

    def service_with(self, ip: IpAddress) -> Service | None:
        return next((service for service in self.services.values() if service.cluster_ip == ip), None)

    def endpoint_count(self, namespace: str, service: str) -> int:
        return len(self.endpoints.get(f"{namespace}/{service}", ()))

    def slice_endpoints(self, namespace: str, service: str, port: ServicePort) -> tuple[SliceEndpoint, ...]:
        return self.endpoints.get(f"{namespace}/{service}", ())

    def endpoints_changed_at(self, namespace: str, service: str) -> float:
        return self.changed_at.get(f"{namespace}/{service}", 0.0)

    def pods_in(self, namespace: str) -> Iterator[Pod]:
        return (pod for pod in self.pods.values() if pod.namespace == namespace)

    def workload_pods(self, kind: WorkloadKind, namespace: str, name: str) -> tuple[Pod, ...] | None:
        names = self.workloads.get(f"{kind} {namespace}/{name}")
        if names is None:
            return None
        return tuple(pod for pod in self.pods_in(namespace) if pod.name in names)

    def selected_pods(self, namespace: str, selector: Mapping[str, str]) -> tuple[Pod, ...]:
        pods = (pod for pod in self.pods.values() if pod.namespace == namespace)
        return tuple(pod for pod in pods if selector and selector.items() <= pod.labels.items())

    def cilium_endpoint(self, namespace: str, pod: str) -> CiliumEndpoint | None:
        return self.cilium_endpoints.get(f"{namespace}/{pod}")

    def cilium_node(self, name: str) -> CiliumNode | None:
        return self.cilium_nodes.get(name)

    def agent(self, node: str) -> Agent | None:
        return self.agents.get(node)

    def cilium_config(self) -> Mapping[str, str]:
        return self.config


def cluster() -> Cluster:
    """The whole cluster, healthy."""
    made = Cluster()
    for number, name in ((1, "node1"), (2, "node2")):
        cidr = f"10.244.{number - 1}.0/24"
        node_ip, router = map(ip_address, (f"172.30.0.1{number}", f"10.244.{number - 1}.63"))
        made.nodes[name] = Node(name, True, False, (node_ip,), (cidr,))
        made.cilium_nodes[name] = CiliumNode(name, (node_ip,), (router,), (cidr,))
        made.agents[name] = Agent(
            name, "kube-system", f"cilium-{number}", "cilium-agent", True, f"agent-{number}/0"
        )
    places = [
        ("xwing", "10.244.1.27", "node2", 1213),
        ("deathstar-0", "10.244.0.172", "node1", 689),
        ("deathstar-1", "10.244.1.101", "node2", 580),
    ]
    for name, ip, node, endpoint_id in places:
        made.pods[f"default/{name}"] = pod(name, ip, node)
        made.cilium_endpoints[f"default/{name}"] = CiliumEndpoint(
            namespace="default",
            name=name,
            endpoint_id=endpoint_id,
            identity=IDENTITY[name.split("-")[0]],
            ips=(ip_address(ip),),
            node_ip=made.cilium_nodes[node].internal_ips[0],
            state="ready",
        )
    made.services["default/deathstar"] = DEATHSTAR
    made.endpoints["default/deathstar"] = (
        slice_endpoint("deathstar-0", "10.244.0.172", "node1"),
        slice_endpoint("deathstar-1", "10.244.1.101", "node2"),
    )
    return made


def probe(destination: Mapping[str, object], **spec: object) -> Probe:
    """A probe of xwing's."""
    made = Probe.from_object(
        {
            "metadata": {"name": "probe", "namespace": "default", "uid": "uid-probe", "generation": 1},
            "spec": {"source": {"pod": "xwing"}, "destination": destination, **spec},
        }
    )
    assert isinstance(made, Probe), made
    return made


def resolve(
    probe: Probe, inventory: Cluster, restrictions: Restrictions = UNRESTRICTED
) -> Sequence[Plan | CannotRun]:
    """The plans of all pairs of a probe."""
    pairs = pairs_of(probe, inventory)
    if isinstance(pairs, CannotRun):
        return (pairs,)
    return [resolve_pair(pair, probe, inventory, restrictions) for _, pair in pairs.turns(0)]
