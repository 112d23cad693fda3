"""Requests of a namespace in a minute: more of them wait, and the status says so. Simulated time."""

import asyncio
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.api.vocabulary import ProbeVerdict, Trigger
from datapath_probe.plan.plan import CannotRun
from datapath_probe.publish.status import status as statuses
from datapath_probe.runs.limits import Limits
from datapath_probe.runs.request_rate import RequestRate
from datapath_probe.runs.run_result import NextRun, RunRecord, RunResult
from unit.recorded import recorded
from unit.runs.recorded_cluster import play, probe_of

pytestmark = pytest.mark.looptime(noop_cycles=2)


async def sent_at(rate: RequestRate, namespace: str, sent: list[float] | None = None) -> float:
    await rate.turn(namespace)
    at = asyncio.get_running_loop().time()
    if sent is not None:
        sent.append(at)
    return at


async def test_no_minute_has_more_requests_and_they_go_in_order() -> None:
    rate, sent = RequestRate(3), list[float]()

    async def later(delay_s: float) -> float:
        await asyncio.sleep(delay_s)
        return await sent_at(rate, "default", sent)

    delays = (0, 10, 20, 25, 26, 27, 100)
    times = await asyncio.gather(*map(later, delays))
    assert [round(time) for time in times] == [0, 10, 20, 60, 70, 80, 120]
    assert sent == sorted(sent)


async def test_other_namespaces_do_not_wait() -> None:
    rate = RequestRate(1)
    busy = [asyncio.create_task(sent_at(rate, "busy")) for _ in range(3)]
    await asyncio.sleep(1)
    assert await sent_at(rate, "calm") == pytest.approx(1)
    assert [round(await task) for task in busy] == [0, 60, 120]


async def test_a_request_that_is_given_up_takes_no_turn() -> None:
    rate = RequestRate(1)
    await rate.turn("default")
    given_up, next_one = (asyncio.create_task(sent_at(rate, "default")) for _ in range(2))
    await asyncio.sleep(1)
    given_up.cancel()
    assert await next_one == pytest.approx(60)


async def test_idle_namespaces_are_forgotten_without_losing_their_limit() -> None:
    rate = RequestRate(1)
    for number in range(100):
        await rate.turn(f"namespace-{number}")
        await asyncio.sleep(1)
    assert len(rate._namespaces) <= 61
    assert await rate.turn("namespace-99") > 50


async def test_without_a_limit_none_waits() -> None:
    rate = RequestRate()
    assert [await rate.turn("default") for _ in range(1000)] == [0.0] * 1000


def ready_message(result: RunResult) -> str:
    probe = probe_of(recorded("healthy-cross-node"))
    record = RunRecord("id", Trigger.SCHEDULE, result.started, result)
    status = statuses.after_run(ProbeStatus(), probe, record, NextRun(result.ended + 60))
    [ready] = [condition for condition in status.conditions if condition.type == "Ready"]
    return ready.message


async def test_a_run_waits_for_its_turn_and_the_status_says_so() -> None:
    run = recorded("healthy-cross-node")
    _, runner, _ = play(run)
    runner._access = replace(runner._access, limits=Limits(max_requests_per_minute=1))
    first, second = [await runner.run(probe_of(run)) for _ in range(2)]
    assert asyncio.get_running_loop().time() == pytest.approx(60, abs=5)
    for result in (first, second):
        assert result.paths[0].verdict is ProbeVerdict.HEALTHY
    assert ready_message(first) == "runs every 60s"
    assert ready_message(second) == (
        "runs every 60s; its requests wait, because its namespace may send no more within a minute "
        "(--max-requests-per-minute)"
    )


async def test_a_run_that_waited_has_the_plan_of_its_turn() -> None:
    run = recorded("healthy-cross-node")
    recording, runner, inventory = play(run)
    runner._access = replace(runner._access, limits=Limits(max_requests_per_minute=1))
    await runner.run(probe_of(run))
    waiting = asyncio.create_task(runner.run(probe_of(run)))
    await asyncio.sleep(30)
    target = run.plan.backends[0].pod_facts
    assert target
    del inventory.pods[f"{target.pod.namespace}/{target.pod.name}"]
    outcome = (await waiting).worst
    assert isinstance(outcome, CannotRun)
    assert outcome.reason is Reason.DESTINATION_NOT_FOUND
    assert len(recording.sent) == 1
