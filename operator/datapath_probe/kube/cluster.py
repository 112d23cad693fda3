"""The live cluster: inventory, node agents, exec channels to pods, and the runner that uses them.

In: a connected client. Out: a `Cluster`. Called by `control.app` and `cli.capture`. The only place that connects the
adapters of `kube` to the interfaces of `collect`.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from kubernetes.aio.client import ApiClient

from ..collect.answer_cache import AnswerCache
from ..collect.interfaces import Agents, Clients
from ..diagnose.run.windows import DEFAULT, Windows
from ..plan.restrictions import UNRESTRICTED, Restrictions
from ..runs.diagnosis_worker import DiagnosisWorker
from ..runs.interfaces import Runner
from ..runs.limits import Limits
from ..runs.runner import ProbeRunner
from .ca_reader import CaReader
from .collection import BY_EXEC, Collection
from .exec.agent_exec import AgentExec
from .exec.agents import ShellAgents
from .exec.connect import ExecClient
from .exec.exec_clients import ExecClients
from .exec.one_shot import SourceExec
from .exec.pool import ChannelPool
from .watch.inventory import ClusterInventory

if TYPE_CHECKING:
    from .node_collectors import NodeCollectors


class Cluster(Protocol):
    """The cluster that probes run in. `unsynced`: the resources that are not complete yet, each with the reason.
    `fallbacks`: how often commands in containers replaced a node agent.
    """

    @property
    def runner(self) -> Runner: ...

    @property
    def unsynced(self) -> Mapping[str, str]: ...

    @property
    def fallbacks(self) -> int: ...

    async def wait_synced(self) -> None: ...

    async def serve(self) -> None:
        """Keep the inventory in sync; never returns."""
        ...


class LiveCluster:
    """Implements `Cluster` while `open_cluster` lasts."""

    def __init__(
        self, inventory: ClusterInventory, runner: ProbeRunner, nodes: "NodeCollectors | None"
    ) -> None:
        self.runner = runner
        self._inventory = inventory
        self._nodes = nodes
        self.wait_synced = inventory.wait_synced

    @property
    def unsynced(self) -> Mapping[str, str]:
        """See `Cluster`."""
        return self._inventory.unsynced

    @property
    def fallbacks(self) -> int:
        """See `Cluster`."""
        return self._nodes.fallbacks if self._nodes else 0

    async def serve(self) -> None:
        """See `Cluster`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._inventory.run(), name="inventory")
            if self._nodes and self._nodes.certificates:
                group.create_task(self._nodes.certificates.run(), name="certificates")


@asynccontextmanager
async def open_cluster(
    client: ApiClient,
    cilium_namespace: str,
    windows: Windows = DEFAULT,
    restrictions: Restrictions = UNRESTRICTED,
    limits: Limits | None = None,
    collection: Collection = BY_EXEC,
) -> AsyncIterator[Cluster]:
    """Open the cluster of this client; on exit, all connections to pods and nodes are closed and the worker process
    ends.
    """
    inventory = ClusterInventory(client, cilium_namespace, node_namespace=collection.node_namespace)
    exec_client = ExecClient(client.configuration)
    pool = ChannelPool(exec_client)
    containers = SourceExec(exec_client)
    agents: Agents = ShellAgents(pool, inventory.agent)
    clients: Clients = ExecClients(containers)
    nodes = None
    if collection.uses_nodes:
        from .node_collectors import NodeCollectors

        by_exec = (agents, clients) if collection.uses_exec else (None, None)
        nodes = NodeCollectors(client, inventory.node_agent, collection, *by_exec)
        agents, clients = nodes.agents, nodes.clients
    worker = DiagnosisWorker()
    try:
        runner = ProbeRunner(
            inventory,
            AnswerCache(agents),
            clients,
            agents=AgentExec(containers) if collection.uses_exec else None,
            windows=windows,
            restrictions=restrictions,
            limits=limits,
            worker=worker,
            cas=CaReader(client),
        )
        yield LiveCluster(inventory, runner, nodes)
    finally:
        await worker.close()
        if nodes:
            await nodes.close()
        await pool.close()
        await exec_client.close()
