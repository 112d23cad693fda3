"""The scheduler on a loop whose time is simulated: no test sleeps."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from datapath_probe.api.vocabulary import Trigger
from datapath_probe.control.schedule.scheduler import BEAT_S, Scheduler
from datapath_probe.control.schedule.timetable import Due
from datapath_probe.runs.run_result import NextRun

pytestmark = pytest.mark.looptime

EPOCH = 1_790_000_000.0


def clock() -> float:
    return EPOCH + asyncio.get_running_loop().time()


class Runs:
    """Runs that take a given time, and notes of what happened."""

    def __init__(self, takes_s: float = 0.1) -> None:
        self.takes_s = takes_s
        self.trouble: Exception | None = None
        self.at_end: Callable[[], None] | None = None  # is called between the end of a run and `ended`
        self.started: list[tuple[float, Due]] = []
        self.ends: list[tuple[Due, NextRun]] = []
        self.cancelled = 0
        self.under_way = 0
        self.most_under_way = 0

    async def run(self, due: Due) -> Due:
        self.started.append((clock(), due))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1
        if self.at_end:
            asyncio.get_running_loop().call_soon(self.at_end)
        return due

    def name(self, uid: str) -> str:
        return f"default/{uid}"

    def ended(self, result: Due, outlook: NextRun) -> None:
        if self.trouble:
            raise self.trouble
        self.ends.append((result, outlook))


@asynccontextmanager
async def serving(runs: Runs, max_concurrent_runs: int = 8) -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(clock, max_concurrent_runs)
    task = asyncio.create_task(scheduler.serve(runs))
    try:
        yield scheduler
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_probe_runs_once_an_interval_on_time() -> None:
    runs = Runs()
    async with serving(runs) as scheduler:
        scheduler.resume("a", 10, last_run=None)
        await asyncio.sleep(65)
    assert 7 <= len(runs.started) <= 8
    assert all(at - due.at < 0.01 for at, due in runs.started)
    assert [due.trigger for _, due in runs.started[1:]] == [Trigger.SCHEDULE] * (len(runs.started) - 1)


async def test_a_run_longer_than_the_interval_never_overlaps_itself() -> None:
    runs = Runs(takes_s=25)
    async with serving(runs) as scheduler:
        scheduler.resume("a", 10, last_run=None)
        await asyncio.sleep(300)
    assert runs.most_under_way == 1
    assert sum(outlook.skipped for _, outlook in runs.ends) >= len(runs.ends)


async def test_no_more_runs_at_once_than_allowed_and_none_is_lost() -> None:
    runs = Runs(takes_s=1)
    async with serving(runs, max_concurrent_runs=3) as scheduler:
        for number in range(30):
            scheduler.resume(f"uid-{number}", 3600, last_run=None)
        await asyncio.sleep(20)
    assert runs.most_under_way == 3
    assert len(runs.ends) == 30


async def test_what_is_asked_for_while_a_run_waits_for_its_turn_is_that_run() -> None:
    runs = Runs(takes_s=10)
    async with serving(runs, max_concurrent_runs=1) as scheduler:
        scheduler.change("a", 3600)
        await asyncio.sleep(1)
        scheduler.change("b", 3600)
        await asyncio.sleep(1)
        scheduler.run_now("b")
        await asyncio.sleep(60)
    assert [(due.uid, due.trigger) for _, due in runs.started] == [
        ("a", Trigger.SPEC_CHANGE),
        ("b", Trigger.RUN_NOW),
    ]


async def test_run_now_does_not_wait_for_the_next_beat() -> None:
    runs = Runs()
    async with serving(runs) as scheduler:
        scheduler.resume("a", 3600, last_run=clock())
        await asyncio.sleep(7.3)
        asked = clock()
        scheduler.run_now("a")
        await asyncio.sleep(1)
    assert [(at, due.trigger) for at, due in runs.started] == [(asked, Trigger.RUN_NOW)]


async def test_a_stopped_probe_is_cancelled_in_mid_run_and_nothing_is_told_of_it() -> None:
    runs = Runs(takes_s=60)
    async with serving(runs) as scheduler:
        scheduler.change("a", 10)
        await asyncio.sleep(1)
        scheduler.stop("a")
        await asyncio.sleep(200)
    assert (len(runs.started), runs.cancelled, runs.ends) == (1, 1, [])


async def test_a_probe_stopped_and_changed_at_once_runs_again_after_the_cancelled_run() -> None:
    runs = Runs(takes_s=5)
    async with serving(runs) as scheduler:
        scheduler.change("a", 3600)
        await asyncio.sleep(1)
        scheduler.stop("a")
        scheduler.change("a", 3600)
        await asyncio.sleep(10)
    assert (runs.cancelled, len(runs.started), len(runs.ends)) == (1, 2, 1)
    assert runs.most_under_way == 1


async def test_a_run_that_is_cancelled_before_it_has_begun_does_not_stop_the_probe_for_good() -> None:
    runs = Runs()
    async with serving(runs) as scheduler:
        scheduler.change("probe", 10)
        while not scheduler._runs:  # noqa: ASYNC110  # the task exists, and has not taken its first step
            await asyncio.sleep(0)
        scheduler.stop("probe")
        scheduler.change("probe", 10)
        await asyncio.sleep(25)
    assert len(runs.ends) >= 2


async def test_nothing_is_told_of_a_run_that_ended_in_the_moment_in_which_its_probe_was_stopped() -> None:
    def stop(scheduler: Scheduler) -> None:
        runs.at_end = None
        scheduler.stop("a")
        scheduler.change("a", 3600)

    runs = Runs(takes_s=5)
    async with serving(runs) as scheduler:
        scheduler.change("a", 3600)
        runs.at_end = lambda: stop(scheduler)
        await asyncio.sleep(20)
    assert (runs.cancelled, len(runs.started), len(runs.ends)) == (0, 2, 1)


async def test_trouble_with_telling_of_a_run_is_logged_with_the_probe_and_the_next_run_comes() -> None:
    runs = Runs()
    runs.trouble = KeyError("uid")
    with capture_logs() as logs:
        async with serving(runs) as scheduler:
            scheduler.change("a", 10)
            await asyncio.sleep(25)
    assert len(runs.started) >= 2
    assert {(line["log_level"], line["probe"]) for line in logs} == {("error", "default/a")}


async def test_stopping_cancels_the_runs_under_way() -> None:
    runs = Runs(takes_s=60)
    async with serving(runs) as scheduler:
        scheduler.change("a", 10)
        scheduler.change("b", 10)
        await asyncio.sleep(1)
    assert (runs.cancelled, runs.under_way, runs.ends) == (2, 0, [])


async def test_the_heart_beats_while_nothing_is_due() -> None:
    async with serving(Runs()) as scheduler:
        for _ in range(20):
            await asyncio.sleep(BEAT_S)
            assert clock() - scheduler.heartbeat <= BEAT_S


async def test_a_clock_that_is_set_back_silences_no_probe() -> None:
    runs, back_s = Runs(), 0.0
    scheduler = Scheduler(lambda: clock() - back_s, 8)
    task = asyncio.create_task(scheduler.serve(runs))
    scheduler.resume("a", 10, last_run=None)
    await asyncio.sleep(30)
    before, back_s = len(runs.started), 86_400
    await asyncio.sleep(30)
    assert len(runs.started) - before in (2, 3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_heart_stops_with_the_loop() -> None:
    async with serving(Runs()) as scheduler:
        await asyncio.sleep(1)
    await asyncio.sleep(60)
    assert clock() - scheduler.heartbeat > 55
