"""The live cluster: inventory, exec channels to agents and source containers, and the runner that uses them.

In: a connected client. Out: a `Cluster`. Called by `control.app` and `cli.capture`. The only place that connects the
adapters of `kube` to the interfaces of `collect`.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from kubernetes.aio.client import ApiClient

from ..collect.answer_cache import AnswerCache
from ..diagnose.run.windows import DEFAULT, Windows
from ..plan.restrictions import UNRESTRICTED, Restrictions
from ..runs.diagnosis_worker import DiagnosisWorker
from ..runs.interfaces import Runner
from ..runs.limits import Limits
from ..runs.runner import ProbeRunner
from .ca_reader import CaReader
from .exec.agent_exec import AgentExec
from .exec.agents import ShellAgents
from .exec.connect import ExecClient
from .exec.one_shot import SourceExec
from .exec.pool import ChannelPool
from .watch.inventory import ClusterInventory


class Cluster(Protocol):
    """The cluster that probes run in. `unsynced`: the resources that are not complete yet, each with the reason."""

    @property
    def runner(self) -> Runner: ...

    @property
    def unsynced(self) -> Mapping[str, str]: ...

    async def wait_synced(self) -> None: ...

    async def serve(self) -> None:
        """Keep the inventory in sync; never returns."""
        ...


class LiveCluster:
    """Implements `Cluster` while `open_cluster` lasts."""

    def __init__(self, inventory: ClusterInventory, runner: ProbeRunner) -> None:
        self.runner = runner
        self._inventory = inventory
        self.wait_synced = inventory.wait_synced
        self.serve = inventory.run

    @property
    def unsynced(self) -> Mapping[str, str]:
        """See `Cluster`."""
        return self._inventory.unsynced


@asynccontextmanager
async def open_cluster(
    client: ApiClient,
    cilium_namespace: str,
    windows: Windows = DEFAULT,
    restrictions: Restrictions = UNRESTRICTED,
    limits: Limits | None = None,
) -> AsyncIterator[Cluster]:
    """Open the cluster of this client; on exit, all exec channels are closed and the worker process ends."""
    inventory = ClusterInventory(client, cilium_namespace)
    exec_client = ExecClient(client.configuration)
    pool = ChannelPool(exec_client)
    answers = AnswerCache(ShellAgents(pool, inventory.agent))
    worker = DiagnosisWorker()
    try:
        containers = SourceExec(exec_client)
        agents = AgentExec(containers)
        runner = ProbeRunner(
            inventory,
            answers,
            containers,
            agents=agents,
            windows=windows,
            restrictions=restrictions,
            limits=limits,
            worker=worker,
            cas=CaReader(client),
        )
        yield LiveCluster(inventory, runner)
    finally:
        await worker.close()
        await pool.close()
        await exec_client.close()
