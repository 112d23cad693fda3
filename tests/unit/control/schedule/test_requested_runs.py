"""Runs and packet captures requested by annotation: once for each value."""

import asyncio
import itertools
from typing import Any

import pytest

from datapath_probe.control.schedule.timetable import REQUEST_INTERVAL_MS
from unit.control.harness import Harness, body, running, status_after, trigger

pytestmark = pytest.mark.looptime

REQUEST_INTERVAL_S = REQUEST_INTERVAL_MS / 1000
HOURLY: dict[str, Any] = {"schedule": {"interval": "1h"}}


async def test_requests_that_come_sooner_than_every_5_s_are_served_by_one_run() -> None:
    async with running() as harness:
        harness.registry.observe(body(**HOURLY))
        await asyncio.sleep(10)
        for number in range(300):
            harness.registry.observe(body(run_now=f"{number}", **HOURLY))
            await asyncio.sleep(0.2)
        await asyncio.sleep(10)
        at = [start for start, _ in harness.runs[1:]]
        assert len(at) == 13
        assert all(later - earlier >= REQUEST_INTERVAL_S for earlier, later in itertools.pairwise(at))
        assert harness.status()["lastHandledRunNow"] == "299"


async def test_spec_changes_run_at_most_every_5_s_and_the_last_one_counts() -> None:
    async with running() as harness:
        harness.registry.observe(body())
        await asyncio.sleep(10)
        for generation in range(2, 102):
            spec: dict[str, Any] = {"suspend": True} if generation % 2 else {}
            harness.registry.observe(body(generation=generation, **spec))
            await asyncio.sleep(0.2)
        harness.registry.observe(body(generation=102, request={"method": "POST"}))
        await asyncio.sleep(6)
        requested = [probe for _, probe in harness.runs[1:]]
        assert len(requested) <= 6
        assert requested[-1].spec.request.method == "POST"


async def test_scheduled_runs_go_on_while_a_request_waits_and_do_not_count_as_it() -> None:
    async with running() as harness:
        harness.registry.observe(body(schedule={"interval": "1s"}))
        await asyncio.sleep(10)
        for value in ("a", "b"):
            harness.registry.observe(body(schedule={"interval": "1s"}, run_now=value))
            await asyncio.sleep(1.5)
        assert harness.status()["lastHandledRunNow"] == "a"
        before = len(harness.runs)
        await asyncio.sleep(2)
        assert len(harness.runs) - before >= 1
        assert harness.status()["lastHandledRunNow"] == "a"
        await asyncio.sleep(3)
        assert harness.status()["lastHandledRunNow"] == "b"
        assert harness.fresh.count(True) == 2


async def test_a_request_that_waits_is_served_after_a_restart() -> None:
    async with running() as harness:
        harness.registry.observe(body(**HOURLY))
        await asyncio.sleep(10)
        for value in ("a", "b"):
            harness.registry.observe(body(run_now=value, **HOURLY))
            await asyncio.sleep(1)
        status = dict(harness.status())
    assert status["lastHandledRunNow"] == "a"
    async with running() as again:
        again.registry.observe(body(run_now="b", status=status, **HOURLY))
        await asyncio.sleep(1)
        assert again.status()["lastHandledRunNow"] == "b"
        await asyncio.sleep(20)
        assert len(again.runs) == 1


def ready_message(harness: Harness) -> str:
    return next(str(each["message"]) for each in harness.status()["conditions"] if each["type"] == "Ready")


async def test_captures_of_a_probe_are_a_minute_apart_and_the_status_says_when_the_next_one_is() -> None:
    async with running() as harness:
        harness.registry.observe(body(schedule={"interval": "10s"}))
        await asyncio.sleep(15)
        for value in ("a", "b", "c"):
            harness.registry.observe(body(capture=value, schedule={"interval": "10s"}))
            await asyncio.sleep(2)
        assert harness.captures.count(True) == 1
        assert "the requested packet capture starts at " in ready_message(harness)
        await asyncio.sleep(30)
        assert "the requested packet capture starts at " in ready_message(harness), "also after other runs"
        assert harness.status()["lastHandledCapture"] == "a"
        await asyncio.sleep(60)
        at = [start for (start, _), capture in zip(harness.runs, harness.captures, strict=True) if capture]
        assert len(at) == 2
        assert 60 <= at[1] - at[0] < 62
        assert harness.status()["lastHandledCapture"] == "c"
        assert ready_message(harness) == "runs every 10s"


async def test_run_now_runs_once_for_each_value() -> None:
    async with running() as harness:
        harness.registry.observe(body(schedule={"interval": "1h"}))
        await asyncio.sleep(10)
        for value in ("a", "a", "b"):
            harness.registry.observe(body(schedule={"interval": "1h"}, run_now=value))
            await asyncio.sleep(REQUEST_INTERVAL_S)
        assert len(harness.runs) == 3
        assert harness.fresh == [False, True, True]
        assert (trigger(harness), harness.status()["lastHandledRunNow"]) == ("RunNow", "b")


async def test_a_label_change_during_a_requested_run_requests_no_other() -> None:
    async with running() as harness:
        harness.takes_s = 5
        harness.registry.observe(body(schedule={"interval": "1h"}))
        await asyncio.sleep(20)
        harness.registry.observe(body(schedule={"interval": "1h"}, run_now="a"))
        await asyncio.sleep(1)
        labels = {"datapath-probe.dev/severity": "critical"}
        harness.registry.observe(body(schedule={"interval": "1h"}, run_now="a", labels=labels))
        await asyncio.sleep(60)
        assert len(harness.runs) == 2


async def test_run_now_is_not_served_again_after_a_restart() -> None:
    status = await status_after(10, run_now="a")
    assert status["lastHandledRunNow"] == "a"
    async with running() as harness:
        harness.registry.observe(body(run_now="a", status=status))
        await asyncio.sleep(0.5)
        assert harness.runs == []


async def test_a_capture_runs_once_for_each_value_also_across_a_restart() -> None:
    hourly: dict[str, Any] = {"schedule": {"interval": "1h"}}
    async with running() as harness:
        harness.registry.observe(body(**hourly))
        await asyncio.sleep(10)
        harness.registry.observe(body(capture="a", **hourly))
        harness.registry.observe(body(capture="a", labels={"x": "y"}, **hourly))
        await asyncio.sleep(10)
        assert harness.captures == [False, True]
        harness.registry.observe(body(capture="a", run_now="1", **hourly))
        await asyncio.sleep(10)
        assert harness.captures == [False, True, False]
        assert harness.status()["lastHandledCapture"] == "a"
        status = dict(harness.status())
    async with running() as again:
        again.registry.observe(body(capture="a", run_now="1", status=status, **hourly))
        await asyncio.sleep(10)
        assert again.captures == []
        again.registry.observe(body(capture="b", run_now="1", status=status, **hourly))
        await asyncio.sleep(60)
        assert again.captures == [True]


async def test_a_very_long_run_now_value_is_served_once() -> None:
    long = "x" * 1000
    status = await status_after(10, run_now=long)
    async with running() as harness:
        harness.registry.observe(body(run_now=long, status=status))
        await asyncio.sleep(0.5)
        assert harness.runs == []


async def test_run_now_set_while_the_operator_is_down_is_served() -> None:
    status = await status_after(10)
    async with running() as harness:
        harness.registry.observe(body(run_now="a", status=status))
        await asyncio.sleep(0.5)
        assert trigger(harness) == "RunNow"
