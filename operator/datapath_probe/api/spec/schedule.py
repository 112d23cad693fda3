"""When runs start. Part of the spec."""

from typing import Annotated, ClassVar

from ..model import ApiModel, Rule
from .cron import Cron, CronExpression, TimeZone
from .durations import seconds
from .scalars import Duration, duration_between

Recurrence = float | Cron
"""An interval in seconds, or a cron expression."""


class Schedule(ApiModel):
    """When runs start: exactly one of interval and cron. A new probe, and one whose spec was changed, also runs once at
    once."""

    rules: ClassVar = (
        Rule(
            "has(self.interval) != has(self.cron)",
            "must specify exactly one of interval, such as 30s, and cron, such as '*/5 * * * *'; "
            "interval: null removes an interval that is stored",
            lambda schedule: (schedule.interval is None) != (schedule.cron is None),
        ),
        Rule(
            "!has(self.timeZone) || has(self.cron)",
            "timeZone is the time zone of cron: remove it, or replace interval by cron",
            lambda schedule: schedule.time_zone is None or schedule.cron is not None,
        ),
    )

    interval: Annotated[Duration, duration_between("1s", "24h")] | None = None
    """Time from the start of one run to the start of the next: 1s to 24h. A run that is due while the previous run is
    still in progress is skipped and counted."""

    cron: CronExpression | None = None
    """Times of runs as a cron expression: minute, hour, day-of-month, month and day-of-week, such as '*/5 * * * *' or
    '30 2 * * MON-FRI'. Lists, ranges, steps and names are allowed, L and LW in day-of-month, and 5L and MON#2 in
    day-of-week. Runs start up to 5s later, each probe's by a time of its own, so
    that not all start at once. A run that is due while the previous run is
    still in progress or the operator is not running is skipped and counted. When clocks change, a time that does not
    exist is moved to the change, and one that exists twice runs the first time; if minute or hour starts with '*', runs
    follow the clock."""

    time_zone: TimeZone | None = None
    """Time zone of cron, as a name of the IANA time zone database, such as Europe/Berlin. Default: UTC."""

    @property
    def recurrence(self) -> Recurrence:
        """What the timetable needs."""
        if self.cron is not None:
            return Cron(self.cron, self.time_zone or "UTC")
        assert self.interval is not None
        return seconds(self.interval)

    def __str__(self) -> str:
        """ "every 60s", or "at */5 * * * * UTC"."""
        return f"every {self.interval}" if self.interval else f"at {self.recurrence}"
