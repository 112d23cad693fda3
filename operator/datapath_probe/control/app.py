"""The composition root: puts the parts together, serves until told to stop, and stops within seconds.

In: `Options`. Called by `cli`. Parts are made in the order in which they depend on each other, and each is
handed what it needs: nothing is looked up.
"""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import structlog
from kubernetes.aio.client import ApiClient

from .. import __version__
from ..api.group import GROUP, PLURAL
from ..diagnose.run.windows import DEFAULT, Windows
from ..kube.client import connect, load_configuration
from ..kube.writes.events import EventRecorder
from ..kube.writes.probes import Probes
from ..publish.interfaces import Retry
from ..publish.metrics.metrics import Metrics
from ..publish.publisher import Publisher
from ..publish.status_writer import StatusWriter
from . import web
from .cluster import Cluster, open_cluster
from .evidence_store.evidence_files import EvidenceFiles
from .evidence_store.evidence_saver import EvidenceSaver
from .gc_tuning import collect_garbage
from .handlers import handlers, watch
from .schedule.inventory_audit import InventoryAudit
from .schedule.registry import Registry
from .schedule.run_executor import RunExecutor
from .schedule.scheduler import BEAT_S, Scheduler

log = structlog.get_logger(__name__)

STALE_HEARTBEAT_S = 6 * BEAT_S
FIRST_CONTACT_S = 20.0
FLUSH_S = 2.0


class StartError(Exception):
    """The operator can't start; the message says why in one line."""


@dataclass(frozen=True, slots=True)
class Options:
    """What can be set. `namespaces`: those whose probes are run, none means all. `metrics_host`: None means
    every address. `save_evidence`: a folder. `windows`: other than the default ones in tests alone.
    """

    kubeconfig: str | None = None
    context: str | None = None
    namespaces: tuple[str, ...] = ()
    cilium_namespace: str = "kube-system"
    max_concurrent_runs: int = 16
    metrics_host: str | None = None
    metrics_port: int = 8080
    save_evidence: Path | None = None
    windows: Windows = DEFAULT


OpenCluster = Callable[[ApiClient, str, Windows], AbstractAsyncContextManager[Cluster]]


async def serve(options: Options, open_cluster: OpenCluster = open_cluster) -> None:
    """Run the operator until SIGTERM or SIGINT. Raises LoginError, StartError or PortError before it has
    begun, and after that whatever its parts failed with.
    """
    take_signals = _cancelled_by_signals()
    try:
        configuration = await load_configuration(options.kubeconfig, options.context)
        log.info("starting", version=__version__, server=configuration.host)
        async with connect(configuration) as client:
            await _first_contact(Probes(client))
            async with open_cluster(client, options.cilium_namespace, options.windows) as cluster:
                await Operator(options, client, cluster, take_signals).serve()
    except asyncio.CancelledError:
        log.info("stopped")


class Operator:
    """All parts but the cluster."""

    def __init__(
        self,
        options: Options,
        client: ApiClient,
        cluster: Cluster,
        take_signals: Callable[[], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        probes = Probes(client)
        self._options = options
        self._client = client
        self._cluster = cluster
        self._clock = clock
        self._take_signals = take_signals
        self._started = False
        self._scheduler = Scheduler(clock, options.max_concurrent_runs)
        self._metrics = Metrics(lambda: self._scheduler.heartbeat)
        self._events = EventRecorder(client, instance=os.environ.get("POD_NAME") or socket.gethostname())
        self._status_writer = StatusWriter(
            probes,
            gone=lambda probe: self._registry.forget(probe.uid),
            failed=self._metrics.status_not_written,
        )
        publisher = Publisher(self._status_writer, self._events, self._metrics, clock)
        self._registry = Registry(self._scheduler, publisher)
        self._census = InventoryAudit(probes, self._registry, options.namespaces)
        folder = options.save_evidence
        self._saver = EvidenceSaver(EvidenceFiles(folder)) if folder else None
        self._conductor = RunExecutor(self._registry, cluster.runner, publisher, clock, self._saver)

    async def serve(self) -> None:
        """Until cancelled. Raises PortError, or what the parts failed with as a group."""
        host, port = self._options.metrics_host, self._options.metrics_port
        async with web.serving(host, port, self._metrics.registry, self._unhealthy, self._unready) as address:
            log.info("started", metrics=address)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._cluster.serve(), name="cluster")
                    group.create_task(self._events.run(), name="events")
                    group.create_task(self._operate(), name="operate")
            finally:
                await self._status_writer.close(FLUSH_S)

    async def _operate(self) -> None:
        """Run probes, once the cluster is known: before that every pod would seem to be missing."""
        await self._cluster.wait_synced()
        self._started = True
        found = handlers(self._registry, self._census, self._client)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._scheduler.serve(self._conductor), name="scheduler")
            group.create_task(self._census.serve(), name="census")
            group.create_task(collect_garbage(), name="garbage")
            if self._saver:
                group.create_task(self._saver.serve(), name="evidence")
            group.create_task(watch(found, self._options.namespaces, self._take_signals), name="watch")

    def _unready(self) -> Mapping[str, str]:
        missing = dict(self._cluster.unsynced)
        return missing if self._census.complete else missing | {PLURAL: "not all are known yet"}

    def _unhealthy(self) -> Mapping[str, str]:
        age_s = self._clock() - self._scheduler.heartbeat
        late = self._started and age_s > STALE_HEARTBEAT_S
        return {"scheduler": f"no heartbeat for {age_s:.0f} s"} if late else {}


async def _first_contact(probes: Probes) -> None:
    """Wait a moment for the API server and the CRD: without them there is nothing to do."""
    trouble = "the API server does not answer"
    try:
        async with asyncio.timeout(FIRST_CONTACT_S):
            while isinstance(answer := await probes.list_refs(), Retry):
                trouble = answer.reason
                await asyncio.sleep(1)
    except TimeoutError:
        raise StartError(f"{trouble} (is the CRD {PLURAL}.{GROUP} installed?)") from None


def _cancelled_by_signals() -> Callable[[], None]:
    """Have SIGTERM and SIGINT cancel this task. What is returned does so again, after others took the signals."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is None:
        raise RuntimeError("not in a task")

    def take() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)

    take()
    return take
