"""What runs publish: status, conditions, Events and metrics, also across a restart."""

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from unit.control.harness import body, conditions, running, status_after
from unit.publish.samples import PROFILE, diverging, healthy

pytestmark = pytest.mark.looptime

SEVERITY = "datapath-probe.dev/severity"


async def test_a_restart_keeps_counters_history_and_conditions() -> None:
    status = await status_after(200)
    async with running() as harness:
        harness.outcome = diverging()
        harness.registry.observe(body(status=status))
        await asyncio.sleep(65)
        counters, before = harness.status()["counters"], status["counters"]
        assert counters["runs"] > before["runs"] >= 3
        assert counters["failures"] == counters["runs"] - before["runs"]
        assert harness.status()["history"][-1] == status["history"][-1]
        assert conditions(harness)["ExpectationMet"][0] == "False"
        assert [event.reason for event in harness.events] == ["ProbeBroken"]


async def test_a_restart_sends_no_event_for_an_unchanged_verdict() -> None:
    status = await status_after(10)
    async with running() as harness:
        harness.registry.observe(body(status=status))
        await asyncio.sleep(130)
        assert harness.events == []


async def test_the_end_of_a_run_does_not_restore_labels_and_limits_that_changed_meanwhile() -> None:
    async with running() as harness:
        harness.takes_s = 20
        harness.registry.observe(body(labels={SEVERITY: "warning"}, expect={"maxLatency": "1s"}))
        await asyncio.sleep(10)
        assert len(harness.runs) == 1
        harness.registry.observe(body(labels={SEVERITY: "critical"}))
        await asyncio.sleep(20)
        assert harness.status()["verdict"] == "Healthy"
        assert 'severity="critical"' in harness.scraped()
        assert "latency_limit_seconds{" not in harness.scraped()


async def test_a_path_change_is_written_immediately_counted_and_sent_as_one_event_across_a_restart() -> None:
    async with running() as harness:
        harness.registry.observe(body(schedule={"interval": "5s"}))
        await asyncio.sleep(12)
        assert harness.events == []
        harness.outcome = healthy(replace(PROFILE, routing="native"))
        await asyncio.sleep(5.5)
        status = dict(harness.status())
        [event] = harness.events
        assert (event.type, event.reason) == ("Normal", "PathChanged")
        assert event.note.startswith("routing vxlan → native (default/xwing@node2 → ")
        assert status["pathProfile"]["changeCount"] == 1
        assert status["pathProfile"]["lastChange"] == "routing vxlan → native"
        assert [run.get("pathChange") for run in status["history"]][:2] == ["routing vxlan → native", None]
        assert status["verdict"] == "Healthy"
    async with running() as again:
        again.outcome = healthy(replace(PROFILE, routing="native"))
        again.registry.observe(body(schedule={"interval": "5s"}, status=status))
        await asyncio.sleep(20)
        assert [sent.key for sent in again.events] in ([], [event.key])  # one key is one Event


async def test_a_changed_verdict_and_a_changed_condition_are_written_immediately() -> None:
    async with running() as harness:
        harness.registry.observe(body(schedule={"interval": "5s"}, threshold={"failures": 3}))
        await asyncio.sleep(21)
        harness.outcome = diverging()
        await asyncio.sleep(5)
        assert harness.status()["verdict"] == "Broken"
        assert conditions(harness)["ExpectationMet"][0] == "True"
        await asyncio.sleep(10)
        assert conditions(harness)["ExpectationMet"][0] == "False"
        assert harness.status()["counters"]["consecutiveFailures"] == 3
        await asyncio.sleep(10)
        assert harness.status()["counters"]["consecutiveFailures"] == 3


async def test_the_log_reports_runs_that_change_the_verdict_and_the_others_at_level_debug() -> None:
    with capture_logs() as logs:
        async with running() as harness:
            harness.registry.observe(body(schedule={"interval": "5s"}))
            await asyncio.sleep(12)
            harness.outcome = diverging()
            await asyncio.sleep(12)
    ended = [(line["verdict"], line["log_level"]) for line in logs if line["event"] == "run ended"]
    of_healthy = [level for verdict, level in ended if verdict == "Healthy"]
    of_broken = [level for verdict, level in ended if verdict == "Broken"]
    assert of_healthy == ["info"] + ["debug"] * (len(of_healthy) - 1)
    assert of_broken == ["info"] + ["debug"] * (len(of_broken) - 1)
    assert min(len(of_healthy), len(of_broken)) >= 2
