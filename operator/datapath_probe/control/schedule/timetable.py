"""When each probe runs. Pure: every method is told the time; `scheduler` drives it.

Each probe has a grid of its own: one point per interval, shifted by a hash of its uid, so that probes spread
over the interval and a restart finds the same grid again. A probe never runs twice at once; grid points that
pass while it can't start are skipped and counted. Times outside are seconds since the epoch, inside whole
milliseconds, so that counting points is exact.
"""

import hashlib
import heapq
from dataclasses import dataclass, replace

from ...api.vocabulary import Trigger
from ...runs.run_result import NextRun

START_WINDOW_MS = 5_000
# So many outdated pairs are left in the heap: what was due in a year would otherwise stay for a year.
OUTDATED = 100


@dataclass(frozen=True, slots=True)
class Due:
    """A run that should start now. `at`: when it should have."""

    uid: str
    trigger: Trigger
    at: float


@dataclass(slots=True)
class _Entry:
    """`since`: grid points from here on are not accounted for yet. `asked`: what to run for right after the
    run under way. `stopped`: the run under way is the last.
    """

    interval: int
    phase: int
    since: int
    due: int | None = None
    trigger: Trigger = Trigger.SCHEDULE
    running: bool = False
    asked: Trigger | None = None
    stopped: bool = False

    def next_point(self, after: int) -> int:
        return after - (after - self.phase) % self.interval + self.interval

    def points(self, first: int, last: int) -> int:
        """How many grid points lie in [first, last]."""
        return max(0, (last - self.phase) // self.interval - (first - 1 - self.phase) // self.interval)


class Timetable:
    """The schedule of all probes that are neither suspended nor invalid."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._heap: list[tuple[int, str]] = []  # may hold outdated pairs: an entry's `due` decides

    def resume(self, uid: str, interval_s: float, now: float, *, last_run: float | None) -> float:
        """A probe that was not known. `last_run`: start of the last one, by its status. It runs as its grid
        says, or within seconds if it never ran or a run is overdue. Returns when.
        """
        entry = self._entries[uid] = _new_entry(uid, interval_s, now)
        overdue = last_run is not None and entry.points(_ms(last_run) + 1, _ms(now)) > 0
        if last_run is not None and overdue:
            entry.since = _ms(last_run) + 1
        if last_run is None or overdue:
            jitter = entry.phase % min(entry.interval, START_WINDOW_MS)
            return self._plan(uid, _ms(now) + jitter, Trigger.START)
        return self._plan(uid, entry.next_point(_ms(now)), Trigger.SCHEDULE)

    def change(self, uid: str, interval_s: float, now: float) -> None:
        """The spec is new to us, or is no longer suspended: a new grid, and a run at once."""
        entry = _new_entry(uid, interval_s, now)
        entry.running = uid in self._entries and self._entries[uid].running
        self._entries[uid] = entry
        self.ask(uid, Trigger.SPEC_CHANGE, now)

    def ask(self, uid: str, trigger: Trigger, now: float) -> None:
        """Run at once, or right after the run that is under way. Nothing, if the probe is stopped."""
        entry = self._entries.get(uid)
        if entry is None or entry.stopped:
            return
        if entry.running:
            entry.asked = trigger
        else:
            self._plan(uid, _ms(now), trigger)

    def stop(self, uid: str) -> None:
        """No further runs: the probe is suspended, invalid or gone."""
        entry = self._entries.get(uid)
        if entry is not None and entry.running:
            entry.stopped = True
        else:
            self._entries.pop(uid, None)

    def start_due(self, now: float) -> list[Due]:
        """The runs that should start now, the longest due first. They are under way until `finish`."""
        started = []
        while self._heap and self._heap[0][0] <= _ms(now):
            at, uid = heapq.heappop(self._heap)
            entry = self._entries.get(uid)
            if entry is None or entry.due != at:
                continue
            entry.due, entry.running = None, True
            started.append(Due(uid, entry.trigger, at / 1000))
        return started

    def begin(self, due: Due) -> Due:
        """A run that was started waits for nothing more: it is also the one that was asked for meanwhile."""
        entry = self._entries.get(due.uid)
        if entry is None or entry.asked is None:
            return due
        asked, entry.asked = entry.asked, None
        return replace(due, trigger=asked)

    def finish(self, uid: str, now: float) -> NextRun:
        """A run ended: when is the next, and how many were skipped? The run itself served one grid point."""
        entry = self._entries[uid]
        if entry.stopped:
            del self._entries[uid]
            return NextRun(None)
        entry.running = False
        skipped = max(0, entry.points(entry.since, _ms(now)) - 1)
        entry.since = _ms(now) + 1
        asked, entry.asked = entry.asked, None
        if asked is not None:
            self.ask(uid, asked, now)
            return NextRun(now, skipped)
        return NextRun(self._plan(uid, entry.next_point(_ms(now)), Trigger.SCHEDULE), skipped)

    def next_due(self) -> float | None:
        """When `start_due` will have something to start; None if nothing is planned."""
        while self._heap:
            at, uid = self._heap[0]
            entry = self._entries.get(uid)
            if entry is not None and entry.due == at:
                return at / 1000
            heapq.heappop(self._heap)
        return None

    def rebase(self, now: float) -> None:
        """The clock was set back: plan anew, or nothing runs until the time comes round again."""
        for uid, entry in self._entries.items():
            entry.since = min(entry.since, _ms(now) + 1)
            if entry.due is not None:
                self._plan(uid, min(entry.due, entry.next_point(_ms(now))), entry.trigger)

    def _plan(self, uid: str, due: int, trigger: Trigger) -> float:
        entry = self._entries[uid]
        entry.due, entry.trigger = due, trigger
        heapq.heappush(self._heap, (due, uid))
        if len(self._heap) > 2 * len(self._entries) + OUTDATED:
            self._heap = [(entry.due, uid) for uid, entry in self._entries.items() if entry.due is not None]
            heapq.heapify(self._heap)
        return due / 1000


def _new_entry(uid: str, interval_s: float, now: float) -> _Entry:
    interval = _ms(interval_s)
    phase = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8]) % interval
    return _Entry(interval, phase, since=_ms(now) + 1)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
