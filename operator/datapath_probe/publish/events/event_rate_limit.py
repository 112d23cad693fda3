"""Which Events of one probe are sent: a probe that flaps does not flood its namespace. Pure.

In: each status and the one before it. Out: the Event to send now, if any. Kept and called by `publisher`.
"""

from dataclasses import replace

from ...api.status import ProbeStatus
from ..interfaces import Event
from .events import change_event, event_for, headline

# So many Events may follow each other at once, and one more is earned in so long.
BURST = 10
EARNED_IN_S = 60.0


class EventLimiter:
    """Compares with what people were told last: what could not be told then is told once it can, if it still holds.

    `told`: the status that they know. Times are seconds since the epoch.
    """

    def __init__(self, told: ProbeStatus, now: float) -> None:
        self._told = told
        self._left = float(BURST)
        self._left_at = now
        self._suppressed = 0  # changes since the last Event

    def of_verdict(self, previous: ProbeStatus, current: ProbeStatus, now: float) -> Event | None:
        """The Event about the verdict that a status is worth now."""
        changed = headline(previous) != headline(current)
        event = event_for(self._told, current)
        if event and self._spend(now):
            self._told = current
            return self._counting(event, self._suppressed - (not changed))
        self._suppressed += changed
        return None

    def for_path_change(self, previous: ProbeStatus, current: ProbeStatus, now: float) -> Event | None:
        """The Event about a new way that packets take."""
        event = change_event(previous, current)
        if event and self._spend(now):
            return self._counting(event, self._suppressed)
        self._suppressed += event is not None
        return None

    def _spend(self, now: float) -> bool:
        self._left = min(BURST, self._left + max(0.0, now - self._left_at) / EARNED_IN_S)
        self._left_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def _counting(self, event: Event, untold: int) -> Event:
        self._suppressed = 0
        if untold <= 0:
            return event
        changes = "1 change before this was" if untold == 1 else f"{untold} changes before this were"
        return replace(event, note=f"{changes} not told; {event.note}")
