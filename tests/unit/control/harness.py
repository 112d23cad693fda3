"""The operator's components around a fake runner and a fake API server. Simulated time.

Used by the tests of `control`.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from itertools import count
from typing import Any

from datapath_probe.api.probe import Probe
from datapath_probe.collect.fair_slots import FairSlots, Slot
from datapath_probe.control.schedule.namespace_limit import NamespaceLimit
from datapath_probe.control.schedule.registry import Registry
from datapath_probe.control.schedule.run_executor import RunExecutor
from datapath_probe.control.schedule.scheduler import Scheduler
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.run.bundle import Bundle
from datapath_probe.diagnose.run.run import PathRun, Request
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Unavailable
from datapath_probe.evidence.store import Evidence
from datapath_probe.plan.plan import CannotRun
from datapath_probe.publish.interfaces import Event, Gone, ProbeRef, WriteResult, Written
from datapath_probe.publish.metrics.metrics import Metrics
from datapath_probe.publish.publisher import Publisher
from datapath_probe.publish.status_writer import StatusWriter
from datapath_probe.runs.run_result import RunResult
from datapath_probe.sources.capture import pcap
from unit.publish.samples import healthy, plan

EPOCH = 1_790_000_000.0


def clock() -> float:
    return EPOCH + asyncio.get_running_loop().time()


def body(
    name: str = "probe",
    *,
    uid: str | None = None,
    generation: int = 1,
    run_now: str | None = None,
    capture: str | None = None,
    labels: Mapping[str, str] | None = None,
    status: Mapping[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A DatapathProbe as the API server returns it."""
    annotations = {"datapath-probe.dev/run-now": run_now} if run_now else {}
    if capture:
        annotations["datapath-probe.dev/capture"] = capture
    return {
        "metadata": {
            "namespace": "default",
            "name": name,
            "uid": uid or f"uid-{name}",
            "generation": generation,
            "annotations": annotations,
            "labels": dict(labels or {}),
        },
        "spec": {
            "schedule": {"interval": "60s"},
            "source": {"pod": "xwing"},
            "destination": {"service": {"name": "deathstar", "port": 80}},
            **spec,
        },
        "status": status or {},
    }


class Harness:
    """`outcome`, `takes_s`: result and duration of each run. `written`, `events`: what the API server received."""

    def __init__(self, limit: NamespaceLimit | None = None) -> None:
        self.outcome: Diagnosis | CannotRun | Exception = healthy()
        self.takes_s = 0.1
        self.runs: list[tuple[float, Probe]] = []
        self.captures: list[bool] = []
        self.fresh: list[bool] = []
        self.forgotten: list[str] = []
        self.written: dict[str, Mapping[str, Any]] = {}
        self.events: list[Event] = []
        self.gone: set[str] = set()
        self.scheduler = Scheduler(clock, FairSlots(8))
        self.metrics = Metrics(lambda: self.scheduler.heartbeat, clock=count().__next__)  # nothing is cached
        self.status_writer = StatusWriter(
            self, lambda probe: self.registry.forget(probe.uid), self.metrics.status_not_written
        )
        self.publisher = Publisher(self.status_writer, self, self.metrics, clock)
        self.registry = Registry(self.scheduler, self.publisher, limit, self)
        self.run_executor = RunExecutor(self.registry, self, self.publisher, clock)

    def forget_probe(self, uid: str) -> None:
        self.forgotten.append(uid)

    async def run(
        self, probe: Probe, capture: bool = False, fresh: bool = False, slot: Slot | None = None
    ) -> RunResult:
        started = clock()
        self.runs.append((started - EPOCH, probe))
        self.captures.append(capture)
        self.fresh.append(fresh)
        await asyncio.sleep(self.takes_s)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return RunResult(started, clock(), (self.outcome,), (_captured(),) if capture else ())

    async def write(self, probe: ProbeRef, status: Mapping[str, object]) -> WriteResult:
        if probe.uid in self.gone:
            return Gone()
        self.written[probe.uid] = status
        return Written()

    def record(self, probe: ProbeRef, event: Event) -> None:
        self.events.append(event)

    def forget(self, probe: ProbeRef) -> None:
        """Keeps no state per probe."""

    def status(self, name: str = "probe") -> Mapping[str, Any]:
        """The status in the API server."""
        return self.written[f"uid-{name}"]

    def has_series(self, name: str) -> bool:
        """Whether the metrics contain the probe."""
        return f'probe="{name}"' in self.scraped()

    def scraped(self) -> str:
        """The metrics as text."""
        return self.metrics.scrape()[0].decode()


def _captured() -> Bundle:
    """A run in which a capture was attempted."""
    fact = pcap.fact("node1", [IPv4Address("10.244.1.27")], 20001, None, 10)
    reading = Unavailable(EvidenceError.AGENT_NOT_FOUND, "there is no cilium-agent pod on node1")
    return Bundle(PathRun(plan(), Request(EPOCH, 20001, None), Evidence({fact: (reading,)})))


@asynccontextmanager
async def running(limit: NamespaceLimit | None = None) -> AsyncIterator[Harness]:
    """A harness whose scheduler is running."""
    harness = Harness(limit)
    task = asyncio.create_task(harness.scheduler.serve(harness.run_executor))
    try:
        yield harness
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await harness.status_writer.close(1)


async def status_after(seconds: float, **changes: Any) -> dict[str, Any]:
    """The status that an operator leaves in the API server after it has run a probe for this time."""
    async with running() as harness:
        harness.registry.observe(body(**changes))
        await asyncio.sleep(seconds)
    return dict(harness.status())


def trigger(harness: Harness, name: str = "probe") -> str:
    """Trigger of the last run."""
    return str(harness.status(name)["lastRun"]["trigger"])


def conditions(harness: Harness, name: str = "probe") -> dict[str, tuple[str, str]]:
    """Status and reason of each condition."""
    return {each["type"]: (each["status"], each["reason"]) for each in harness.status(name)["conditions"]}
