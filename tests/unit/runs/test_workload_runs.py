"""Runs of a probe that selects its pods, against a recorded cluster: pods that are deleted during a run, and turns."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from datapath_probe.api.probe import Probe
from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import ProbeVerdict
from datapath_probe.collect.answer_cache import AnswerCache
from datapath_probe.collect.interfaces import ContainerRef
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.reading import Reading
from datapath_probe.kube.exec.exec_clients import ExecClients
from datapath_probe.plan.plan import CannotRun
from datapath_probe.runs import path_runner
from datapath_probe.runs.limits import Limits
from datapath_probe.runs.run_result import RunResult, verdict_of
from datapath_probe.runs.runner import MAX_BUNDLES, ProbeRunner
from unit.recorded import recorded
from unit.runs.recorded_cluster import RecordedPort, Recording, inventory_of, probe_of

pytestmark = pytest.mark.looptime(noop_cycles=2)

HEALTHY, FAULTY = "healthy-cross-node", "ipcache-entry-missing"


@pytest.fixture(autouse=True)
def _no_request_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_runner, "HANGING_S", 60.0)


class Sent(Recording):
    """Calls `meanwhile` with the source of each request. `pods`: in the order of their requests."""

    meanwhile: Callable[[str], None] = staticmethod(lambda _: None)

    async def run(
        self,
        target: ContainerRef,
        argv: Sequence[str],
        *,
        stdin: bytes | None,
        timeout_s: float,
        stdout_limit: int,
    ) -> Reading:
        self.pods = [*getattr(self, "pods", []), target.pod]
        self.meanwhile(target.pod)
        return await super().run(target, argv, stdin=stdin, timeout_s=timeout_s, stdout_limit=stdout_limit)


class Fleet:
    """A Deployment of copies of the recorded source pod, in the same place."""

    def __init__(self, run: PathRun, number: int, limits: Limits | None = None) -> None:
        self.recording, self.inventory = Sent(run), inventory_of(run.plan)
        self.pods = [f"ship-{n}" for n in range(number)]
        source = run.plan.source.pod
        for age, name in enumerate(self.pods):
            self.add(name, created_at=float(age))
        self.workload = f"Deployment {source.namespace}/ships"
        self.inventory.workloads[self.workload] = set(self.pods)
        answers = AnswerCache(self.recording, self.recording.clock)
        port = RecordedPort(run.request.local_port)
        self.runner = ProbeRunner(
            self.inventory, answers, ExecClients(self.recording), self.recording.clock, port, limits=limits
        )
        self.run_ = run

    def add(self, name: str, **changes: float) -> None:
        plan = self.recording.run_.plan
        namespace = plan.source.pod.namespace
        self.inventory.pods[f"{namespace}/{name}"] = replace(
            plan.source.pod,
            name=name,
            ready=True,
            **changes,  # type: ignore[arg-type]
        )
        endpoint = self.inventory.cilium_endpoints[f"{namespace}/{plan.source.pod.name}"]
        self.inventory.cilium_endpoints[f"{namespace}/{name}"] = replace(endpoint, name=name)

    def change(self, name: str, **changes: object) -> None:
        key = f"{self.run_.plan.source.pod.namespace}/{name}"
        self.inventory.pods[key] = replace(self.inventory.pods[key], **changes)  # type: ignore[arg-type]

    def probe(self, select: str) -> Probe:
        made = probe_of(self.run_)
        source = {"workload": {"kind": "Deployment", "name": "ships"}, "select": select}
        spec = made.spec.model_dump(mode="json", exclude_unset=True) | {"source": source}
        return replace(made, spec=type(made.spec).model_validate(spec))

    async def result(self, select: str) -> RunResult:
        return await self.runner.run(self.probe(select))


def verdicts(result: RunResult) -> list[ProbeVerdict]:
    return [verdict_of(outcome) for outcome in result.outcomes]


async def test_the_same_pod_sends_in_every_run_while_it_is_ready() -> None:
    fleet = Fleet(recorded(HEALTHY), 3)
    for _ in range(3):
        assert verdicts(await fleet.result("One")) == ["Healthy"]
    assert fleet.recording.pods == ["ship-0"] * 3
    fleet.change("ship-0", ready=False)
    assert verdicts(await fleet.result("One")) == ["Healthy"]
    fleet.change("ship-0", ready=True)
    assert verdicts(await fleet.result("One")) == ["Healthy"]
    assert fleet.recording.pods == ["ship-0"] * 3 + ["ship-1"] * 2


async def test_if_the_pod_is_deleted_during_a_run_another_one_sends() -> None:
    fleet = Fleet(recorded(FAULTY), 2)

    def meanwhile(pod: str) -> None:
        if pod == "ship-0":
            fleet.change("ship-0", terminating=True)

    fleet.recording.meanwhile = meanwhile
    result = await fleet.result("One")
    assert fleet.recording.pods == ["ship-0", "ship-1"]
    [outcome] = result.outcomes
    assert isinstance(outcome, Diagnosis)
    assert outcome.plan.source.pod.name == "ship-1"
    assert outcome.verdict is ProbeVerdict.DEGRADED


async def test_a_pod_that_is_deleted_during_a_run_is_left_out() -> None:
    fleet = Fleet(recorded(FAULTY), 3)
    fleet.recording.meanwhile = lambda _: fleet.change("ship-1", terminating=True)
    result = await fleet.result("All")
    names = [outcome.plan.source.pod.name for outcome in result.outcomes if isinstance(outcome, Diagnosis)]
    assert sorted(names) == ["ship-0", "ship-2"]
    assert result.not_run == 0


async def test_if_all_pods_are_deleted_during_a_run_the_verdict_is_unknown() -> None:
    fleet = Fleet(recorded(FAULTY), 2)
    fleet.recording.meanwhile = lambda pod: fleet.change(pod, terminating=True)
    result = await fleet.result("One")
    assert fleet.recording.pods == ["ship-0", "ship-1"]
    assert verdicts(result) == ["Unknown"]
    assert result.worst.reason is Reason.IN_TRANSITION
    result = await fleet.result("One")
    assert isinstance(result.worst, CannotRun)
    assert result.worst.reason is Reason.IN_TRANSITION


@pytest.mark.parametrize("fault", ["endpoint-entry-missing", "connection-refused"])
async def test_a_destination_that_is_deleted_during_the_run_is_not_broken(fault: str) -> None:
    run = recorded(fault)
    target = run.plan.backends[0].pod_facts
    assert target
    fleet = Fleet(run, 1)
    name, namespace = target.pod.name, target.pod.namespace
    fleet.inventory.workloads[f"StatefulSet {namespace}/stars"] = {name}
    stars = {
        "kind": "StatefulSet",
        "name": "stars",
        "namespace": namespace,
        "port": run.plan.backends[0].port,
    }
    probe = fleet.probe("One")
    spec = probe.spec.model_dump(mode="json", exclude_unset=True) | {"destination": {"workload": stars}}
    probe = replace(probe, spec=type(probe.spec).model_validate(spec))
    assert verdicts(await fleet.runner.run(probe)) == ["Broken"]
    key = f"{namespace}/{name}"

    def delete(_: str) -> None:
        fleet.inventory.pods[key] = replace(fleet.inventory.pods[key], terminating=True)

    fleet.recording.meanwhile = delete
    result = await fleet.runner.run(probe)
    assert verdicts(result) == ["Unknown"]
    assert result.worst.reason is Reason.IN_TRANSITION


async def test_a_healthy_path_counts_although_its_pod_is_deleted() -> None:
    fleet = Fleet(recorded(HEALTHY), 1)
    fleet.recording.meanwhile = lambda pod: fleet.change(pod, terminating=True)
    assert verdicts(await fleet.result("One")) == ["Healthy"]


async def test_pairs_beyond_the_limit_take_turns_and_are_counted() -> None:
    fleet = Fleet(recorded(HEALTHY), 10, Limits(max_pairs=4))
    results = [await fleet.result("All") for _ in range(3)]
    assert [(len(result.outcomes), result.not_run) for result in results] == [(4, 6)] * 3
    assert len(set(fleet.recording.pods)) == 10
    assert all(result.pairs and len(result.pairs) == 10 for result in results)


async def test_the_evidence_of_some_paths_is_kept() -> None:
    fleet = Fleet(recorded(FAULTY), 2 * MAX_BUNDLES)
    result = await fleet.result("All")
    assert len(result.outcomes) == 2 * MAX_BUNDLES
    assert len(result.bundles) == MAX_BUNDLES
