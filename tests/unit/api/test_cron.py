"""Cron expressions over a year in time zones whose clocks change, against every five minutes of that year."""

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise, product, takewhile
from zoneinfo import ZoneInfo

import pytest

from datapath_probe.api.spec.cron import Cron
from datapath_probe.api.spec.schedule import Schedule

BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
STEP = 5 * MINUTE  # minutes of the expressions, and of changes of the clocks, are multiples
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # changes by half an hour
    "America/Havana",  # changes at midnight
    "Africa/Casablanca",  # changes for Ramadan
)
ANY_MINUTE, ANY_HOUR = range(60), range(24)
# Expression, minutes and hours; minute or hour starts with `*`.
FOLLOW_THE_CLOCK = {
    "30 * * * *": ([30], ANY_HOUR),
    "*/10 1 * * *": (range(0, 60, 10), [1]),
    "*/30 2 * * *": ([0, 30], [2]),
    "*/5 3 * * *": (range(0, 60, 5), [3]),
    "15 */2 * * *": ([15], range(0, 24, 2)),
    "*/5 0 * * *": (ANY_MINUTE, [0]),
}
AT_FIXED_TIMES = {
    "30 2 * * *": ([30], [2]),
    "45 1 * * *": ([45], [1]),
    "0 0 * * *": ([0], [0]),
    "0,30 1-3 * * *": ([0, 30], [1, 2, 3]),
    "10,50 0,1,2 * * *": ([10, 50], [0, 1, 2]),
    "55 23 * * *": ([55], [23]),
}


@cache
def times(expression: str, zone: str) -> list[datetime]:
    """The times of the year."""
    found = takewhile(
        lambda time: time < END.timestamp(), Cron(expression, zone).times(BEGIN.timestamp() - 1)
    )
    return [datetime.fromtimestamp(time, UTC) for time in found]


@cache
def year(zone: str) -> list[tuple[datetime, datetime]]:
    """Every five minutes of the year, each with its wall time."""
    local, steps = ZoneInfo(zone), (END - BEGIN) // STEP
    return [(time, time.astimezone(local)) for time in (BEGIN + number * STEP for number in range(steps))]


@pytest.mark.parametrize("zone", ZONES)
def test_expressions_with_stars_follow_the_clock(zone: str) -> None:
    expected: dict[str, list[datetime]] = {expression: [] for expression in FOLLOW_THE_CLOCK}
    for time, wall in year(zone):
        for expression, (minute, hour) in FOLLOW_THE_CLOCK.items():
            if wall.minute in minute and wall.hour in hour:
                expected[expression].append(time)
    assert {expression: times(expression, zone) for expression in expected} == expected


@pytest.mark.parametrize("zone", ZONES)
def test_fixed_times_run_once_each_day(zone: str) -> None:
    """Also on days on which clocks change: not twice, and not never."""
    first: dict[datetime, datetime] = {}  # by wall time
    for time, wall in year(zone):
        first.setdefault(wall.replace(tzinfo=None, fold=0), time)
    days = {wall.replace(hour=0, minute=0) for wall in first}
    for expression, (wall_minutes, hours) in AT_FIXED_TIMES.items():
        expected = set()
        for day in days:
            for hour, minute in product(hours, wall_minutes):
                wall = day.replace(hour=hour, minute=minute)
                while wall not in first and wall < day + DAY:
                    wall += STEP  # does not exist: moved to the change of the clocks
                expected.add(first.get(wall, BEGIN))
        found = times(expression, zone)
        assert set(found) == {time for time in expected if time > BEGIN} | ({BEGIN} & set(found))
        assert len(found) == len(set(found))


@pytest.mark.parametrize("zone", ZONES)
def test_times_ascend_by_a_minute_or_more(zone: str) -> None:
    for expression in (*FOLLOW_THE_CLOCK, *AT_FIXED_TIMES):
        found = times(expression, zone)
        assert all(later - earlier >= MINUTE for earlier, later in pairwise(found))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("expression", ["30 2 * * *", "45 1 * * *", "10,50 0,1,2 * * *", "*/20 * * * *"])
def test_the_next_time_does_not_depend_on_when_it_is_asked(expression: str, zone: str) -> None:
    """A restart of the operator, also in an hour that exists twice, repeats and loses nothing."""
    found = times(expression, zone)
    changes = [
        time for (time, wall), (_, later) in pairwise(year(zone)) if wall.utcoffset() != later.utcoffset()
    ]
    assert len(changes) == 2
    for change in changes:
        for offset in range(-200, 200, 7):
            asked = change + offset * MINUTE + timedelta(seconds=1)
            expected = next(time for time in found if time > asked)
            assert next(Cron(expression, zone).times(asked.timestamp())) == expected.timestamp()


def test_a_time_on_the_second_is_not_returned_again() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
    cron = Cron("0 * * * *")
    assert next(cron.times(noon - 0.001)) == noon
    assert next(cron.times(noon)) == noon + 3600


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 0 29 2 *", "2028-02-29"),
        ("0 0 L 2 *", "2026-02-28"),
        ("0 0 LW 5 *", "2026-05-29"),
        ("0 0 * 5 MON#3", "2026-05-18"),
        ("0 0 * 5 5L", "2026-05-29"),
        ("0 0 13 * FRI", "2026-01-02"),  # either of both, unless one of them starts with *
    ],
)
def test_days(expression: str, expected: str) -> None:
    time = next(Cron(expression).times(BEGIN.timestamp()))
    assert datetime.fromtimestamp(time, UTC).date().isoformat() == expected


@pytest.mark.parametrize("expression", ["0 0 30 2 *", "0 0 31 4,6 *", "0 0 */31 2 MON#5"])
def test_an_expression_without_a_date_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="matches no date, such as February 30"):
        Schedule(cron=expression)


def test_a_schedule_in_words() -> None:
    assert str(Schedule(interval="90s")) == "every 90s"
    assert str(Schedule(cron="*/5 * * * *")) == "at */5 * * * * UTC"
    assert str(Schedule(cron="30 2 * * *", time_zone="Europe/Berlin")) == "at 30 2 * * * Europe/Berlin"
