"""Cron expressions in a time zone. Used by `schedule`, and by `control` to plan runs. Pure.

cronsim knows the calendar. Daylight saving is handled here as Debian's cron handles it, for any zone: cronsim itself
loses runs where clocks change by half an hour (Australia/Lord_Howe).
"""

import heapq
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from ..model import Rule, cel_string

_MONTHS = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
_DAYS = "SUN|MON|TUE|WED|THU|FRI|SAT"
_NAMES_IN_ORDER = f"{_MONTHS}{_DAYS}".replace("|", "")


def _list_of(value: str, *others: str) -> str:
    """The pattern of a field: a list of values, ranges and steps, and of what else is allowed in it."""
    item = "|".join((rf"(\*|({value})(-({value}))?)(/[1-9][0-9]?)?", *others))
    return f"({item})(,({item}))*"


_FIELDS = (
    _list_of("[0-5]?[0-9]"),
    _list_of("[01]?[0-9]|2[0-3]"),
    _list_of("0?[1-9]|[12][0-9]|3[01]", "LW?"),
    _list_of("0?[1-9]|1[0-2]", f"({_MONTHS})(-({_MONTHS}))?"),
    _list_of("[0-7]", f"({_DAYS})(-({_DAYS}))?", "[0-7]L", f"([0-7]|{_DAYS})#[1-5]"),
)
_PATTERN = f"^{' +'.join(_FIELDS)}$"
_ZONE_PATTERN = "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$"

# A zone's offsets are looked up this far ahead: longer than a year, in steps shorter than the month of Ramadan, during
# which Morocco sets its clocks back.
_LOOK_AHEAD = tuple(timedelta(weeks=weeks) for weeks in range(54))


def _ranges_are_ascending(expression: str) -> bool:
    text = expression.upper()
    numbers = re.findall("([0-9]{1,2})-([0-9]{1,2})", text)
    names = re.findall("([A-Z]{3})-([A-Z]{3})", text)
    return all(int(first) <= int(last) for first, last in numbers) and all(
        _NAMES_IN_ORDER.find(first) <= _NAMES_IN_ORDER.find(last) for first, last in names
    )


def _matched_by_a_date(expression: str) -> str:
    try:
        if next(CronSim(expression, datetime(2024, 1, 1)), None) is None:  # noqa: DTZ001 (any day of any calendar)
            raise CronSimError
    except CronSimError:
        message = "matches no date, such as February 30: change day-of-month, month or day-of-week"
        raise PydanticCustomError("rule", "{message}", {"message": message}) from None
    return expression


def _zone_exists(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


CronExpression = Annotated[
    str,
    Field(max_length=100),
    Rule(
        f"self.upperAscii().matches({cel_string(_PATTERN)})",
        "must have the five fields minute, hour, day-of-month, month and day-of-week, such as '*/5 * * * *' for every "
        "five minutes or '30 2 * * MON-FRI' for 02:30 on working days",
        lambda text: bool(re.fullmatch(_PATTERN, text, re.IGNORECASE | re.ASCII)),
    ),
    Rule(
        "self.findAll('[0-9]{1,2}-[0-9]{1,2}').all(r, int(r.split('-')[0]) <= int(r.split('-')[1])) "
        "&& self.upperAscii().findAll('[A-Z]{3}-[A-Z]{3}').all(r, "
        f"'{_NAMES_IN_ORDER}'.indexOf(r.split('-')[0]) <= '{_NAMES_IN_ORDER}'.indexOf(r.split('-')[1]))",
        "must not have a range that ends before it starts: write 22-23,0-6 instead of 22-6, "
        "and FRI,SAT,SUN instead of FRI-SUN",
        _ranges_are_ascending,
    ),
    AfterValidator(_matched_by_a_date),
]
TimeZone = Annotated[
    str,
    Field(max_length=64),
    Rule(
        # an unknown zone is an error of the evaluation, which the API server reports together with this message
        f"self.matches('{_ZONE_PATTERN}') && self != 'Local' "
        "&& timestamp('2000-01-01T00:00:00Z').getHours(self) >= 0",
        "must be a name of the IANA time zone database, such as Europe/Berlin or UTC",
        lambda name: bool(re.fullmatch(_ZONE_PATTERN, name)) and _zone_exists(name),
    ),
]


@dataclass(frozen=True, slots=True)
class Cron:
    """A valid expression and zone."""

    expression: str
    zone: str = "UTC"

    def __str__(self) -> str:
        return f"{self.expression} {self.zone}"

    def times(self, after: float) -> Iterator[float]:
        """The times that match, in seconds since the epoch, from the first one later than `after`."""
        start = datetime.fromtimestamp(after, UTC)
        return (time.timestamp() for time in self._matching(start) if time > start)

    def _matching(self, start: datetime) -> Iterator[datetime]:
        """Each wall time once: one that a clock change skips is moved to the change, one that it repeats counts the
        first time. But if minute or hour starts with `*`, each minute whose wall time matches.
        """
        zone = ZoneInfo(self.zone)
        minute, hour, *_ = self.expression.split()
        if not (minute.startswith("*") or hour.startswith("*")):
            return CronSim(self.expression, start.astimezone(zone))
        offsets = {(start + ahead).astimezone(zone).utcoffset() or timedelta() for ahead in _LOOK_AHEAD}
        fixed = (CronSim(self.expression, start.astimezone(timezone(offset))) for offset in offsets)
        return (time for time in heapq.merge(*fixed) if time.astimezone(zone).utcoffset() == time.utcoffset())
