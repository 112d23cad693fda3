"""The composition root: assembles the operator, serves until SIGTERM or SIGINT, and stops within seconds.

In: `Options`. Out: a running operator. Called by `cli`. Components are created in dependency order, and each gets its
dependencies as arguments: there is no global lookup.
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
from ..kube.cluster import Cluster, open_cluster
from ..kube.collection import BY_EXEC, Collection
from ..kube.writes.events import EventRecorder
from ..kube.writes.probes import Probes
from ..plan.restrictions import UNRESTRICTED, Restrictions
from ..publish.interfaces import Retry
from ..publish.metrics.metrics import Metrics
from ..publish.publisher import Publisher
from ..publish.status_writer import StatusWriter
from ..runs.limits import MAX_CONCURRENT_RUNS, MAX_PAIRS, MAX_REQUESTS_IN_FLIGHT, Limits
from . import web
from .evidence_store.evidence_files import EvidenceFiles
from .evidence_store.evidence_saver import EvidenceSaver
from .gc_tuning import collect_garbage
from .handlers import handlers, watch
from .schedule.inventory_audit import InventoryAudit
from .schedule.namespace_limit import NamespaceLimit
from .schedule.registry import Registry
from .schedule.run_executor import RunExecutor
from .schedule.scheduler import HEARTBEAT_INTERVAL_S, Scheduler

log = structlog.get_logger(__name__)

STALE_HEARTBEAT_S = 6 * HEARTBEAT_INTERVAL_S
API_SERVER_TIMEOUT_S = 20.0
FLUSH_TIMEOUT_S = 2.0


class StartError(Exception):
    """The operator cannot start; the message gives the reason in one line."""


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of the operator. `namespaces`: those whose probes run; empty means all. `max_pairs`: of one run.
    `max_probes_per_namespace`, `max_requests_per_minute` (of a namespace): None means any number. `metrics_host`: of
    both ports, None means all addresses. `save_evidence`: a directory. `restrictions`: what probes may not request.
    `windows`: differs from the default in tests only. `collection`: who answers and sends.
    """

    kubeconfig: str | None = None
    context: str | None = None
    namespaces: tuple[str, ...] = ()
    cilium_namespace: str = "kube-system"
    max_concurrent_runs: int = MAX_CONCURRENT_RUNS
    max_requests_in_flight: int = MAX_REQUESTS_IN_FLIGHT
    max_pairs: int = MAX_PAIRS
    max_probes_per_namespace: int | None = None
    max_requests_per_minute: int | None = None
    metrics_host: str | None = None
    metrics_port: int = 8080
    health_port: int = 8081
    save_evidence: Path | None = None
    restrictions: Restrictions = UNRESTRICTED
    windows: Windows = DEFAULT
    collection: Collection = BY_EXEC


OpenCluster = Callable[
    [ApiClient, str, Windows, Restrictions, Limits, Collection], AbstractAsyncContextManager[Cluster]
]


async def serve(options: Options, open_cluster: OpenCluster = open_cluster) -> None:
    """Run the operator until SIGTERM or SIGINT. Raises LoginError, StartError or PortError if it cannot start, and
    the exceptions of failed components afterwards.
    """
    install_signal_handlers = _cancel_on_signals()
    try:
        configuration = await load_configuration(options.kubeconfig, options.context)
        log.info("starting", version=__version__, server=configuration.host)
        async with connect(configuration) as client:
            await _wait_for_api_server(Probes(client))
            limits = Limits(
                options.max_concurrent_runs,
                options.max_requests_in_flight,
                options.max_pairs,
                options.max_requests_per_minute,
            )
            async with open_cluster(
                client,
                options.cilium_namespace,
                options.windows,
                options.restrictions,
                limits,
                options.collection,
            ) as cluster:
                await Operator(options, client, cluster, limits, install_signal_handlers).serve()
    except asyncio.CancelledError:
        log.info("stopped")


class Operator:
    """All components except the cluster."""

    def __init__(
        self,
        options: Options,
        client: ApiClient,
        cluster: Cluster,
        limits: Limits,
        install_signal_handlers: Callable[[], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        probes = Probes(client)
        self._options = options
        self._client = client
        self._cluster = cluster
        self._clock = clock
        self._install_signal_handlers = install_signal_handlers
        self._started = False
        self._scheduler = Scheduler(clock, limits.work)
        self._metrics = Metrics(lambda: self._scheduler.heartbeat, fallbacks=lambda: cluster.fallbacks)
        self._events = EventRecorder(client, instance=os.environ.get("POD_NAME") or socket.gethostname())
        self._status_writer = StatusWriter(
            probes,
            gone=lambda probe: self._registry.forget(probe.uid),
            failed=self._metrics.status_not_written,
        )
        directory = options.save_evidence
        self._saver = EvidenceSaver(EvidenceFiles(directory)) if directory else None
        is_kept = self._saver.is_kept if self._saver else None
        publisher = Publisher(self._status_writer, self._events, self._metrics, clock, is_kept)
        self._registry = Registry(
            self._scheduler, publisher, NamespaceLimit(options.max_probes_per_namespace), cluster.runner
        )
        self._audit = InventoryAudit(probes, self._registry, options.namespaces)
        self._executor = RunExecutor(self._registry, cluster.runner, publisher, clock, self._saver)

    async def serve(self) -> None:
        """Serve until canceled. Raises PortError, or an ExceptionGroup of failed components."""
        options, host = self._options, self._options.metrics_host
        metrics = web.metrics_handlers(self._metrics)
        health = web.health_handlers(self._unhealthy, self._unready)
        async with (
            web.serving(host, options.metrics_port, metrics) as metrics_address,
            web.serving(host, options.health_port, health) as health_address,
        ):
            log.info("started", metrics=metrics_address, health=health_address)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._cluster.serve(), name="cluster")
                    group.create_task(self._events.run(), name="events")
                    group.create_task(self._operate(), name="operate")
            finally:
                await self._status_writer.close(FLUSH_TIMEOUT_S)

    async def _operate(self) -> None:
        """Run probes once the inventory is synced: before that every pod would look missing."""
        await self._cluster.wait_synced()
        self._started = True
        kopf_registry = handlers(self._registry, self._audit, self._client)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._scheduler.serve(self._executor), name="scheduler")
            group.create_task(self._audit.serve(), name="audit")
            group.create_task(collect_garbage(), name="garbage")
            if self._saver:
                group.create_task(self._saver.serve(), name="evidence")
            group.create_task(
                watch(kopf_registry, self._options.namespaces, self._install_signal_handlers), name="watch"
            )

    def _unready(self) -> Mapping[str, str]:
        missing = dict(self._cluster.unsynced)
        return missing if self._audit.complete else missing | {PLURAL: "not all observed yet"}

    def _unhealthy(self) -> Mapping[str, str]:
        age_s = self._clock() - self._scheduler.heartbeat
        late = self._started and age_s > STALE_HEARTBEAT_S
        return {"scheduler": f"no heartbeat for {age_s:.0f} s"} if late else {}


async def _wait_for_api_server(probes: Probes) -> None:
    """Wait until the API server answers and has the CRD. Raises StartError on timeout."""
    problem = "the API server does not respond"
    try:
        async with asyncio.timeout(API_SERVER_TIMEOUT_S):
            while isinstance(answer := await probes.list_refs(), Retry):
                problem = answer.reason
                await asyncio.sleep(1)
    except TimeoutError:
        raise StartError(f"{problem} (is the CRD {PLURAL}.{GROUP} installed?)") from None


def _cancel_on_signals() -> Callable[[], None]:
    """Cancel this task on SIGTERM and SIGINT. The returned function reinstalls the signal handlers."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is None:
        raise RuntimeError("not in a task")

    def install() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)

    install()
    return install
