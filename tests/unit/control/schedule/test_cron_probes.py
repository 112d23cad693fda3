"""Probes with a cron expression in the whole operator: what users see of their next run and of missed ones."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from unit.control.harness import EPOCH, body, conditions, running, status_after, trigger

pytestmark = pytest.mark.looptime

NIGHTLY = {"cron": "30 2 * * *", "timeZone": "Europe/Berlin"}
# EPOCH is 14:13:20 UTC on a day in summer; half past two in Berlin is half past midnight in UTC.
TONIGHT = datetime.fromtimestamp(EPOCH, UTC).replace(hour=0, minute=30, second=0) + timedelta(days=1)
UNTIL_TONIGHT_S = TONIGHT.timestamp() - EPOCH


def next_run(status: Any) -> datetime:
    return datetime.fromisoformat(status["nextRunTime"])


def is_soon_after(time: datetime, expected: datetime) -> bool:
    return expected <= time < expected + timedelta(seconds=5)


async def test_the_next_run_is_published() -> None:
    async with running() as harness:
        harness.registry.observe(body(schedule=NIGHTLY))
        await asyncio.sleep(10)
        assert trigger(harness) == "Start"
        assert is_soon_after(next_run(harness.status()), TONIGHT)
        ready = next(each for each in harness.status()["conditions"] if each["type"] == "Ready")
        assert ready["message"] == "runs at 30 2 * * * Europe/Berlin"
        await asyncio.sleep(UNTIL_TONIGHT_S + 60)
        assert trigger(harness) == "Schedule"
        assert is_soon_after(next_run(harness.status()), TONIGHT + timedelta(days=1))
        assert harness.status()["counters"]["runs"] == 2


async def test_after_a_restart_the_status_says_when_it_runs_next_and_what_was_missed() -> None:
    status = await status_after(10, schedule=NIGHTLY)
    lost = datetime.fromtimestamp(EPOCH, UTC) - timedelta(days=3)
    status["nextRunTime"] = lost.replace(hour=0, minute=30, second=2).isoformat()
    async with running() as harness:
        harness.registry.observe(body(schedule=NIGHTLY, status=status))
        await asyncio.sleep(60)
        assert harness.runs == [], "it runs at night only"
        assert is_soon_after(next_run(harness.status()), TONIGHT)
        assert harness.status()["counters"]["skipped"] == 4
        assert 'datapath_probe_runs_skipped_total{namespace="default",probe="probe"} 4.0' in harness.scraped()
        await asyncio.sleep(UNTIL_TONIGHT_S + 60)
        assert harness.status()["counters"]["skipped"] == 4
        assert harness.status()["counters"]["runs"] == 2


async def test_a_restart_before_the_next_run_writes_nothing() -> None:
    status = await status_after(10, schedule=NIGHTLY)
    async with running() as harness:
        harness.registry.observe(body(schedule=NIGHTLY, status=status))
        await asyncio.sleep(60)
        assert harness.written == {}


async def test_a_change_to_cron_runs_at_once_and_then_at_its_times() -> None:
    async with running() as harness:
        harness.registry.observe(body())
        await asyncio.sleep(30)
        harness.registry.observe(body(generation=2, schedule=NIGHTLY))
        await asyncio.sleep(30)
        assert trigger(harness) == "SpecChange"
        assert is_soon_after(next_run(harness.status()), TONIGHT)


async def test_an_expression_without_a_date_stalls_the_probe() -> None:
    async with running() as harness:
        harness.registry.observe(body(schedule={"cron": "0 0 30 2 *"}))
        await asyncio.sleep(10)
        assert conditions(harness)["Stalled"] == ("True", "InvalidSpec")
        assert "spec.schedule.cron: matches no date, such as February 30" in harness.status()["summary"]
