"""What the inventory watches: each resource with its conversion to a record, and the keys of its indexes.

Called by `inventory`.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from sys import intern

from ...addresses import IpAddress
from ...nodes.address import NodeAgentAddress
from ...plan.listed_address import cluster_range
from ...plan.objects import Agent, CiliumNode, Node, Pod
from ..objects import cilium_objects, endpoint_slices, kubernetes_objects
from ..objects.fields import Skips, controller, texts
from ..objects.node_agent_objects import node_agent
from .reflector import Resource

CONFIG_MAP = "cilium-config"


@dataclass(frozen=True, slots=True)
class PodEntry:
    """A pod and, if it runs one, its agent: Cilium's or ours. `controller`: the uid of the object that controls it."""

    pod: Pod
    agent: Agent | None
    controller: str
    node_agent: NodeAgentAddress | None = None


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """A node and its labels, which most runs do not need."""

    node: Node
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Address:
    """Index key: an object with this address."""

    ip: IpAddress


@dataclass(frozen=True, slots=True)
class PodCidr:
    """Index key: a node with this pod CIDR."""

    cidr: str


@dataclass(frozen=True, slots=True)
class PodCidrWithin:
    """Index key: a node with a pod CIDR in this range."""

    cidr: str


@dataclass(frozen=True, slots=True)
class AgentOf:
    """Index key: an agent on this node."""

    node: str


@dataclass(frozen=True, slots=True)
class NodeAgentOf:
    """Index key: a node agent on this node."""

    node: str


@dataclass(frozen=True, slots=True)
class Namespace:
    """Index key: a pod in this namespace."""

    name: str


@dataclass(frozen=True, slots=True)
class ControlledBy:
    """Index key: a pod that the object with this uid controls."""

    uid: str


def pods(cilium_namespace: str, node_namespace: str | None = None) -> Resource[PodEntry]:
    """All pods. Those of other namespaces than Cilium's are no agents, nor node agents outside their own."""

    def convert(raw: object, skips: Skips) -> PodEntry:
        pod = kubernetes_objects.pod(raw, skips)
        agent = cilium_objects.agent(raw) if pod.namespace == cilium_namespace else None
        own = node_agent(raw, skips) if pod.namespace == node_namespace else None
        return PodEntry(pod, agent, intern(controller(raw)), own)

    return Resource("pods", "/api/v1/pods", convert, index_keys=_pod_index_keys)


def _pod_index_keys(entry: PodEntry) -> list[Hashable]:
    addresses = entry.pod.ips if entry.pod.owns_address else ()
    return [
        Namespace(entry.pod.namespace),
        *map(Address, addresses),
        *([AgentOf(entry.agent.node)] if entry.agent else []),
        *([NodeAgentOf(entry.node_agent.node)] if entry.node_agent else []),
        *([ControlledBy(entry.controller)] if entry.controller else []),
    ]


def _pod_cidr_index_keys(node: CiliumNode) -> list[Hashable]:
    around = {PodCidrWithin(cluster_range(ip_network(cidr).network_address)) for cidr in node.pod_cidrs}
    return [*map(PodCidr, node.pod_cidrs), *around]


def config(namespace: str) -> Resource[Mapping[str, str]]:
    return Resource(
        f"ConfigMap {CONFIG_MAP} in {namespace}",
        f"/api/v1/namespaces/{namespace}/configmaps",
        lambda raw, _: texts(raw, "data"),
        query={"fieldSelector": f"metadata.name={CONFIG_MAP}"},
        required=True,
    )


def _node(raw: object, skips: Skips) -> NodeEntry:
    """Nodes share most of their labels, so each text is kept once."""
    labels = texts(raw, "metadata", "labels")
    return NodeEntry(
        kubernetes_objects.node(raw, skips), {intern(name): intern(value) for name, value in labels.items()}
    )


NODES = Resource(
    "nodes",
    "/api/v1/nodes",
    _node,
    index_keys=lambda entry: [*map(Address, dict.fromkeys(entry.node.internal_ips))],
)
SERVICES = Resource(
    "services",
    "/api/v1/services",
    kubernetes_objects.service,
    index_keys=lambda service: [*map(Address, service.cluster_ips)],
)
SLICES = Resource(
    "endpointslices",
    "/apis/discovery.k8s.io/v1/endpointslices",
    endpoint_slices.endpoint_slice,
    index_keys=lambda endpoint_slice: (endpoint_slice.service,),
    query={"labelSelector": endpoint_slices.SERVICE_NAME},
)
CILIUM_ENDPOINTS = Resource(
    "ciliumendpoints.cilium.io", "/apis/cilium.io/v2/ciliumendpoints", cilium_objects.cilium_endpoint
)
CILIUM_NODES = Resource(
    "ciliumnodes.cilium.io",
    "/apis/cilium.io/v2/ciliumnodes",
    cilium_objects.cilium_node,
    index_keys=_pod_cidr_index_keys,
)
