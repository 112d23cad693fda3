"""Memory over months of churn: no reference remains to pods, agents and probes that are gone."""

import asyncio
import gc
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import pytest

from datapath_probe.api.vocabulary import ProbeVerdict, Trigger
from datapath_probe.collect.answer_cache import AnswerCache
from datapath_probe.collect.fair_slots import FairSlots
from datapath_probe.collect.interfaces import ContainerRef
from datapath_probe.collect.source_ports import SourcePorts
from datapath_probe.control.schedule import timetable
from datapath_probe.control.schedule.registry import Registry
from datapath_probe.control.schedule.run_executor import RunExecutor
from datapath_probe.control.schedule.scheduler import Scheduler
from datapath_probe.control.schedule.timetable import Due
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.run.bundle import Bundle
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.kube.exec.exec_clients import ExecClients
from datapath_probe.publish.interfaces import Event, ProbeRef, WriteResult, Written
from datapath_probe.publish.metrics.metrics import Metrics
from datapath_probe.publish.publisher import Publisher
from datapath_probe.publish.status_writer import StatusWriter
from datapath_probe.runs import runner
from datapath_probe.runs.asked_before import AskedBefore
from datapath_probe.runs.backend_rotation import BackendRotation
from datapath_probe.runs.run_result import NextRun
from datapath_probe.runs.runner import ProbeRunner
from unit.cluster import Cluster
from unit.control.harness import body
from unit.recorded import BUNDLES
from unit.runs.recorded_cluster import inventory_of

RUNS = 60
RUNS_OF_A_PROBE = 5
KEPT = 2 * RUNS_OF_A_PROBE
INTERVAL_S = 3600.0


class Months:
    """The operator's components on a recorded cluster whose pods and agents are new in every run."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0
        self.verdicts: set[ProbeVerdict] = set()
        self._recorded = (BUNDLES / "cilium-1.18.5/vxlan/healthy-cross-node.json").read_text()
        plan = Bundle.from_json(self._recorded.encode()).run.plan
        agents = [node.agent.incarnation for node in plan.nodes if node.agent]
        backends = [backend.pod_facts.pod for backend in plan.backends if backend.pod_facts]
        pods = [plan.source.pod, *backends]
        self._new_each_run = [name for pod in pods for name in (pod.name, pod.uid)] + agents
        self._run: PathRun | None = None
        self._inventory = Cluster()
        scheduler = Scheduler(self.clock, FairSlots(8))
        metrics = Metrics(lambda: scheduler.heartbeat)
        self._status_writer = StatusWriter(
            self, lambda probe: self.registry.forget(probe.uid), metrics.status_not_written
        )
        self._publisher = Publisher(self._status_writer, self, metrics, self.clock)
        answers = AnswerCache(self, self.clock)
        probes = ProbeRunner(self._inventory, answers, ExecClients(self), self.clock, RecordedPorts(self))
        self.registry = Registry(scheduler, self._publisher, runner=probes)
        self._executor = RunExecutor(self.registry, probes, self._publisher, self.clock)

    def clock(self) -> float:
        return self.now

    @property
    def run_(self) -> PathRun:
        assert self._run
        return self._run

    async def run_next(self, number: int) -> None:
        """One run, an hour after the last."""
        text = self._recorded
        for name in self._new_each_run:
            text = text.replace(name, f"{name}-run-{number}x")
        run = self._run = Bundle.from_json(text.encode()).run
        for name, value in vars(inventory_of(run.plan)).items():
            setattr(self._inventory, name, value)
        self.now += INTERVAL_S
        uid = f"probe-run-{number // RUNS_OF_A_PROBE * RUNS_OF_A_PROBE}x"
        self.registry.observe(_probe(run, uid, generation=number))
        ended = await self._executor.run(Due(uid, Trigger.SCHEDULE, self.now))
        assert isinstance(ended.record.result.worst, Diagnosis)
        self.verdicts.add(ended.record.result.worst.verdict)
        self._executor.ended(ended, NextRun(self.now + INTERVAL_S))
        await asyncio.sleep(0)
        if number % RUNS_OF_A_PROBE == RUNS_OF_A_PROBE - 1:
            self.registry.forget(uid)

    async def ask(self, node: str, facts: Sequence[Fact]) -> Sequence[Reading]:
        return [self._answer(fact) for fact in facts]

    def _answer(self, fact: Fact) -> Reading:
        readings = self.run_.evidence.readings.get(fact, ())
        if readings and isinstance(readings[-1], Answer):
            return replace(readings[-1], at=self.now)
        return Unavailable(EvidenceError.COMMAND_FAILED, "not recorded", self.now)

    async def run(
        self,
        target: ContainerRef,
        argv: Sequence[str],
        *,
        stdin: bytes | None,
        timeout_s: float,
        stdout_limit: int,
    ) -> Reading:
        assert self.run_.request.reading
        return self.run_.request.reading

    async def write(self, probe: ProbeRef, status: object) -> WriteResult:
        return Written()

    def record(self, probe: ProbeRef, event: Event) -> None:
        """Discards the Event."""

    def forget(self, probe: ProbeRef) -> None:
        """Keeps no state per probe."""


class RecordedPorts(SourcePorts):
    """The ports of the recorded runs; still keeps its state per pod."""

    def __init__(self, months: Months) -> None:
        super().__init__(limit=KEPT)
        self._months = months

    def take(self, pod_uid: str) -> int:
        super().take(pod_uid)
        return self._months.run_.request.local_port


def _probe(run: PathRun, uid: str, generation: int) -> dict[str, object]:
    target, source = run.plan.backends[0].pod_facts, run.plan.source.pod
    assert target
    made = body(
        uid,
        uid=uid,
        generation=generation,
        source={"pod": source.name},
        destination={"pod": {"name": target.pod.name, "port": run.plan.backends[0].port}},
        request={"method": "POST", "path": "/v1/request-landing"},
    )
    made["metadata"]["namespace"] = source.namespace
    return made


def _referenced_runs() -> set[int]:
    """The runs whose pods, agents or probes are named by any object in memory."""
    gc.collect()
    found: set[int] = set()
    for holder in gc.get_objects():
        found.update(_runs_in(holder))
    return found


def _runs_in(holder: object) -> Iterator[int]:
    for part in gc.get_referents(holder):
        if isinstance(part, str | bytes):
            text = part if isinstance(part, str) else part.decode("latin-1")
            yield from (int(number) for number in re.findall(r"-run-(\d+)x", text))
        elif not gc.is_tracked(part):  # untracked objects are not listed by `gc.get_objects`
            yield from _runs_in(part)


async def test_objects_that_are_gone_are_not_referenced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timetable, "MAX_OUTDATED", 0)
    for remembers in (BackendRotation, AskedBefore):
        monkeypatch.setattr(runner, remembers.__name__, partial(remembers, limit=KEPT))
    months = Months()
    for number in range(RUNS):
        await months.run_next(number)
    assert months.verdicts == {ProbeVerdict.HEALTHY}
    referenced = _referenced_runs()
    assert RUNS - 1 in referenced, "the scan finds references"
    assert min(referenced) >= RUNS - KEPT
