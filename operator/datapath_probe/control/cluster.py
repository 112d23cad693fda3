"""The live cluster: inventory, agents' channels, source containers, and the runner that works on them.

In: a connected client. Out: what `app` needs of a cluster. The only place where `kube`'s adapters meet
`collect`'s ports.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from kubernetes.aio.client import ApiClient

from ..collect.answer_cache import AnswerCache
from ..diagnose.run.windows import DEFAULT, Windows
from ..kube.exec.agents import ShellAgents
from ..kube.exec.connect import ExecClient
from ..kube.exec.one_shot import SourceExec
from ..kube.exec.pool import ChannelPool
from ..kube.watch.inventory import ClusterInventory
from ..runs.runner import ProbeRunner
from .schedule.run_executor import Runner


class Cluster(Protocol):
    """What probes are run against. `unsynced`: what is not known completely yet, each with its reason."""

    @property
    def runner(self) -> Runner: ...

    @property
    def unsynced(self) -> Mapping[str, str]: ...

    async def wait_synced(self) -> None: ...

    async def serve(self) -> None:
        """Keep the view of the cluster current; never returns."""
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
    client: ApiClient, cilium_namespace: str, windows: Windows = DEFAULT
) -> AsyncIterator[Cluster]:
    """The cluster behind this client; in the end all channels are hung up."""
    inventory = ClusterInventory(client, cilium_namespace)
    exec_client = ExecClient(client.configuration)
    pool = ChannelPool(exec_client)
    answers = AnswerCache(ShellAgents(pool, inventory.agent))
    try:
        containers = SourceExec(exec_client)
        runner = ProbeRunner(inventory, answers, containers, agents=containers, windows=windows)
        yield LiveCluster(inventory, runner)
    finally:
        await pool.close()
        await exec_client.close()
