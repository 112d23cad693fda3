"""Large evidence is diagnosed in another process, with the same result, and never holds up the event loop."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, ProbeVerdict
from datapath_probe.collect.fair_slots import FairSlots
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.evidence.size import (
    LARGE_BYTES,
    LARGE_NODE_RULES_BYTES,
    has_large_node_rules,
    is_large,
    size_of,
    without_large_answers,
)
from datapath_probe.runs import diagnosis_process
from datapath_probe.runs.bounded_diagnosis import BoundedDiagnosis
from datapath_probe.runs.diagnosis_worker import LIMIT_S, DiagnosisLimitError, DiagnosisWorker
from datapath_probe.sources.netfilter import iptables
from unit.diagnose.netstack.test_netfilter import answered, inside
from unit.recorded import recorded
from unit.sources.worst_case import kube_proxy

FILTERED = "filter-drops-inside-the-destination"
DROP = "[68:4080] -A INPUT -p tcp -m tcp --dport 80 -j DROP\n"
OTHERS = "[9:9] -A INPUT -p tcp -m tcp --dport 9 -j ACCEPT\n"


def with_rules(number: int) -> PathRun:
    """The recorded run, with this many rules before the one that drops the packets."""
    run = recorded(FILTERED)
    rules = f"*filter\n:INPUT ACCEPT [0:0]\n{OTHERS * number}{DROP}COMMIT\n"
    return answered(run, iptables.fact(*inside(run)), rules)


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions of this module can be imported by another process."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3]))


@pytest.fixture
async def worker() -> AsyncIterator[DiagnosisWorker]:
    made = DiagnosisWorker(limit_s=30.0)
    yield made
    await made.close()


@pytest.mark.parametrize("name", [FILTERED, "healthy-service-cross-node", "ingress-policy-clusterwide-deny"])
async def test_another_process_comes_to_the_same_result(worker: DiagnosisWorker, name: str) -> None:
    run = recorded(name)
    assert await worker.call(diagnose, run) == diagnose(run)
    without = replace(run, evidence=type(run.evidence)())
    assert await worker.call(facts_of, without) == facts_of(without)


async def test_evidence_with_large_answers_is_diagnosed_in_another_process() -> None:
    class Counted(DiagnosisWorker):
        calls = 0

        async def call(self, function, run):  # type: ignore[no-untyped-def]
            self.calls += 1
            return await super().call(function, run)

    worker = Counted(limit_s=30.0)
    diagnosis = BoundedDiagnosis(worker, FairSlots(1).slot("default"))
    for number, calls in ((0, 0), (5_000, 1)):
        run = with_rules(number)
        found = await diagnosis.diagnose(run)
        assert found.divergence is not None
        assert (found.divergence.hop, found.reason) == (HopName.DESTINATION_INTERFACE, Reason.NETFILTER_DROPS)
        assert worker.calls == calls
        assert diagnosis.judged(run) is run
    await worker.close()


def loops(_: PathRun) -> None:
    while True:
        pass


def hoards(_: PathRun) -> None:
    held = [b"x" * (1 << 20) for _ in range(2 * diagnosis_process.MEMORY_BYTES >> 20)]
    raise AssertionError(len(held))


def fails(_: PathRun) -> None:
    raise LookupError("a reason")


def process_of(_: PathRun) -> int:
    return os.getpid()


async def test_a_call_that_reaches_a_limit_ends_its_process_and_no_other(worker: DiagnosisWorker) -> None:
    run = recorded(FILTERED)
    first = await worker.call(process_of, run)
    with pytest.raises(DiagnosisLimitError, match="memory"):
        await worker.call(hoards, run)
    second = await worker.call(process_of, run)
    worker._limit_s = 0.2
    with pytest.raises(DiagnosisLimitError, match=r"more than 0\.2 s"):
        await worker.call(loops, run)
    worker._limit_s = 30.0
    third = await worker.call(process_of, run)
    assert len({first, second, third, os.getpid()}) == 4
    with pytest.raises(LookupError, match="a reason"):
        await worker.call(fails, run)
    for process in (first, second, third):
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


async def test_a_canceled_call_leaves_no_result_for_the_next(worker: DiagnosisWorker) -> None:
    run = recorded(FILTERED)
    call = asyncio.create_task(worker.call(diagnose, run))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert isinstance(await worker.call(process_of, run), int)


async def test_a_call_does_not_wait_for_others_without_end() -> None:
    worker = DiagnosisWorker(limit_s=30.0, wait_s=0.01)
    busy = asyncio.create_task(worker.call(loops, recorded(FILTERED)))
    await asyncio.sleep(0)
    with pytest.raises(DiagnosisLimitError, match="others"):
        await worker.call(process_of, recorded(FILTERED))
    busy.cancel()
    await asyncio.gather(busy, return_exceptions=True)


@pytest.mark.looptime
async def test_a_call_of_a_newcomer_waits_for_one_call_of_another_namespace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each call of the other ends at the limit of time, and the process is started again. Simulated time."""
    mine = recorded(FILTERED)
    source = replace(mine.plan.source, pod=replace(mine.plan.source.pod, namespace="other"))
    others = replace(mine, plan=replace(mine.plan, source=source))

    async def called(self: DiagnosisWorker, function: object, run: PathRun) -> float:
        await asyncio.sleep(LIMIT_S + 1.0)
        return asyncio.get_running_loop().time()

    monkeypatch.setattr(DiagnosisWorker, "_call", called)
    worker = DiagnosisWorker()
    busy = [asyncio.create_task(worker.call(process_of, others)) for _ in range(4)]
    await asyncio.sleep(0.1)
    assert await worker.call(process_of, mine) == pytest.approx(2 * (LIMIT_S + 1.0))
    await asyncio.gather(*busy, return_exceptions=True)


async def test_a_process_that_was_killed_while_it_was_idle_is_replaced(worker: DiagnosisWorker) -> None:
    killed = await worker.call(process_of, recorded(FILTERED))
    assert worker._process is not None
    worker._process.kill()
    await worker._process.wait()
    assert await worker.call(process_of, recorded(FILTERED)) != killed


async def test_the_process_runs_no_code_of_the_current_directory(
    worker: DiagnosisWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "resource.py").write_text("raise SystemExit('code of the current directory')")
    monkeypatch.chdir(tmp_path)
    assert isinstance(await worker.call(process_of, recorded(FILTERED)), int)


async def test_an_idle_process_ends() -> None:
    worker = DiagnosisWorker(limit_s=30.0, idle_s=0.0)
    await worker.call(process_of, recorded(FILTERED))
    process = worker._process
    assert process is not None
    assert await process.wait() == 0
    assert worker._process is None


async def test_without_a_result_the_path_is_judged_without_its_large_answers() -> None:
    class Slow(DiagnosisWorker):
        calls = 0

        async def call(self, function, run):  # type: ignore[no-untyped-def]
            self.calls += 1
            raise DiagnosisLimitError("it took more than 5 s")

    worker = Slow()
    diagnosis = BoundedDiagnosis(worker, FairSlots(1).slot("default"))
    run = with_rules(5_000)
    for _ in range(2):
        found = await diagnosis.diagnose(run)
        assert found.verdict is ProbeVerdict.BROKEN
        assert found.divergence is None
        interface = next(f for f in found.findings if f.hop is HopName.DESTINATION_INTERFACE)
        assert interface.reason is Reason.ANSWERS_TOO_LARGE
        assert "more than 5 s" in interface.message
    assert worker.calls == 1
    judged = diagnosis.judged(run)
    assert not is_large(judged.evidence)
    assert diagnose(judged) == found, "so the saved run leads to the same verdict"


def test_the_largest_answers_are_left_out_first() -> None:
    run = recorded(FILTERED)
    assert not is_large(run.evidence)
    facts: Sequence[Fact] = sorted(run.evidence.readings, key=str)[:2]
    sizes = (LARGE_BYTES // 2, LARGE_BYTES)
    large = run.evidence.adding(facts, [Answer(0, b" " * size, b"", 7.0, 0.0) for size in sizes])
    assert is_large(large)
    left = without_large_answers(large, "too large")
    assert isinstance(left.latest(facts[0]), Answer)
    assert left.latest(facts[1]) == Unavailable("AnswersTooLarge", "too large", 7.0)
    assert left.first_readings() == run.evidence.first_readings()
    assert sum(size_of(r) for _, rs in left for r in rs) <= LARGE_BYTES


async def longest_hold_s(task: asyncio.Task[object], clock: Callable[[], float] = time.thread_time) -> float:
    """The longest time for which the event loop was held until the task is done: CPU time between two of its turns, so
    that other processes of a busy machine do not count. `clock`: that of the loop's thread, or of all threads.
    """
    longest_s, last = 0.0, clock()
    while not task.done():
        await asyncio.sleep(0.001)
        now = clock()
        longest_s, last = max(longest_s, now - last), now
    return longest_s


@pytest.mark.parametrize("number", [19_000, 150])
async def test_rules_of_a_pod_hold_up_the_event_loop_for_no_longer_than_a_moment(
    worker: DiagnosisWorker, number: int
) -> None:
    """Two readings of 1 MB, and as much as is still diagnosed at once. At once, they would take 0.2 s."""
    run = with_rules(number)
    assert is_large(run.evidence) is (number > 1000)
    holds_s = []
    for _ in range(2):
        task = asyncio.create_task(BoundedDiagnosis(worker, FairSlots(1).slot("default")).diagnose(run))
        holds_s.append(await longest_hold_s(task))
        assert task.result().divergence is not None
    assert min(holds_s) < 0.1, holds_s


def with_services(services: int) -> PathRun:
    """The recorded run, with the rules of kube-proxy on both nodes, as they are read before and after the pause."""
    run = recorded(FILTERED)
    source, target = run.plan.source.pod.node, inside(run)[0]
    for node in (source, target):
        for counted in (0, 3):
            rules = kube_proxy(services).replace(b"[9:540]", b"[%d:540]" % counted)
            answer = Answer(0, rules, b"", 7.0, 0.1)
            run = replace(run, evidence=run.evidence.adding([iptables.fact(node)], [answer]))
    return run


class Refusing(DiagnosisWorker):
    """Evidence with large rules of nodes does not go to the process."""

    async def call(self, function, run):  # type: ignore[no-untyped-def]
        raise AssertionError


@pytest.mark.parametrize("services", [60, 2_500])
async def test_rules_of_nodes_are_judged_in_this_process_with_the_same_result(services: int) -> None:
    run = with_services(services)
    diagnosis = BoundedDiagnosis(Refusing(), FairSlots(1).slot("default"))
    assert has_large_node_rules(run.evidence) is (services > 60)
    found, facts = await diagnosis.diagnose(run), await diagnosis.facts_of(run)
    answers = [reading for _, readings in run.evidence for reading in readings if isinstance(reading, Answer)]
    assert sum(size_of(answer) for answer in answers if answer.records) < LARGE_BYTES + LARGE_NODE_RULES_BYTES
    assert found == diagnose(run)
    assert found.divergence is not None
    assert found.divergence.hop is HopName.DESTINATION_INTERFACE
    assert diagnosis.judged(run) is run
    assert facts == facts_of(run)


async def test_large_rules_of_nodes_leave_the_event_loop_its_turns() -> None:
    """The most CPU time of both threads between two turns: that of the diagnosis holds the interpreter."""
    run = with_services(2_500)
    shares = []
    for _ in range(4):
        began = time.process_time()
        bounded = BoundedDiagnosis(Refusing(), FairSlots(1).slot("default"))
        task = asyncio.create_task(bounded.diagnose(run))
        longest_s = await longest_hold_s(task, time.process_time)
        shares.append(longest_s / (time.process_time() - began))
    assert min(shares) < 0.5, shares


def test_rules_of_pods_count_whatever_nodes_have() -> None:
    run = with_services(2_500)
    assert not is_large(run.evidence)
    large = with_rules(5_000)
    both = replace(large, evidence=type(run.evidence)({**run.evidence.readings, **large.evidence.readings}))
    assert is_large(both.evidence)
    left = without_large_answers(both.evidence, "too large")
    of_pod, of_node = iptables.fact(*inside(run)), iptables.fact(inside(run)[0])
    assert isinstance(left.latest(of_pod), Unavailable)
    assert isinstance(left.latest(of_node), Answer)
