"""Which Events of one probe are sent: a probe that flaps does not flood its namespace. Pure.

In: each status and the one before it. Out: the Event to send now, if any. Kept and called by `publisher`.
"""

from dataclasses import replace

from ...api.status.probe_status import ProbeStatus
from ...api.vocabulary import ProbeVerdict
from ..interfaces import Event
from .events import Headline, change_event, event_for

# A probe may send this many Events in a burst, and then one more per interval.
BURST = 10
EARNED_IN_S = 60.0


class EventLimiter:
    """Compares each status with the last reported one: a change that could not be reported is reported as soon as
    possible, if it still applies.

    `reported`: what was reported last. Times are seconds since the epoch.
    """

    def __init__(self, reported: Headline, now: float) -> None:
        self._reported = reported
        self._left = float(BURST)
        self._left_at = now
        self._suppressed = 0  # changes since the last Event

    def for_verdict(self, previous: ProbeStatus, current: ProbeStatus, now: float) -> Event | None:
        """The Event about the verdict that is due now, if any."""
        if self._reported.verdict is None and current.verdict is ProbeVerdict.HEALTHY:
            self._reported = Headline.of(current)  # as expected: no Event
            return None
        changed = Headline.of(previous) != Headline.of(current)
        event = event_for(self._reported, current)
        if event and self._spend(now):
            self._reported = Headline.of(current)
            return self._counting(event, self._suppressed - (not changed))
        self._suppressed += changed
        return None

    def for_path_change(self, previous: ProbeStatus, current: ProbeStatus, now: float) -> Event | None:
        """The Event about a path change, if it may be sent now."""
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

    def _counting(self, event: Event, suppressed: int) -> Event:
        self._suppressed = 0
        if suppressed <= 0:
            return event
        changes = "1 earlier change was" if suppressed == 1 else f"{suppressed} earlier changes were"
        return replace(event, note=f"{changes} not reported; {event.note}")
