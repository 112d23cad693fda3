"""Runs and packet captures requested by annotation: once for each value."""

import asyncio
from typing import Any

import pytest

from unit.control.harness import body, running, status_after, trigger

pytestmark = pytest.mark.looptime


async def test_run_now_runs_once_for_each_value() -> None:
    async with running() as harness:
        harness.registry.observe(body(schedule={"interval": "1h"}))
        await asyncio.sleep(10)
        for value in ("a", "a", "b"):
            harness.registry.observe(body(schedule={"interval": "1h"}, run_now=value))
            await asyncio.sleep(1)
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
        await asyncio.sleep(10)
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
