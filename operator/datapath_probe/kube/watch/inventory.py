"""The cluster as the API server reports it, kept in sync by watches: implements the `Inventory` of `plan`.

In: an `ApiClient`. Out: records in O(1), and whether they are complete (for readiness) and current (for
diagnosis). Run by `control`, read by `runs`. Only records are cached, never the API objects they were converted from.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kubernetes.aio.client import ApiClient

from ...addresses import IpAddress
from ...api.vocabulary import WorkloadKind
from ...nodes.address import NodeAgentAddress
from ...plan.objects import (
    Agent,
    CiliumEndpoint,
    CiliumNode,
    Node,
    Pod,
    Service,
    ServicePort,
    SliceEndpoint,
)
from ..objects.fields import Skips
from . import resources
from .reflector import Reflector
from .resources import (
    CONFIG_MAP,
    Address,
    AgentOf,
    ControlledBy,
    Namespace,
    NodeAgentOf,
    PodCidr,
    PodCidrWithin,
)
from .workloads import Workloads


class ClusterInventory:
    """Implements `plan.objects.Inventory` while `run` runs. `clock`: seconds since the epoch.

    `skips` counts invalid values of objects by field; each field is logged once. Only pods in Cilium's namespace are
    taken for agents, and only those in `node_namespace` for node agents: elsewhere any user could label a pod as one.
    """

    def __init__(
        self,
        client: ApiClient,
        cilium_namespace: str,
        clock: Callable[[], float] = time.time,
        node_namespace: str | None = None,
    ) -> None:
        self.skips: Skips = Skips()
        self._cilium_namespace = cilium_namespace
        self._pods = Reflector(client, resources.pods(cilium_namespace, node_namespace), self.skips, clock)
        self._nodes = Reflector(client, resources.NODES, self.skips, clock)
        self._services = Reflector(client, resources.SERVICES, self.skips, clock)
        self._slices = Reflector(client, resources.SLICES, self.skips, clock)
        self._cilium_endpoints = Reflector(client, resources.CILIUM_ENDPOINTS, self.skips, clock)
        self._cilium_nodes = Reflector(client, resources.CILIUM_NODES, self.skips, clock)
        self._workloads = Workloads(client, self.skips, clock)
        self._config = Reflector(client, resources.config(cilium_namespace), self.skips, clock)

    async def run(self) -> None:
        """Keep all resources in sync; never returns."""
        async with asyncio.TaskGroup() as group:
            for reflector in self._reflectors:
                group.create_task(reflector.run(), name=f"inventory {reflector.resource.name}")

    async def wait_synced(self) -> None:
        """Return once every resource has been listed completely."""
        for reflector in self._reflectors:
            await reflector.synced.wait()

    @property
    def unsynced(self) -> Mapping[str, str]:
        """The resources that have never been complete, each with the reason. Empty: ready."""
        return {r.resource.name: r.problem for r in self._reflectors if not r.synced.is_set()}

    @property
    def stale_since(self) -> float | None:
        """Since when a change may have been missed (seconds since the epoch); None while all watches are up."""
        return min((r.stale_since for r in self._reflectors if r.stale_since is not None), default=None)

    def pod(self, namespace: str, name: str) -> Pod | None:
        """A pod by name."""
        entry = self._pods.cache.get((namespace, name))
        return entry.pod if entry else None

    def pod_with(self, ip: IpAddress) -> Pod | None:
        """The running pod with this address in its own network namespace; the address is unique."""
        return next((entry.pod for entry in self._pods.cache.by_index(Address(ip))), None)

    def node(self, name: str) -> Node | None:
        """A node by name."""
        entry = self._nodes.cache.get(("", name))
        return entry.node if entry else None

    def node_with(self, ip: IpAddress) -> Node | None:
        """The node with this internal address."""
        return next((entry.node for entry in self._nodes.cache.by_index(Address(ip))), None)

    def node_labels(self, name: str) -> Mapping[str, str]:
        """The labels of a node."""
        entry = self._nodes.cache.get(("", name))
        return entry.labels if entry else {}

    def node_with_pod_cidr(self, cidr: str) -> str | None:
        """The name of the node whose CiliumNode has this pod CIDR."""
        return next((node.name for node in self._cilium_nodes.cache.by_index(PodCidr(cidr))), None)

    def has_pod_cidr_within(self, cidr: str) -> bool:
        """Whether a CiliumNode has a pod CIDR in this range, which is of the size of a cluster's."""
        return bool(self._cilium_nodes.cache.by_index(PodCidrWithin(cidr)))

    def service(self, namespace: str, name: str) -> Service | None:
        """A Service by name."""
        return self._services.cache.get((namespace, name))

    def service_with(self, ip: IpAddress) -> Service | None:
        """The Service with this ClusterIP."""
        return next(iter(self._services.cache.by_index(Address(ip))), None)

    def endpoint_count(self, namespace: str, service: str) -> int:
        """The number of endpoints in all slices of a Service."""
        slices = self._slices.cache.by_index((namespace, service))
        return sum(len(endpoint_slice.endpoints) for endpoint_slice in slices)

    def slice_endpoints(self, namespace: str, service: str, port: ServicePort) -> tuple[SliceEndpoint, ...]:
        """The endpoints at this port in all slices of a Service; one that is temporarily in two slices counts once."""
        slices = self._slices.cache.by_index((namespace, service))
        return tuple(dict.fromkeys(endpoint for each in slices for endpoint in each.at(port)))

    def endpoints_changed_at(self, namespace: str, service: str) -> float:
        """When a slice of the Service was last written, seconds since the epoch; 0 if unknown."""
        slices = self._slices.cache.by_index((namespace, service))
        return max((endpoint_slice.written_at for endpoint_slice in slices), default=0.0)

    def pods_in(self, namespace: str) -> Iterator[Pod]:
        """All pods of a namespace."""
        return (entry.pod for entry in self._pods.cache.by_index(Namespace(namespace)))

    def workload_pods(self, kind: WorkloadKind, namespace: str, name: str) -> tuple[Pod, ...] | None:
        """The pods of a workload, ready or not; None if it does not exist."""
        controllers = self._workloads.controllers(kind, namespace, name)
        if controllers is None:
            return None
        by_index = self._pods.cache.by_index
        pods = (entry.pod for uid in controllers for entry in by_index(ControlledBy(uid)))
        return tuple(pod for pod in pods if pod.namespace == namespace)  # others may claim any owner

    def selected_pods(self, namespace: str, selector: Mapping[str, str]) -> tuple[Pod, ...]:
        """The pods that match the selector of a Service, ready or not."""
        wanted = selector.items()
        return tuple(pod for pod in self.pods_in(namespace) if wanted and wanted <= pod.labels.items())

    def cilium_endpoint(self, namespace: str, pod: str) -> CiliumEndpoint | None:
        """The CiliumEndpoint of a pod; it has the pod's name."""
        return self._cilium_endpoints.cache.get((namespace, pod))

    def cilium_node(self, name: str) -> CiliumNode | None:
        """A CiliumNode by name."""
        return self._cilium_nodes.cache.get(("", name))

    def agent(self, node: str) -> Agent | None:
        """The agent of a node; while one pod replaces another, the ready one."""
        agents = [entry.agent for entry in self._pods.cache.by_index(AgentOf(node)) if entry.agent]
        return max(agents, key=lambda agent: agent.ready, default=None)

    def node_agent(self, node: str) -> NodeAgentAddress | None:
        """Our own agent on a node; while one pod replaces another, the ready one."""
        agents = [
            entry.node_agent for entry in self._pods.cache.by_index(NodeAgentOf(node)) if entry.node_agent
        ]
        return max(agents, key=lambda agent: agent.ready, default=None)

    def cilium_config(self) -> Mapping[str, str]:
        """The data of the ConfigMap cilium-config."""
        return self._config.cache.get((self._cilium_namespace, CONFIG_MAP)) or {}

    @property
    def _reflectors(self) -> tuple[Reflector[Any], ...]:
        return (
            self._pods,
            self._nodes,
            self._services,
            self._slices,
            self._cilium_endpoints,
            self._cilium_nodes,
            *self._workloads.reflectors,
            self._config,
        )
