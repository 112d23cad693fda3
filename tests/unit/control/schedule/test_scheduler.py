"""The scheduler, in simulated time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from datapath_probe.api.vocabulary import Trigger
from datapath_probe.collect.fair_slots import FairSlots, Slot
from datapath_probe.control.schedule.scheduler import HEARTBEAT_INTERVAL_S, Scheduler
from datapath_probe.control.schedule.timetable import Due
from datapath_probe.runs.run_result import NextRun

pytestmark = pytest.mark.looptime

EPOCH = 1_790_000_000.0


def clock() -> float:
    return EPOCH + asyncio.get_running_loop().time()


class Runs:
    """Runs of a given duration, with a record of what happened."""

    def __init__(self, takes_s: float = 0.1) -> None:
        self.takes_s = takes_s
        self.error: Exception | None = None
        self.at_end: Callable[[], None] | None = None  # called between the end of a run and `ended`
        self.started: list[tuple[float, Due]] = []
        self.ends: list[tuple[Due, NextRun]] = []
        self.canceled = 0
        self.in_progress = 0
        self.most_in_progress = 0

    async def run(self, due: Due, slot: Slot) -> Due:
        self.started.append((clock(), due))
        self.in_progress += 1
        self.most_in_progress = max(self.most_in_progress, self.in_progress)
        try:
            await asyncio.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.canceled += 1
            raise
        finally:
            self.in_progress -= 1
        if self.at_end:
            asyncio.get_running_loop().call_soon(self.at_end)
        return due

    def name(self, uid: str) -> str:
        return f"default/{uid}"

    def namespace(self, uid: str) -> str:
        return "default"

    def ended(self, result: Due, next_run: NextRun) -> None:
        if self.error:
            raise self.error
        self.ends.append((result, next_run))


@asynccontextmanager
async def serving(runs: Runs, max_concurrent_runs: int = 8) -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(clock, FairSlots(max_concurrent_runs))
    task = asyncio.create_task(scheduler.serve(runs))
    try:
        yield scheduler
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_probe_runs_on_time_once_per_interval() -> None:
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
    assert runs.most_in_progress == 1
    assert sum(next_run.skipped for _, next_run in runs.ends) >= len(runs.ends)


async def test_concurrent_runs_are_limited_and_none_is_lost() -> None:
    runs = Runs(takes_s=1)
    async with serving(runs, max_concurrent_runs=3) as scheduler:
        for number in range(30):
            scheduler.resume(f"uid-{number}", 3600, last_run=None)
        await asyncio.sleep(20)
    assert runs.most_in_progress == 3
    assert len(runs.ends) == 30


async def test_a_waiting_run_also_serves_a_request() -> None:
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


async def test_run_now_does_not_wait_for_the_next_heartbeat() -> None:
    runs = Runs()
    async with serving(runs) as scheduler:
        scheduler.resume("a", 3600, last_run=clock())
        await asyncio.sleep(7.3)
        requested_at = clock()
        scheduler.run_now("a")
        await asyncio.sleep(1)
    assert [(at, due.trigger) for at, due in runs.started] == [(requested_at, Trigger.RUN_NOW)]


async def test_stopping_a_probe_cancels_its_run_and_discards_the_result() -> None:
    runs = Runs(takes_s=60)
    async with serving(runs) as scheduler:
        scheduler.change("a", 10)
        await asyncio.sleep(1)
        scheduler.stop("a")
        await asyncio.sleep(200)
    assert (len(runs.started), runs.canceled, runs.ends) == (1, 1, [])


async def test_a_probe_stopped_and_changed_runs_again_after_the_canceled_run() -> None:
    runs = Runs(takes_s=5)
    async with serving(runs) as scheduler:
        scheduler.change("a", 3600)
        await asyncio.sleep(1)
        scheduler.stop("a")
        scheduler.change("a", 3600)
        await asyncio.sleep(10)
    assert (runs.canceled, len(runs.started), len(runs.ends)) == (1, 2, 1)
    assert runs.most_in_progress == 1


async def test_a_run_canceled_before_its_start_does_not_stop_the_probe() -> None:
    runs = Runs()
    async with serving(runs) as scheduler:
        scheduler.change("probe", 10)
        while not scheduler._runs:  # noqa: ASYNC110  # the task exists and has not started
            await asyncio.sleep(0)
        scheduler.stop("probe")
        scheduler.change("probe", 10)
        await asyncio.sleep(25)
    assert len(runs.ends) >= 2


async def test_a_run_that_ends_while_its_probe_is_stopped_is_discarded() -> None:
    def stop(scheduler: Scheduler) -> None:
        runs.at_end = None
        scheduler.stop("a")
        scheduler.change("a", 3600)

    runs = Runs(takes_s=5)
    async with serving(runs) as scheduler:
        scheduler.change("a", 3600)
        runs.at_end = lambda: stop(scheduler)
        await asyncio.sleep(20)
    assert (runs.canceled, len(runs.started), len(runs.ends)) == (0, 2, 1)


async def test_a_failed_publication_is_logged_with_the_probe_and_the_next_run_starts() -> None:
    runs = Runs()
    runs.error = KeyError("uid")
    with capture_logs() as logs:
        async with serving(runs) as scheduler:
            scheduler.change("a", 10)
            await asyncio.sleep(25)
    assert len(runs.started) >= 2
    assert {(line["log_level"], line["probe"]) for line in logs} == {("error", "default/a")}


async def test_shutdown_cancels_the_runs_in_progress() -> None:
    runs = Runs(takes_s=60)
    async with serving(runs) as scheduler:
        scheduler.change("a", 10)
        scheduler.change("b", 10)
        await asyncio.sleep(1)
    assert (runs.canceled, runs.in_progress, runs.ends) == (2, 0, [])


async def test_the_heartbeat_continues_while_nothing_is_due() -> None:
    async with serving(Runs()) as scheduler:
        for _ in range(20):
            await asyncio.sleep(HEARTBEAT_INTERVAL_S)
            assert clock() - scheduler.heartbeat <= HEARTBEAT_INTERVAL_S


async def test_probes_run_on_after_the_clock_is_set_back() -> None:
    runs, back_s = Runs(), 0.0
    scheduler = Scheduler(lambda: clock() - back_s, FairSlots(8))
    task = asyncio.create_task(scheduler.serve(runs))
    scheduler.resume("a", 10, last_run=None)
    await asyncio.sleep(30)
    before, back_s = len(runs.started), 86_400
    await asyncio.sleep(30)
    assert len(runs.started) - before in (2, 3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_heartbeat_stops_with_the_loop() -> None:
    async with serving(Runs()) as scheduler:
        await asyncio.sleep(1)
    await asyncio.sleep(60)
    assert clock() - scheduler.heartbeat > 55
