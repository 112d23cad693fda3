"""The timetable: slots, no overlap, skipped runs, restarts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.api.vocabulary import Trigger
from datapath_probe.control.schedule.timetable import Due, Timetable

NOW = 1_790_000_000.0


def first_slot(timetable: Timetable, uid: str, now: float = NOW) -> float:
    """Add a new probe, run it for 100 ms, and return its next slot."""
    due = timetable.resume(uid, 60, now, last_run=None)
    assert [d.uid for d in timetable.start_due(due)] == [uid]
    next_run = timetable.finish(uid, due + 0.1).next_run
    assert next_run is not None
    return next_run


def test_a_new_probe_runs_within_five_seconds() -> None:
    timetable = Timetable()
    for number in range(50):
        assert NOW <= timetable.resume(f"uid-{number}", 3600, NOW, last_run=None) <= NOW + 5
    assert {due.trigger for due in timetable.start_due(NOW + 5)} == {Trigger.START}


def test_probes_spread_over_their_interval_and_keep_their_slots() -> None:
    slots = [first_slot(Timetable(), f"uid-{number}") % 60 for number in range(60)]
    assert len({round(slot) for slot in slots}) > 30
    assert slots == [first_slot(Timetable(), f"uid-{number}", NOW + 7200) % 60 for number in range(60)]


def test_runs_start_at_the_interval_whatever_their_duration() -> None:
    timetable = Timetable()
    first = first_slot(timetable, "a")
    for number in range(5):
        assert timetable.start_due(first + 60 * number - 0.01) == []
        assert timetable.start_due(first + 60 * number) == [Due("a", Trigger.SCHEDULE, first + 60 * number)]
        next_run = timetable.finish("a", first + 60 * number + 31.7)
        assert next_run.next_run == first + 60 * (number + 1)
        assert next_run.skipped == 0


def test_slots_during_a_run_are_skipped_and_counted() -> None:
    timetable = Timetable()
    slot = first_slot(timetable, "a")
    timetable.start_due(slot)
    assert timetable.start_due(slot + 190) == []
    next_run = timetable.finish("a", slot + 190)
    assert next_run.skipped == 3
    assert next_run.next_run == slot + 240


def test_a_run_that_ends_at_a_slot_serves_it() -> None:
    timetable = Timetable()
    slot = first_slot(timetable, "a")
    timetable.start_due(slot)
    next_run = timetable.finish("a", slot + 60)
    assert (next_run.next_run, next_run.skipped) == (slot + 120, 1)
    timetable.start_due(slot + 120)
    assert timetable.finish("a", slot + 121).skipped == 0


@given(
    interval=st.integers(1, 86_400),
    lateness=st.lists(st.floats(0, 500_000, allow_nan=False), min_size=1, max_size=20),
)
def test_every_slot_is_run_or_counted(interval: int, lateness: list[float]) -> None:
    timetable = Timetable()
    now = timetable.resume("a", interval, NOW, last_run=NOW)
    first, runs, skipped = now, 0, 0
    for late in lateness:
        assert len(timetable.start_due(now)) == 1
        next_run = timetable.finish("a", now + late)
        assert next_run.next_run is not None
        assert next_run.next_run > now + late - 0.001
        runs, skipped, now = runs + 1, skipped + next_run.skipped, next_run.next_run
    assert runs + skipped == round((now - first) / interval)


def test_a_restart_keeps_the_slots() -> None:
    slot = first_slot(Timetable(), "a")
    timetable = Timetable()
    assert timetable.resume("a", 60, slot + 10, last_run=slot) == slot + 60
    assert timetable.start_due(slot + 60) == [Due("a", Trigger.SCHEDULE, slot + 60)]
    assert timetable.finish("a", slot + 61).skipped == 0


def test_slots_missed_while_the_operator_is_down_cause_one_run_and_are_counted() -> None:
    slot = first_slot(Timetable(), "a")
    timetable = Timetable()
    back = slot + 60 * 10 + 15
    due = timetable.resume("a", 60, back, last_run=slot + 0.4)
    assert back <= due <= back + 5
    assert [d.trigger for d in timetable.start_due(due)] == [Trigger.START]
    next_run = timetable.finish("a", due + 0.1)
    assert (next_run.skipped, next_run.next_run) == (9, slot + 60 * 11)


def test_run_now_runs_immediately_and_keeps_the_slots() -> None:
    timetable = Timetable()
    slot = first_slot(timetable, "a")
    timetable.request("a", Trigger.RUN_NOW, slot - 3)
    assert timetable.start_due(slot - 3) == [Due("a", Trigger.RUN_NOW, slot - 3)]
    next_run = timetable.finish("a", slot - 2)
    assert (next_run.next_run, next_run.skipped) == (slot, 0)


def test_run_now_during_a_run_runs_after_it() -> None:
    timetable = Timetable()
    slot = first_slot(timetable, "a")
    timetable.start_due(slot)
    timetable.request("a", Trigger.RUN_NOW, slot + 1)
    assert timetable.start_due(slot + 1) == []
    assert timetable.finish("a", slot + 2).next_run == slot + 2
    assert timetable.start_due(slot + 2) == [Due("a", Trigger.RUN_NOW, slot + 2)]


def test_a_changed_spec_runs_immediately_and_then_at_its_new_interval() -> None:
    timetable = Timetable()
    slot = first_slot(timetable, "a")
    timetable.change("a", 10, slot - 30)
    assert timetable.start_due(slot - 30) == [Due("a", Trigger.SPEC_CHANGE, slot - 30)]
    next_run = timetable.finish("a", slot - 29.5).next_run
    assert next_run is not None
    assert next_run - (slot - 29.5) <= 10


def test_a_spec_changed_during_a_run_runs_after_it() -> None:
    timetable = Timetable()
    slot = first_slot(timetable, "a")
    timetable.start_due(slot)
    timetable.change("a", 10, slot + 1)
    assert timetable.start_due(slot + 30) == []
    timetable.finish("a", slot + 2)
    assert [due.trigger for due in timetable.start_due(slot + 2)] == [Trigger.SPEC_CHANGE]


def test_a_stopped_probe_does_not_run() -> None:
    timetable = Timetable()
    first_slot(timetable, "a")
    timetable.stop("a")
    timetable.request("a", Trigger.RUN_NOW, NOW)
    assert timetable.next_due() is None
    assert timetable.start_due(NOW + 10_000) == []


def test_a_probe_stopped_and_changed_during_a_run_runs_after_it() -> None:
    timetable = Timetable()
    slot = first_slot(timetable, "a")
    timetable.start_due(slot)
    timetable.stop("a")
    timetable.change("a", 60, slot + 1)
    assert timetable.start_due(slot + 1) == []
    timetable.finish("a", slot + 2)
    assert [due.trigger for due in timetable.start_due(slot + 2)] == [Trigger.SPEC_CHANGE]
    timetable.stop("a")
    assert timetable.finish("a", slot + 3).next_run is None
    assert timetable.next_due() is None


@pytest.mark.parametrize("back", [600.0, 86_400.0])
def test_probes_run_on_after_the_clock_is_set_back(back: float) -> None:
    timetable = Timetable()
    slot = first_slot(timetable, "a")
    timetable.rebase(slot - back)
    due = timetable.next_due()
    assert due is not None
    assert due - (slot - back) <= 60
    timetable.start_due(due)
    assert timetable.finish("a", due + 1).skipped == 0


def test_repeated_requests_do_not_fill_the_heap() -> None:
    timetable = Timetable()
    now = timetable.resume("a", 8760 * 3600, NOW, last_run=None)
    for number in range(1000):
        assert [due.uid for due in timetable.start_due(now)] == ["a"]
        timetable.finish("a", now)
        timetable.resume(f"short-lived-{number}", 8760 * 3600, now, last_run=now)
        timetable.stop(f"short-lived-{number}")
        now += 60
        timetable.request("a", Trigger.RUN_NOW, now)
    assert len(timetable._heap) < 200
    assert timetable.next_due() == pytest.approx(now)
