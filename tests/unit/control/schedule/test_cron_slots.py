"""Probes with a cron expression in the timetable: spread, skipped runs, restarts."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.api.spec.cron import Cron
from datapath_probe.api.vocabulary import Trigger
from datapath_probe.control.schedule.slots import MAX_COUNTED, START_WINDOW_MS, slots_of
from datapath_probe.control.schedule.timetable import Due, Timetable

NOON = datetime(2026, 9, 21, 12, tzinfo=UTC).timestamp()
EVERY_FIVE, HOURLY, NIGHTLY = Cron("*/5 * * * *"), Cron("0 * * * *"), Cron("30 2 * * *", "Europe/Berlin")


def offset(uid: str) -> float:
    """How long after noon a probe with an hourly expression starts."""
    return slots_of(uid, HOURLY).next_after(round((NOON - 3600) * 1000) + START_WINDOW_MS) / 1000 - NOON


def test_a_thousand_probes_of_the_same_expression_spread_over_five_seconds() -> None:
    timetable = Timetable()
    for number in range(1000):
        timetable.resume(f"uid-{number}", EVERY_FIVE, NOON - 60, last_run=NOON - 299)
    starts = [due.at - NOON for due in timetable.start_due(NOON + 5)]
    assert len(starts) == 1000
    assert 0 <= min(starts) <= max(starts) < 5
    assert max(Counter(int(start) for start in starts).values()) < 300


def test_each_probe_keeps_its_offset() -> None:
    for uid in ("a", "b", "c"):
        slots = slots_of(uid, EVERY_FIVE)
        at = round(NOON * 1000)
        for number in range(10):
            at = slots.next_after(at)
            assert at / 1000 == pytest.approx(NOON + offset(uid) + (number + (offset(uid) == 0)) * 300)


def test_a_new_probe_runs_once_at_once() -> None:
    timetable = Timetable()
    assert NOON <= timetable.resume("a", NIGHTLY, NOON, last_run=None) <= NOON + 5
    (due,) = timetable.start_due(NOON + 5)
    assert due.trigger is Trigger.START
    half_past_midnight = datetime(2026, 9, 22, 0, 30, tzinfo=UTC).timestamp()
    following = timetable.finish("a", NOON + 6)
    assert (following.next_run, following.skipped) == (half_past_midnight + offset("a"), 0)


def test_slots_during_a_run_are_skipped_and_counted() -> None:
    timetable = Timetable()
    timetable.resume("a", EVERY_FIVE, NOON - 60, last_run=NOON - 299)
    slot = NOON + offset("a")
    assert timetable.start_due(slot) == [Due("a", Trigger.SCHEDULE, slot)]
    following = timetable.finish("a", slot + 650)
    assert (following.next_run, following.skipped) == (slot + 900, 2)


def test_what_was_due_while_the_operator_was_down_is_not_made_up_but_counted() -> None:
    timetable = Timetable()
    promised, back = NOON + offset("a"), NOON + 2 * 3600 + 1800
    assert timetable.resume("a", HOURLY, back, last_run=promised - 3600) == promised + 3 * 3600
    assert timetable.start_due(back + 60) == []
    outlook = timetable.outlook("a", promised, back)
    assert outlook
    assert (outlook.next_run, outlook.skipped) == (promised + 3 * 3600, 3)
    timetable.start_due(promised + 3 * 3600)
    assert timetable.finish("a", promised + 3 * 3600 + 1).skipped == 0, "not counted again"


def test_an_operator_that_restarts_often_counts_a_missed_run_once() -> None:
    promised, skipped = NOON + offset("a"), 0
    for restart in range(5):
        timetable, now = Timetable(), NOON + 1800 + restart
        timetable.resume("a", HOURLY, now, last_run=promised - 3600)
        outlook = timetable.outlook("a", promised, now)
        assert outlook
        assert outlook.next_run
        promised, skipped = outlook.next_run, skipped + outlook.skipped
    assert skipped == 1


def test_a_probe_with_an_interval_has_nothing_to_publish_at_a_restart() -> None:
    timetable = Timetable()
    timetable.resume("a", 60, NOON, last_run=NOON - 3600)
    assert timetable.outlook("a", NOON - 3500, NOON) is None


def test_a_very_long_absence_is_counted_up_to_a_bound() -> None:
    timetable = Timetable()
    timetable.resume("a", Cron("* * * * *"), NOON, last_run=NOON - 1e8)
    outlook = timetable.outlook("a", NOON - 1e8, NOON)
    assert outlook
    assert outlook.skipped == MAX_COUNTED


@given(
    expression=st.sampled_from(["*/5 * * * *", "0 * * * *", "30 2 * * *", "15,45 1-3 * * *"]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]),
    lateness=st.lists(st.floats(0, 25_000, allow_nan=False), min_size=1, max_size=10),
)
def test_every_slot_is_run_or_counted(expression: str, zone: str, lateness: list[float]) -> None:
    timetable, cron = Timetable(), Cron(expression, zone)
    before_the_change = datetime(2026, 10, 3, tzinfo=UTC).timestamp()
    now = first = timetable.resume("a", cron, before_the_change, last_run=before_the_change)
    runs = skipped = 0
    for late in lateness:
        assert len(timetable.start_due(now)) == 1
        following = timetable.finish("a", now + late)
        assert following.next_run is not None
        runs, skipped, now = runs + 1, skipped + following.skipped, following.next_run
    assert runs + skipped == slots_of("a", cron).count(round(first * 1000), round(now * 1000) - 1)


def test_probes_run_on_after_the_clock_is_set_back() -> None:
    timetable = Timetable()
    timetable.resume("a", EVERY_FIVE, NOON + 86_400, last_run=NOON + 86_000)
    timetable.rebase(NOON)
    due = timetable.next_due()
    assert due is not None
    assert due - NOON <= 305
