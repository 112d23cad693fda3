"""Which observed changes of a probe start, stop and forget its runs."""

import asyncio
import time
from dataclasses import replace
from typing import Any, cast

import pytest

from datapath_probe.api.probe import Probe, ProbeMeta
from datapath_probe.control.schedule.registry import Registry
from datapath_probe.control.schedule.scheduler import Scheduler
from datapath_probe.publish.publisher import Publisher
from unit.control.harness import body, conditions, running, status_after, trigger

pytestmark = pytest.mark.looptime


async def test_a_new_probe_runs_within_seconds_and_then_at_its_interval() -> None:
    async with running() as harness:
        harness.registry.observe(body())
        await asyncio.sleep(5.2)
        assert len(harness.runs) == 1
        assert trigger(harness) == "Start"
        await asyncio.sleep(60)
        assert len(harness.runs) == 2
        await asyncio.sleep(31)  # a run without a change
        assert trigger(harness) == "Schedule"


async def test_an_unchanged_probe_does_not_run_again() -> None:
    async with running() as harness:
        harness.registry.observe(body(schedule={"interval": "1h"}))
        await asyncio.sleep(10)
        harness.registry.observe(body(schedule={"interval": "1h"}, status=dict(harness.status())))
        await asyncio.sleep(60)
        assert len(harness.runs) == 1


async def test_a_changed_spec_runs_immediately_with_the_new_spec() -> None:
    async with running() as harness:
        harness.registry.observe(body())
        await asyncio.sleep(10)
        harness.registry.observe(body(generation=2, request={"method": "POST"}))
        await asyncio.sleep(1)
        assert trigger(harness) == "SpecChange"
        assert harness.runs[-1][1].spec.request.method == "POST"
        assert harness.status()["observedGeneration"] == 2


async def test_a_spec_changed_while_the_operator_is_down_runs() -> None:
    status = await status_after(10)
    async with running() as harness:
        harness.registry.observe(body(generation=2, status=status))
        await asyncio.sleep(0.5)
        assert trigger(harness) == "SpecChange"


async def test_a_suspended_probe_does_not_run_until_it_is_resumed() -> None:
    async with running() as harness:
        harness.registry.observe(body())
        await asyncio.sleep(10)
        harness.registry.observe(body(generation=2, suspend=True))
        await asyncio.sleep(1)
        assert conditions(harness)["Ready"] == ("True", "Suspended")
        assert "nextRunTime" not in harness.status()
        await asyncio.sleep(600)
        harness.registry.observe(body(generation=2, suspend=True, run_now="a"))
        await asyncio.sleep(600)
        assert len(harness.runs) == 1
        harness.registry.observe(body(generation=3))
        await asyncio.sleep(1)
        assert trigger(harness) == "SpecChange"
        assert conditions(harness)["Ready"] == ("True", "Scheduled")
        assert harness.status()["counters"]["skipped"] == 0


async def test_a_probe_suspended_during_a_run_stops_immediately() -> None:
    async with running() as harness:
        harness.takes_s = 20
        harness.registry.observe(body())
        await asyncio.sleep(10)
        harness.registry.observe(body(generation=2, suspend=True))
        await asyncio.sleep(200)
        assert len(harness.runs) == 1
        assert harness.status()["counters"]["runs"] == 0
        assert conditions(harness) == {"Ready": ("True", "Suspended")}
        assert harness.status()["observedGeneration"] == 2


async def test_a_probe_created_suspended_has_the_condition() -> None:
    async with running() as harness:
        harness.registry.observe(body(suspend=True))
        await asyncio.sleep(1)
        assert conditions(harness) == {"Ready": ("True", "Suspended")}
        assert harness.runs == []


async def test_a_spec_of_another_schema_stalls_and_recovers() -> None:
    async with running() as harness:
        harness.registry.observe(body(destination={"cluster": {"name": "other", "port": 443}}))
        await asyncio.sleep(100)
        assert harness.runs == []
        assert conditions(harness)["Stalled"] == ("True", "InvalidSpec")
        assert "spec.destination" in harness.status()["summary"]
        harness.registry.observe(body(generation=2, status=dict(harness.status())))
        await asyncio.sleep(1)
        assert conditions(harness)["Ready"] == ("True", "Scheduled")
        assert "Stalled" not in conditions(harness)


async def test_deletion_cancels_the_run_and_removes_status_and_metrics() -> None:
    async with running() as harness:
        harness.takes_s = 20
        harness.registry.observe(body())
        await asyncio.sleep(10)
        harness.registry.forget("uid-probe")
        await asyncio.sleep(200)
        assert (len(harness.runs), harness.written) == (1, {})
        assert not harness.has_series("probe")
        assert harness.forgotten == ["uid-probe"]


async def test_a_terminating_probe_does_not_run() -> None:
    async with running() as harness:
        harness.registry.observe(body())
        await asyncio.sleep(10)
        terminating = body()
        terminating["metadata"]["deletionTimestamp"] = "2026-11-23T18:00:00Z"
        harness.registry.observe(terminating)
        await asyncio.sleep(200)
        assert len(harness.runs) == 1
        assert not harness.has_series("probe")


async def test_a_recreated_probe_replaces_the_old_one() -> None:
    async with running() as harness:
        harness.registry.observe(body())
        await asyncio.sleep(10)
        harness.registry.observe(body(uid="uid-new"))
        await asyncio.sleep(10)
        assert harness.registry.uids() == {"uid-new"}
        assert harness.written["uid-new"]["counters"]["runs"] == 1
        harness.registry.forget("uid-probe")
        assert harness.has_series("probe")


class Idle:
    """A scheduler and a publisher that do nothing."""

    def __getattr__(self, _: str) -> Any:
        return lambda *_: None


def registering_s(number: int) -> float:
    """CPU seconds to register this many probes, without what the scheduler and the publisher do."""
    registry = Registry(cast("Scheduler", Idle()), cast("Publisher", Idle()))
    metadata = [body(f"probe-{each}")["metadata"] for each in range(number)]
    began = time.process_time()
    for each in metadata:
        registry.observe({"metadata": each})
    return time.process_time() - began


def test_the_cost_of_registering_a_probe_does_not_grow_with_their_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    suspended = Probe.from_object(body(suspend=True))
    monkeypatch.setattr(
        Probe, "from_object", lambda seen: replace(suspended, meta=ProbeMeta.from_object(seen["metadata"]))
    )
    ratio = min(registering_s(4000) / registering_s(500) for _ in range(3))
    assert ratio < 20, "8 if it is linear, about 90 if all probes are searched for each new one"


async def test_a_probe_whose_status_is_not_found_is_forgotten() -> None:
    async with running() as harness:
        harness.gone.add("uid-probe")
        harness.registry.observe(body())
        await asyncio.sleep(200)
        assert len(harness.runs) == 1
        assert harness.registry.uids() == frozenset()
        assert not harness.has_series("probe")


async def test_only_probes_registered_before_the_list_and_missing_from_it_are_forgotten() -> None:
    async with running() as harness:
        for name in ("old", "here", "newer"):
            harness.registry.observe(body(name))
        harness.registry.forget_missing({"uid-old", "uid-here", "uid-unknown"}, {"uid-here"})
        assert harness.registry.uids() == {"uid-here", "uid-newer"}
