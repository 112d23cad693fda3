"""Many probes with the real scheduler and the real runner. Requests and agents take their time, in simulated time;
diagnoses take none. Used by the tests of fairness.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from datapath_probe.api.probe import Probe
from datapath_probe.collect.answer_cache import AnswerCache
from datapath_probe.collect.fair_slots import Slot
from datapath_probe.collect.interfaces import ContainerRef
from datapath_probe.control.schedule.scheduler import Scheduler
from datapath_probe.control.schedule.timetable import Due
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.kube.exec.exec_clients import ExecClients
from datapath_probe.plan.destination import PodEnd
from datapath_probe.plan.pairs.pairs import Pair, Pairs
from datapath_probe.plan.plan import Plan
from datapath_probe.runs import bounded_diagnosis, runner
from datapath_probe.runs.limits import Limits
from datapath_probe.runs.run_result import NextRun, RunResult
from datapath_probe.runs.runner import ProbeRunner
from datapath_probe.sources.bpf import bpftool
from datapath_probe.sources.netfilter import iptables
from unit.cluster import Cluster
from unit.control.harness import clock
from unit.recorded import recorded
from unit.runs.recorded_cluster import probe_of

HEALTHY_RUN = recorded("healthy-cross-node")
HEALTHY, FAILED = diagnose(HEALTHY_RUN), diagnose(recorded("endpoint-entry-missing"))
REQUEST_S, ANSWER_S, SLOW_ANSWER_S = 0.05, 0.02, 25.0


@dataclass(frozen=True)
class Kind:
    """Probes that are alike: their namespace and interval, what happens to their requests, where they lead, and the
    number of pairs that each stands for.
    """

    namespace: str
    interval_s: float = 10.0
    times_out: bool = False
    timeout_s: float = 5.0
    nodes: tuple[str, ...] = ("node1", "node2")
    pods: int = 1000
    pairs: int = 1


class World:
    """`lags`: how late each request was sent, in seconds. `slow`: nodes whose agents answer after
    `SLOW_ANSWER_S`. `rules`: the packet filters of nodes, which are read if a request times out. `lost`: runs that were
    judged without a part of their evidence.
    """

    def __init__(self, limits: Limits) -> None:
        self.scheduler = Scheduler(clock, limits.work)
        self.slow: set[str] = set()
        self.rules = b""
        self.lost = 0
        self.lags: dict[Kind, list[float]] = {}
        self.skipped: Counter[Kind] = Counter()
        self.in_flight: Counter[str] = Counter()  # by source pod
        self.most_in_flight = self.most_of_a_pod = 0
        self._runner = ProbeRunner(
            Cluster(), AnswerCache(self, clock), ExecClients(self), clock, limits=limits
        )
        self._kinds: dict[str, Kind] = {}
        self._due: dict[str, float] = {}

    def add(self, number: int, kind: Kind) -> None:
        """Add probes whose first run is in their next slot."""
        for _ in range(number):
            uid = f"probe-{len(self._kinds)}"
            self._kinds[uid] = kind
            self.scheduler.resume(uid, kind.interval_s, last_run=clock())

    def kind_of(self, plan: Plan) -> Kind:
        return self._kinds[plan.probe]

    def pairs(self, probe: Probe, *_: object) -> Pairs:
        """Instead of `pairs_of`."""
        pairs = self._kinds[probe.meta.uid].pairs
        ends = tuple(PodEnd(probe.meta.namespace, "star", 80 + number) for number in range(pairs))
        return Pairs((probe.meta.uid,), ends, "")

    def plan(self, pair: Pair, *_: object) -> Plan:
        """Instead of `resolve`."""
        uid, plan = pair.source, HEALTHY_RUN.plan
        kind = self._kinds[uid]
        number = int(uid.partition("-")[2]) + int(pair.destination.port) - 80
        pod = f"{kind.namespace}-{number % kind.pods}"
        source = replace(plan.source.pod, namespace=kind.namespace, name=uid, uid=pod)
        return replace(
            plan,
            probe=uid,
            source=replace(plan.source, pod=source),
            request=replace(plan.request, timeout_s=kind.timeout_s),
        )

    def facts(self, run: PathRun, **_: object) -> Sequence[Fact]:
        """Instead of `facts_of`: two rounds, at each node of the path, and one more for the rules."""
        kind = self.kind_of(run.plan)
        rounds = [[bpftool.prog(node, number) for node in kind.nodes] for number in (1, 2)]
        if self.rules and kind.times_out and run.request.reading:
            rounds.append([iptables.fact(node) for node in kind.nodes])
        missing = [[fact for fact in asked if fact not in run.evidence.readings] for asked in rounds]
        return next(filter(None, missing), [])

    def diagnosis(self, run: PathRun, **_: object) -> Diagnosis:
        """Instead of `diagnose`."""
        readings = [reading for _, of_fact in run.evidence for reading in of_fact]
        self.lost += any(isinstance(reading, Unavailable) for reading in readings)
        return FAILED if self.kind_of(run.plan).times_out else HEALTHY

    async def ask(self, node: str, facts: Sequence[Fact]) -> list[Reading]:
        await asyncio.sleep(SLOW_ANSWER_S if node in self.slow else ANSWER_S)
        of_rules = FactKind.IPTABLES_RULES
        return [Answer(0, self.rules if fact.kind is of_rules else b"", b"", 0.0, 0.0) for fact in facts]

    async def run_request(self, target: ContainerRef) -> Reading:
        kind = self._kinds[target.pod]
        self.lags.setdefault(kind, []).append(clock() - self._due[target.pod])
        self.in_flight[target.uid] += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight.total())
        self.most_of_a_pod = max(self.most_of_a_pod, self.in_flight[target.uid])
        await asyncio.sleep(kind.timeout_s if kind.times_out else REQUEST_S)
        self.in_flight[target.uid] -= 1
        return Answer(0, b"", b"", 0.0, 0.0)

    async def run(
        self,
        target: ContainerRef,
        argv: Sequence[str],
        *,
        stdin: bytes | None,
        timeout_s: float,
        stdout_limit: int,
    ) -> Reading:
        return await self.run_request(target)

    async def run_probe(self, due: Due, slot: Slot) -> tuple[str, RunResult]:
        self._due[due.uid] = due.at
        probe = probe_of(HEALTHY_RUN)
        meta = replace(probe.meta, uid=due.uid, namespace=self._kinds[due.uid].namespace)
        return due.uid, await self._runner.run(replace(probe, meta=meta), slot=slot)

    def namespace(self, uid: str) -> str:
        return self._kinds[uid].namespace

    def ended(self, uid: str, next_run: NextRun) -> None:
        self.skipped[self._kinds[uid]] += next_run.skipped


class AtOnce(Executor):
    """Instead of a thread, for which simulated time does not wait."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


class Runs:
    """The world as the scheduler sees it."""

    def __init__(self, world: World) -> None:
        self.run = world.run_probe
        self.namespace = world.namespace
        self._world = world

    def name(self, uid: str) -> str:
        return uid

    def ended(self, result: tuple[str, RunResult], next_run: NextRun) -> None:
        self._world.ended(result[0], next_run)


@asynccontextmanager
async def running(monkeypatch: pytest.MonkeyPatch, limits: Limits | None = None) -> AsyncIterator[World]:
    """A world whose scheduler is running."""
    world = World(limits or Limits())
    monkeypatch.setattr(runner, "pairs_of", world.pairs)
    monkeypatch.setattr(runner, "resolve", world.plan)
    monkeypatch.setattr(bounded_diagnosis, "facts_of", world.facts)
    monkeypatch.setattr(bounded_diagnosis, "diagnose", world.diagnosis)
    monkeypatch.setattr(bounded_diagnosis, "_THREAD", AtOnce())
    task = asyncio.create_task(world.scheduler.serve(Runs(world)))
    try:
        yield world
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
