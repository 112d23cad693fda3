"""The slots of a probe: the times at which its scheduled runs are due. Used by `timetable`. Pure.

Times are whole milliseconds since the epoch. An offset that is a hash of the probe's uid spreads probes: over the
interval, or over `START_WINDOW_MS` after each time of a cron expression. A restart finds the same slots.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Protocol

from ...api.spec.cron import Cron
from ...api.spec.schedule import Recurrence

# Not more than a tenth of the time between two slots, since a cron expression has at most one a minute.
START_WINDOW_MS = 5_000
# To count a slot of a cron expression takes about 50 µs.
MAX_COUNTED = 1_000


class Slots(Protocol):
    """`start_delay`: of the first run, if that does not wait for a slot. `catches_up`: slots that passed while the
    operator was not running are made up by one run at its start.
    """

    @property
    def start_delay(self) -> int: ...

    @property
    def catches_up(self) -> bool: ...

    def next_after(self, time: int) -> int:
        """The first slot later than this."""
        ...

    def count(self, first: int, last: int) -> int:
        """Number of slots in [first, last]."""
        ...


@dataclass(frozen=True, slots=True)
class IntervalSlots:
    """One slot per interval."""

    interval: int
    offset: int
    catches_up = True

    @property
    def start_delay(self) -> int:
        return self.offset % min(self.interval, START_WINDOW_MS)

    def next_after(self, time: int) -> int:
        return time - (time - self.offset) % self.interval + self.interval

    def count(self, first: int, last: int) -> int:
        return max(0, (last - self.offset) // self.interval - (first - 1 - self.offset) // self.interval)


@dataclass(frozen=True, slots=True)
class CronSlots:
    """One slot soon after each time of a cron expression. Not more than `MAX_COUNTED` slots are counted. Users choose
    when requests are sent, so nothing is made up at another time.
    """

    cron: Cron
    start_delay: int
    catches_up = False

    def next_after(self, time: int) -> int:
        return next(self._after(time))

    def count(self, first: int, last: int) -> int:
        return sum(
            1 for _ in islice(takewhile(lambda slot: slot <= last, self._after(first - 1)), MAX_COUNTED)
        )

    def _after(self, time: int) -> Iterator[int]:
        return (
            round(at * 1000) + self.start_delay for at in self.cron.times((time - self.start_delay) / 1000)
        )


def slots_of(uid: str, recurrence: Recurrence) -> Slots:
    """The slots of the probe with this uid."""
    number = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8])
    if isinstance(recurrence, Cron):
        return CronSlots(recurrence, number % START_WINDOW_MS)
    interval = round(recurrence * 1000)
    return IntervalSlots(interval, number % interval)
