"""Several paths of one run against a recorded cluster: they run concurrently and share answers. Simulated time."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import ProbeVerdict
from datapath_probe.collect.answer_cache import AnswerCache
from datapath_probe.collect.interfaces import ContainerRef
from datapath_probe.collect.source_ports import SourcePorts
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Absent, Answer, Reading, Unavailable
from datapath_probe.kube.exec.exec_clients import ExecClients
from datapath_probe.plan.plan import CannotRun, Plan, ServiceTarget
from datapath_probe.runs import path_runner
from datapath_probe.runs.backend_rotation import BackendRotation
from datapath_probe.runs.cluster_access import ClusterAccess
from datapath_probe.runs.probe_run import PATHS_AT_ONCE, EndedPath, ProbeRun, SharedByRuns
from datapath_probe.sources.iproute2 import links
from unit.recorded import recorded
from unit.runs.recorded_cluster import RecordedPort, Recording, inventory_of, probe_of

# In simulated time, the paths of a run stay in step however busy the machine is.
pytestmark = pytest.mark.looptime(noop_cycles=2)

OTHERS = "another-pod"


class Many(Recording):
    """Counts concurrent requests and round trips. The pods named in `broken` can't even start a request."""

    under_way = most = 0
    round_trips: list[tuple[str, frozenset[Fact]]]
    broken: frozenset[str] = frozenset()

    async def ask(self, node: str, facts: Sequence[Fact]) -> Sequence[Reading]:
        self.round_trips = [*getattr(self, "round_trips", []), (node, frozenset(facts))]
        return await super().ask(node, facts)

    async def run(
        self,
        target: ContainerRef,
        argv: Sequence[str],
        *,
        stdin: bytes | None,
        timeout_s: float,
        stdout_limit: int,
    ) -> Reading:
        if target.pod in self.broken:
            raise ZeroDivisionError
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0.01)
        self.under_way -= 1
        return await super().run(target, argv, stdin=stdin, timeout_s=timeout_s, stdout_limit=stdout_limit)


@pytest.fixture(autouse=True)
def _no_request_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a good request may take longer than it should, and more facts are asked for."""
    monkeypatch.setattr(path_runner, "HANGING_S", 60.0)


def paths(run: PathRun, number: int) -> list[Plan]:
    """The recorded path, and copies of it from pods with other names in the same place."""
    source = run.plan.source
    named = [f"{OTHERS}-{n}" for n in range(1, number)]
    pods = [source.pod, *(replace(source.pod, name=name) for name in named)]
    return [replace(run.plan, source=replace(source, pod=pod)) for pod in pods]


async def ended(
    recording: Recording, plans: Sequence[Plan], rotation: BackendRotation | None = None
) -> tuple[EndedPath, ...]:
    run = recording.run_
    inventory = inventory_of(run.plan)
    access = ClusterAccess(inventory, ExecClients(recording), None, recording.clock)
    answers = AnswerCache(recording, lambda: 0.0)
    port: SourcePorts = RecordedPort(run.request.local_port)
    shared = SharedByRuns(answers, port, rotation or BackendRotation())
    return await ProbeRun(access, shared, probe_of(run)).run(plans, capture=False)


async def test_facts_that_paths_share_are_asked_once() -> None:
    run = recorded("healthy-cross-node")
    one, many = Many(run), Many(run)
    await ended(one, paths(run, 1))
    diagnoses = [path.outcome for path in await ended(many, paths(run, 5))]
    assert [outcome.verdict for outcome in diagnoses if isinstance(outcome, Diagnosis)] == ["Healthy"] * 5
    assert sorted(many.asked, key=repr) == sorted(one.asked, key=repr)
    assert len(many.sent) == 5


async def test_paths_are_judged_by_shared_readings() -> None:
    run = recorded("healthy-cross-node")
    first, second = [path.run for path in await ended(Many(run), paths(run, 2))]
    assert first
    assert second
    assert set(first.evidence.readings) == set(second.evidence.readings)
    for fact, readings in first.evidence:
        assert all(a is b for a, b in zip(readings, second.evidence.readings[fact], strict=True))


async def test_a_fact_in_doubt_on_several_paths_is_read_again_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(path_runner, "resolve_again", lambda plan, *_: plan)
    run = recorded("ipcache-entry-missing")
    one, many = Many(run), Many(run)
    await ended(one, paths(run, 1))
    outcomes = [path.outcome for path in await ended(many, paths(run, 5))]
    assert {outcome.verdict for outcome in outcomes if isinstance(outcome, Diagnosis)} == {
        ProbeVerdict.DEGRADED
    }
    doubted = {fact for fact in one.asked if one.asked.count(fact) == 2}
    assert doubted
    assert all(many.asked.count(fact) == 2 for fact in doubted)


@pytest.mark.parametrize("name", ["ipcache-entry-missing", "endpoint-entry-missing"])
async def test_the_next_run_looks_for_the_fault_that_one_found_wherever_its_request_goes(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(path_runner, "resolve_again", lambda plan, *_: plan)
    run, rotation = recorded(name), BackendRotation()
    [first] = await ended(Many(run), [run.plan], rotation)
    assert isinstance(first.outcome, Diagnosis)
    used = first.outcome.backend
    assert used is not None
    service = recorded("healthy-service-cross-node").plan
    other = replace(used, port=used.port + 1)
    assert service.frontend is not None
    target = ServiceTarget("e2e/deathstar", service.frontend, (used, other))
    [second] = await ended(Many(run), [replace(run.plan, target=target)], rotation)
    assert second.run
    assert [(suspect.ip, suspect.port) for suspect in second.run.suspects] == [(used.ip, used.port)]


async def test_an_answer_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    run = recorded("healthy-cross-node")
    parsed, parse = [], links.parse_link

    def counted(reading: Reading) -> links.Link | Absent | Unavailable:
        if isinstance(reading, Answer):
            parsed.append(id(reading))
        return parse(reading)

    monkeypatch.setattr(links, "parse_link", counted)
    for _ in range(2):
        await ended(Many(run), paths(run, 3))
    assert parsed
    assert len(set(parsed)) == len(parsed)


async def test_the_number_of_concurrent_paths_is_limited() -> None:
    run = recorded("healthy-cross-node")
    recording = Many(run)
    assert len(await ended(recording, paths(run, 3 * PATHS_AT_ONCE))) == 3 * PATHS_AT_ONCE
    assert recording.most == PATHS_AT_ONCE


async def test_each_path_has_a_source_port_of_its_own() -> None:
    run = recorded("healthy-cross-node")
    recording = Many(run)
    inventory = inventory_of(run.plan)
    access = ClusterAccess(inventory, ExecClients(recording), None, recording.clock)
    answers = AnswerCache(recording, lambda: 0.0)
    plans = paths(run, 3)
    shared = SharedByRuns(answers, SourcePorts(), BackendRotation())
    done = await ProbeRun(access, shared, probe_of(run)).run(plans, capture=False)
    ports = [path.run.request.local_port for path in done if path.run]
    assert len(set(ports)) == 3
    at = recording.sent[0].index("--local-port") + 1
    assert sorted(int(argv[at]) for argv in recording.sent) == sorted(ports)


async def test_results_are_in_the_order_of_the_plans_and_a_failed_path_does_not_affect_the_others() -> None:
    run = recorded("healthy-cross-node")
    recording = Many(run)
    recording.broken = frozenset({f"{OTHERS}-1"})
    first, failed, last = await ended(recording, paths(run, 3))
    assert isinstance(first.outcome, Diagnosis)
    assert isinstance(last.outcome, Diagnosis)
    assert (first.outcome.verdict, last.outcome.verdict) == (ProbeVerdict.HEALTHY, ProbeVerdict.HEALTHY)
    assert isinstance(failed.outcome, CannotRun)
    assert failed.outcome.reason is Reason.INTERNAL_ERROR
    assert failed.outcome.message == "the run ended with ZeroDivisionError"
    assert failed.outcome.source.endswith(f"/{OTHERS}-1")
    assert failed.run is None


async def test_a_run_without_paths_ends_at_once() -> None:
    assert await ended(Many(recorded("healthy-cross-node")), []) == ()
