"""The schedule: grids, no overlap, skipped runs, restarts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.api.vocabulary import Trigger
from datapath_probe.control.schedule.timetable import Due, Timetable

NOW = 1_790_000_000.0


def started_alone(timetable: Timetable, uid: str, now: float = NOW) -> float:
    """Take up a new probe, run it for 100 ms, and give the next point of its grid."""
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


def test_probes_spread_over_their_interval_and_keep_their_place() -> None:
    points = [started_alone(Timetable(), f"uid-{number}") % 60 for number in range(60)]
    assert len({round(point) for point in points}) > 30
    assert points == [started_alone(Timetable(), f"uid-{number}", NOW + 7200) % 60 for number in range(60)]


def test_runs_follow_at_the_interval_whatever_they_take() -> None:
    timetable = Timetable()
    first = started_alone(timetable, "a")
    for number in range(5):
        assert timetable.start_due(first + 60 * number - 0.01) == []
        assert timetable.start_due(first + 60 * number) == [Due("a", Trigger.SCHEDULE, first + 60 * number)]
        outlook = timetable.finish("a", first + 60 * number + 31.7)
        assert outlook.next_run == first + 60 * (number + 1)
        assert outlook.skipped == 0


def test_a_run_under_way_is_not_started_again_and_what_it_covers_is_counted_as_skipped() -> None:
    timetable = Timetable()
    point = started_alone(timetable, "a")
    timetable.start_due(point)
    assert timetable.start_due(point + 190) == []
    outlook = timetable.finish("a", point + 190)
    assert outlook.skipped == 3
    assert outlook.next_run == point + 240


def test_a_run_that_ends_on_a_grid_point_serves_it() -> None:
    timetable = Timetable()
    point = started_alone(timetable, "a")
    timetable.start_due(point)
    outlook = timetable.finish("a", point + 60)
    assert (outlook.next_run, outlook.skipped) == (point + 120, 1)
    timetable.start_due(point + 120)
    assert timetable.finish("a", point + 121).skipped == 0


@given(
    interval=st.integers(1, 86_400),
    lateness=st.lists(st.floats(0, 500_000, allow_nan=False), min_size=1, max_size=20),
)
def test_every_grid_point_is_run_or_counted(interval: int, lateness: list[float]) -> None:
    timetable = Timetable()
    now = timetable.resume("a", interval, NOW, last_run=NOW)
    first, runs, skipped = now, 0, 0
    for late in lateness:
        assert len(timetable.start_due(now)) == 1
        outlook = timetable.finish("a", now + late)
        assert outlook.next_run is not None
        assert outlook.next_run > now + late - 0.001
        runs, skipped, now = runs + 1, skipped + outlook.skipped, outlook.next_run
    assert runs + skipped == round((now - first) / interval)


def test_a_restart_goes_on_with_the_same_grid() -> None:
    point = started_alone(Timetable(), "a")
    timetable = Timetable()
    assert timetable.resume("a", 60, point + 10, last_run=point) == point + 60
    assert timetable.start_due(point + 60) == [Due("a", Trigger.SCHEDULE, point + 60)]
    assert timetable.finish("a", point + 61).skipped == 0


def test_what_was_missed_while_the_operator_was_away_is_made_up_once_and_counted() -> None:
    point = started_alone(Timetable(), "a")
    timetable = Timetable()
    back = point + 60 * 10 + 15
    due = timetable.resume("a", 60, back, last_run=point + 0.4)
    assert back <= due <= back + 5
    assert [d.trigger for d in timetable.start_due(due)] == [Trigger.START]
    outlook = timetable.finish("a", due + 0.1)
    assert (outlook.skipped, outlook.next_run) == (9, point + 60 * 11)


def test_run_now_runs_at_once_and_leaves_the_grid_alone() -> None:
    timetable = Timetable()
    point = started_alone(timetable, "a")
    timetable.ask("a", Trigger.RUN_NOW, point - 3)
    assert timetable.start_due(point - 3) == [Due("a", Trigger.RUN_NOW, point - 3)]
    outlook = timetable.finish("a", point - 2)
    assert (outlook.next_run, outlook.skipped) == (point, 0)


def test_run_now_during_a_run_follows_it() -> None:
    timetable = Timetable()
    point = started_alone(timetable, "a")
    timetable.start_due(point)
    timetable.ask("a", Trigger.RUN_NOW, point + 1)
    assert timetable.start_due(point + 1) == []
    assert timetable.finish("a", point + 2).next_run == point + 2
    assert timetable.start_due(point + 2) == [Due("a", Trigger.RUN_NOW, point + 2)]


def test_a_changed_spec_runs_at_once_and_then_at_its_new_interval() -> None:
    timetable = Timetable()
    point = started_alone(timetable, "a")
    timetable.change("a", 10, point - 30)
    assert timetable.start_due(point - 30) == [Due("a", Trigger.SPEC_CHANGE, point - 30)]
    next_run = timetable.finish("a", point - 29.5).next_run
    assert next_run is not None
    assert next_run - (point - 29.5) <= 10


def test_a_spec_changed_during_a_run_waits_for_its_end() -> None:
    timetable = Timetable()
    point = started_alone(timetable, "a")
    timetable.start_due(point)
    timetable.change("a", 10, point + 1)
    assert timetable.start_due(point + 30) == []
    timetable.finish("a", point + 2)
    assert [due.trigger for due in timetable.start_due(point + 2)] == [Trigger.SPEC_CHANGE]


def test_a_stopped_probe_runs_no_more() -> None:
    timetable = Timetable()
    started_alone(timetable, "a")
    timetable.stop("a")
    timetable.ask("a", Trigger.RUN_NOW, NOW)
    assert timetable.next_due() is None
    assert timetable.start_due(NOW + 10_000) == []


def test_a_probe_stopped_during_a_run_ends_it_and_resumes_after_it() -> None:
    timetable = Timetable()
    point = started_alone(timetable, "a")
    timetable.start_due(point)
    timetable.stop("a")
    timetable.change("a", 60, point + 1)
    assert timetable.start_due(point + 1) == []
    timetable.finish("a", point + 2)
    assert [due.trigger for due in timetable.start_due(point + 2)] == [Trigger.SPEC_CHANGE]
    timetable.stop("a")
    assert timetable.finish("a", point + 3).next_run is None
    assert timetable.next_due() is None


@pytest.mark.parametrize("back", [600.0, 86_400.0])
def test_a_clock_set_back_silences_nobody(back: float) -> None:
    timetable = Timetable()
    point = started_alone(timetable, "a")
    timetable.rebase(point - back)
    due = timetable.next_due()
    assert due is not None
    assert due - (point - back) <= 60
    timetable.start_due(due)
    assert timetable.finish("a", due + 1).skipped == 0


def test_what_is_asked_for_again_and_again_is_not_remembered_until_the_interval_is_over() -> None:
    timetable = Timetable()
    now = timetable.resume("a", 8760 * 3600, NOW, last_run=None)
    for number in range(1000):
        assert [due.uid for due in timetable.start_due(now)] == ["a"]
        timetable.finish("a", now)
        timetable.resume(f"short-lived-{number}", 8760 * 3600, now, last_run=now)
        timetable.stop(f"short-lived-{number}")
        now += 60
        timetable.ask("a", Trigger.RUN_NOW, now)
    assert len(timetable._heap) < 200
    assert timetable.next_due() == pytest.approx(now)
