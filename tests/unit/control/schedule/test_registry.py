"""The life of probes, from what the API server shows to what is run, written and told."""

import asyncio
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest

from datapath_probe.control.schedule.run_executor import RUN_MARGIN_S
from datapath_probe.control.schedule.scheduler import BEAT_S
from datapath_probe.plan.plan import CannotRun
from unit.control.world import World, body, world
from unit.publish.samples import PROFILE, diverging, healthy

pytestmark = pytest.mark.looptime

SEVERITY = "datapath-probe.dev/severity"


def triggers(made: World, name: str = "probe") -> str:
    return str(made.status(name)["lastRun"]["trigger"])


def conditions(made: World, name: str = "probe") -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in made.status(name)["conditions"]}


async def lived(seconds: float, **changes: Any) -> dict[str, Any]:
    """A probe that a former operator has run for so long, as the API server has it then."""
    async with world() as made:
        made.registry.observe(body(**changes))
        await asyncio.sleep(seconds)
    return dict(made.status())


async def test_a_new_probe_runs_within_seconds_and_then_at_its_interval() -> None:
    async with world() as made:
        made.registry.observe(body())
        await asyncio.sleep(5.2)
        assert len(made.runs) == 1
        assert triggers(made) == "Start"
        await asyncio.sleep(60)
        assert len(made.runs) == 2
        await asyncio.sleep(31)  # a run that says nothing new
        assert triggers(made) == "Schedule"


async def test_seeing_a_probe_again_unchanged_runs_nothing() -> None:
    async with world() as made:
        made.registry.observe(body(schedule={"interval": "1h"}))
        await asyncio.sleep(10)
        made.registry.observe(body(schedule={"interval": "1h"}, status=dict(made.status())))
        await asyncio.sleep(60)
        assert len(made.runs) == 1


async def test_a_changed_spec_runs_at_once_and_is_what_runs_use() -> None:
    async with world() as made:
        made.registry.observe(body())
        await asyncio.sleep(10)
        made.registry.observe(body(generation=2, request={"method": "POST"}))
        await asyncio.sleep(1)
        assert triggers(made) == "SpecChange"
        assert made.runs[-1][1].spec.request.method == "POST"
        assert made.status()["observedGeneration"] == 2


async def test_run_now_runs_once_for_each_value() -> None:
    async with world() as made:
        made.registry.observe(body(schedule={"interval": "1h"}))
        await asyncio.sleep(10)
        for value in ("a", "a", "b"):
            made.registry.observe(body(schedule={"interval": "1h"}, run_now=value))
            await asyncio.sleep(1)
        assert len(made.runs) == 3
        assert made.anew == [False, True, True]
        assert (triggers(made), made.status()["lastHandledRunNow"]) == ("RunNow", "b")


async def test_a_label_set_during_the_run_that_was_asked_for_asks_for_none() -> None:
    async with world() as made:
        made.takes_s = 5
        made.registry.observe(body(schedule={"interval": "1h"}))
        await asyncio.sleep(20)
        made.registry.observe(body(schedule={"interval": "1h"}, run_now="a"))
        await asyncio.sleep(1)
        labels = {"datapath-probe.dev/severity": "page"}
        made.registry.observe(body(schedule={"interval": "1h"}, run_now="a", labels=labels))
        await asyncio.sleep(60)
        assert len(made.runs) == 2


async def test_run_now_is_not_served_twice_by_a_restart() -> None:
    status = await lived(10, run_now="a")
    assert status["lastHandledRunNow"] == "a"
    async with world() as made:
        made.registry.observe(body(run_now="a", status=status))
        await asyncio.sleep(0.5)
        assert made.runs == []


async def test_packets_are_captured_once_for_each_value_also_across_a_restart() -> None:
    hourly: dict[str, Any] = {"schedule": {"interval": "1h"}}
    async with world() as made:
        made.registry.observe(body(**hourly))
        await asyncio.sleep(10)
        made.registry.observe(body(capture="a", **hourly))
        made.registry.observe(body(capture="a", labels={"x": "y"}, **hourly))
        await asyncio.sleep(10)
        assert made.captures == [False, True]
        made.registry.observe(body(capture="a", run_now="1", **hourly))
        await asyncio.sleep(10)
        assert made.captures == [False, True, False]
        assert made.status()["lastHandledCapture"] == "a"
        status = dict(made.status())
    async with world() as again:
        again.registry.observe(body(capture="a", run_now="1", status=status, **hourly))
        await asyncio.sleep(10)
        assert again.captures == []
        again.registry.observe(body(capture="b", run_now="1", status=status, **hourly))
        await asyncio.sleep(10)
        assert again.captures == [True]


async def test_a_very_long_run_now_is_served_once() -> None:
    long = "x" * 1000
    status = await lived(10, run_now=long)
    async with world() as made:
        made.registry.observe(body(run_now=long, status=status))
        await asyncio.sleep(0.5)
        assert made.runs == []


async def test_run_now_asked_for_while_nobody_watched_is_served() -> None:
    status = await lived(10)
    async with world() as made:
        made.registry.observe(body(run_now="a", status=status))
        await asyncio.sleep(0.5)
        assert triggers(made) == "RunNow"


async def test_a_spec_changed_while_nobody_watched_is_run() -> None:
    status = await lived(10)
    async with world() as made:
        made.registry.observe(body(generation=2, status=status))
        await asyncio.sleep(0.5)
        assert triggers(made) == "SpecChange"


async def test_a_restart_goes_on_with_counters_history_and_conditions() -> None:
    status = await lived(200)
    async with world() as made:
        made.outcome = diverging()
        made.registry.observe(body(status=status))
        await asyncio.sleep(65)
        counters, before = made.status()["counters"], status["counters"]
        assert counters["runs"] > before["runs"] >= 3
        assert counters["failures"] == counters["runs"] - before["runs"]
        assert made.status()["history"][-1] == status["history"][-1]
        assert conditions(made)["ExpectationMet"][0] == "False"
        assert [event.reason for event in made.told] == ["ProbeBroken"]


async def test_a_restart_tells_no_event_of_what_is_as_it_was() -> None:
    status = await lived(10)
    async with world() as made:
        made.registry.observe(body(status=status))
        await asyncio.sleep(130)
        assert made.told == []


async def test_a_run_that_ends_does_not_bring_back_labels_and_limits_that_changed_meanwhile() -> None:
    async with world() as made:
        made.takes_s = 20
        made.registry.observe(body(labels={SEVERITY: "ticket"}, expect={"maxLatency": "1s"}))
        await asyncio.sleep(10)
        assert len(made.runs) == 1
        made.registry.observe(body(labels={SEVERITY: "page"}))
        await asyncio.sleep(20)
        assert made.status()["verdict"] == "Healthy"
        assert 'severity="page"' in made.scraped()
        assert "latency_limit_seconds{" not in made.scraped()


async def test_a_new_way_is_written_at_once_told_and_counted_and_a_restart_tells_no_other() -> None:
    async with world() as made:
        made.registry.observe(body(schedule={"interval": "5s"}))
        await asyncio.sleep(12)
        assert made.told == []
        made.outcome = healthy(replace(PROFILE, routing="native"))
        await asyncio.sleep(5.5)
        status = dict(made.status())
        [event] = made.told
        assert (event.type, event.reason) == ("Normal", "PathChanged")
        assert event.note.startswith("routing vxlan → native (default/xwing@node2 → ")
        assert status["pathProfile"]["changeCount"] == 1
        assert status["pathProfile"]["lastChange"] == "routing vxlan → native"
        assert [run.get("pathChange") for run in status["history"]][:2] == ["routing vxlan → native", None]
        assert status["verdict"] == "Healthy"
    async with world() as again:
        again.outcome = healthy(replace(PROFILE, routing="native"))
        again.registry.observe(body(schedule={"interval": "5s"}, status=status))
        await asyncio.sleep(20)
        assert [told.key for told in again.told] in ([], [event.key])  # one key is one Event


async def test_a_verdict_and_a_condition_that_change_are_written_at_once_each() -> None:
    async with world() as made:
        made.registry.observe(body(schedule={"interval": "5s"}, threshold={"failures": 3}))
        await asyncio.sleep(21)
        made.outcome = diverging()
        await asyncio.sleep(5)
        assert made.status()["verdict"] == "Broken"
        assert conditions(made)["ExpectationMet"][0] == "True"
        await asyncio.sleep(10)
        assert conditions(made)["ExpectationMet"][0] == "False"
        assert made.status()["counters"]["consecutiveFailures"] == 3
        await asyncio.sleep(10)
        assert made.status()["counters"]["consecutiveFailures"] == 3


async def test_a_suspended_probe_does_not_run_until_it_is_resumed() -> None:
    async with world() as made:
        made.registry.observe(body())
        await asyncio.sleep(10)
        made.registry.observe(body(generation=2, suspend=True))
        await asyncio.sleep(1)
        assert conditions(made)["Ready"] == ("True", "Suspended")
        assert "nextRunTime" not in made.status()
        await asyncio.sleep(600)
        made.registry.observe(body(generation=2, suspend=True, run_now="a"))
        await asyncio.sleep(600)
        assert len(made.runs) == 1
        made.registry.observe(body(generation=3))
        await asyncio.sleep(1)
        assert triggers(made) == "SpecChange"
        assert conditions(made)["Ready"] == ("True", "Scheduled")
        assert made.status()["counters"]["skipped"] == 0


async def test_a_probe_suspended_in_mid_run_rests_at_once() -> None:
    async with world() as made:
        made.takes_s = 20
        made.registry.observe(body())
        await asyncio.sleep(10)
        made.registry.observe(body(generation=2, suspend=True))
        await asyncio.sleep(200)
        assert len(made.runs) == 1
        assert made.status()["counters"]["runs"] == 0
        assert conditions(made) == {"Ready": ("True", "Suspended")}
        assert made.status()["observedGeneration"] == 2


async def test_a_probe_made_suspended_is_told_so() -> None:
    async with world() as made:
        made.registry.observe(body(suspend=True))
        await asyncio.sleep(1)
        assert conditions(made) == {"Ready": ("True", "Suspended")}
        assert made.runs == []


async def test_a_spec_of_another_schema_stalls_and_recovers() -> None:
    async with world() as made:
        made.registry.observe(body(destination={"address": {"host": "example.org", "port": 443}}))
        await asyncio.sleep(100)
        assert made.runs == []
        assert conditions(made)["Stalled"] == ("True", "InvalidSpec")
        assert "spec.destination" in made.status()["summary"]
        made.registry.observe(body(generation=2, status=dict(made.status())))
        await asyncio.sleep(1)
        assert conditions(made)["Ready"] == ("True", "Scheduled")
        assert "Stalled" not in conditions(made)


async def test_a_deleted_probe_is_cancelled_in_mid_run_and_leaves_no_trace() -> None:
    async with world() as made:
        made.takes_s = 20
        made.registry.observe(body())
        await asyncio.sleep(10)
        made.registry.forget("uid-probe")
        await asyncio.sleep(200)
        assert (len(made.runs), made.written) == (1, {})
        assert not made.has_series("probe")


async def test_a_probe_being_deleted_is_gone_for_us() -> None:
    async with world() as made:
        made.registry.observe(body())
        await asyncio.sleep(10)
        leaving = body()
        leaving["metadata"]["deletionTimestamp"] = "2026-11-23T18:00:00Z"
        made.registry.observe(leaving)
        await asyncio.sleep(200)
        assert len(made.runs) == 1
        assert not made.has_series("probe")


async def test_a_probe_made_again_under_its_name_takes_the_place_of_the_old_one() -> None:
    async with world() as made:
        made.registry.observe(body())
        await asyncio.sleep(10)
        made.registry.observe(body(uid="uid-new"))
        await asyncio.sleep(10)
        assert made.registry.uids() == {"uid-new"}
        assert made.written["uid-new"]["counters"]["runs"] == 1
        made.registry.forget("uid-probe")
        assert made.has_series("probe")


async def test_a_probe_whose_status_nobody_takes_is_forgotten() -> None:
    async with world() as made:
        made.gone.add("uid-probe")
        made.registry.observe(body())
        await asyncio.sleep(200)
        assert len(made.runs) == 1
        assert made.registry.uids() == frozenset()
        assert not made.has_series("probe")


async def test_only_those_known_before_the_count_and_missing_in_it_are_forgotten() -> None:
    async with world() as made:
        for name in ("old", "here", "newer"):
            made.registry.observe(body(name))
        made.registry.forget_missing({"uid-old", "uid-here", "uid-unknown"}, {"uid-here"})
        assert made.registry.uids() == {"uid-here", "uid-newer"}


async def test_a_run_that_does_not_end_is_cancelled_and_unknown() -> None:
    async with world() as made:
        made.takes_s = 3600
        made.registry.observe(body(request={"timeout": "2s"}))
        await asyncio.sleep(2 + RUN_MARGIN_S + BEAT_S)
        assert (made.status()["verdict"], made.status()["reason"]) == ("Unknown", "RunTimeout")
        assert f"{2 + RUN_MARGIN_S:g} s" in made.status()["summary"]


async def test_a_runner_that_fails_makes_the_run_unknown_and_the_next_one_comes() -> None:
    async with world() as made:
        made.outcome = ZeroDivisionError("secret")
        made.registry.observe(body())
        await asyncio.sleep(10)
        assert made.status()["reason"] == "InternalError"
        assert "secret" not in str(made.status())
        made.outcome = CannotRun(made.status()["reason"], "x")
        await asyncio.sleep(60)
        assert len(made.runs) == 2


async def test_a_probe_that_could_not_be_taken_up_is_not_known_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world() as made:
        with monkeypatch.context() as patch:
            patch.setattr(made.scheduler, "resume", Mock(side_effect=RuntimeError))
            with pytest.raises(RuntimeError):
                made.registry.observe(body())
        assert made.registry.uids() == frozenset()
        made.registry.observe(body())
        await asyncio.sleep(20)
        assert made.runs


async def test_a_change_that_could_not_be_taken_up_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as made:
        made.registry.observe(body())
        await asyncio.sleep(20)
        ran = len(made.runs)
        with monkeypatch.context() as patch:
            patch.setattr(made.scheduler, "change", Mock(side_effect=RuntimeError))
            with pytest.raises(RuntimeError):
                made.registry.observe(body(generation=2))
        made.registry.observe(body(generation=2))
        await asyncio.sleep(1)
        assert len(made.runs) == ran + 1
