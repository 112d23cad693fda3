"""When each probe runs.

In: schedules, requests, and the current time of every call. Out: due runs. Called by `scheduler`. Pure.

The scheduled runs of a probe are due in its slots. A probe has at most one run at a time; slots that pass while it
cannot start are skipped and counted. Requested runs come in addition, but not more often than every
`REQUEST_INTERVAL_MS`: a request that comes sooner waits, and one run serves all that wait. Times are seconds since the
epoch in the interface and whole milliseconds inside, so that slots are counted exactly.
"""

import heapq
from dataclasses import dataclass, replace

from ...api.spec.schedule import Recurrence
from ...api.vocabulary import Trigger
from ...runs.run_result import NextRun
from .slots import Slots, slots_of

# A requested run shares no answers with earlier runs, and its status is written at once.
REQUEST_INTERVAL_MS = 5_000
# Outdated heap entries that are tolerated: without a limit, a run due in a year would stay there for a year.
MAX_OUTDATED = 100


@dataclass(frozen=True, slots=True)
class Due:
    """A run that should start now. `at`: its scheduled time."""

    uid: str
    trigger: Trigger
    at: float


@dataclass(slots=True)
class _Entry:
    """`since`: slots from this time on are neither run nor counted yet. `next`: the next scheduled run; None during a
    run. `requested`: a further run, with its earliest start. `stopped`: the current run is the last.
    """

    slots: Slots
    since: int
    next: int | None = None
    trigger: Trigger = Trigger.SCHEDULE
    running: bool = False
    requested: tuple[int, Trigger] | None = None
    stopped: bool = False

    @property
    def due(self) -> int | None:
        """When the next run starts; None during a run."""
        if self.running:
            return None
        times = [time for time in (self.next, self.requested and self.requested[0]) if time is not None]
        return min(times, default=None)

    def start(self, at: int) -> Trigger:
        """Start the run that is due. A requested one is also the scheduled one that would follow."""
        self.running, self.next = True, None
        return self.serve_request(at) or self.trigger

    def serve_request(self, at: int) -> Trigger | None:
        """The trigger of a request that the run serves, if it may start by this time."""
        if self.requested is None or self.requested[0] > at:
            return None
        _, trigger = self.requested
        self.requested = None
        return trigger


class Timetable:
    """The schedule of all probes that are neither suspended nor invalid."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._served: dict[
            str, int
        ] = {}  # when requested runs started, if that was recently; the oldest first
        self._heap: list[
            tuple[int, str]
        ] = []  # may hold outdated pairs; the `due` of an entry is authoritative

    def resume(self, uid: str, recurrence: Recurrence, now: float, *, last_run: float | None) -> float:
        """Add a probe. `last_run`: start of its last run, from its status. It runs in its next slot, or within seconds
        if it never ran or an overdue run is made up. Returns the due time.
        """
        entry = self._entries[uid] = _new_entry(uid, recurrence, now)
        slots = entry.slots
        if last_run is not None and slots.catches_up and slots.count(_ms(last_run) + 1, _ms(now)):
            entry.since = _ms(last_run) + 1
        elif last_run is not None:
            return self._schedule(uid, slots.next_after(_ms(now)), Trigger.SCHEDULE)
        return self._schedule(uid, _ms(now) + slots.start_delay, Trigger.START)

    def outlook(self, uid: str, promised: float | None, now: float) -> NextRun | None:
        """What a resumed probe's status should say, if it does not yet: its next run, and how many slots, from the
        promised one on, passed and are not made up.
        """
        entry = self._entries[uid]
        if entry.slots.catches_up or entry.next is None:
            return None
        skipped = entry.slots.count(_ms(promised), _ms(now)) if promised else 0
        return NextRun(entry.next / 1000, skipped)

    def change(self, uid: str, recurrence: Recurrence, now: float) -> None:
        """Handle a new spec or the end of a suspension: new slots, and a run as soon as one may be requested."""
        entry = _new_entry(uid, recurrence, now)
        entry.running = uid in self._entries and self._entries[uid].running
        self._entries[uid] = entry
        if not entry.running:
            self._schedule(uid, entry.slots.next_after(_ms(now)), Trigger.SCHEDULE)
        self.request(uid, Trigger.SPEC_CHANGE, now)

    def request(self, uid: str, trigger: Trigger, now: float, *, not_before: float = 0.0) -> None:
        """Run once as soon as a run may be requested, but not before this time and not during the current run. No
        effect if the probe is stopped.
        """
        entry = self._entries.get(uid)
        if entry is None or entry.stopped:
            return
        at = max(_ms(now), _ms(not_before), self._served.get(uid, 0) + REQUEST_INTERVAL_MS)
        if entry.requested is None or at < entry.requested[0]:
            entry.requested = at, trigger
        self._push(uid)

    def stop(self, uid: str) -> None:
        """Schedule no further runs: the probe is suspended, invalid or deleted."""
        entry = self._entries.get(uid)
        if entry is not None and entry.running:
            entry.stopped = True
        else:
            self._entries.pop(uid, None)

    def start_due(self, now: float) -> list[Due]:
        """The runs that should start now, earliest due first. They are in progress until `finish`."""
        started = []
        while self._heap and self._heap[0][0] <= _ms(now):
            at, uid = heapq.heappop(self._heap)
            entry = self._entries.get(uid)
            if entry is None or entry.due != at:
                continue
            started.append(self._noted(Due(uid, entry.start(at), at / 1000), at))
        return started

    def begin(self, due: Due, now: float) -> Due:
        """A started run begins: it also serves a request that arrived while it waited for its turn."""
        entry = self._entries.get(due.uid)
        trigger = entry.serve_request(_ms(now)) if entry else None
        return self._noted(replace(due, trigger=trigger), _ms(now)) if trigger else due

    def finish(self, uid: str, now: float) -> NextRun:
        """A run ended: return the next run and the number of skipped ones. The run itself served one slot."""
        entry = self._entries[uid]
        if entry.stopped:
            del self._entries[uid]
            return NextRun(None)
        entry.running = False
        skipped = max(0, entry.slots.count(entry.since, _ms(now)) - 1)
        entry.since = _ms(now) + 1
        if entry.requested is not None:  # the interval may have begun meanwhile
            at, trigger = entry.requested
            entry.requested = max(at, _ms(now), self._served.get(uid, 0) + REQUEST_INTERVAL_MS), trigger
        return NextRun(self._schedule(uid, entry.slots.next_after(_ms(now)), Trigger.SCHEDULE), skipped)

    def next_due(self) -> float | None:
        """The time of the earliest due run; None if nothing is scheduled."""
        while self._heap:
            at, uid = self._heap[0]
            entry = self._entries.get(uid)
            if entry is not None and entry.due == at:
                return at / 1000
            heapq.heappop(self._heap)
        return None

    def rebase(self, now: float) -> None:
        """The clock was set back: reschedule, otherwise nothing runs until the old time is reached again."""
        self._served.clear()
        for uid, entry in self._entries.items():
            entry.since = min(entry.since, _ms(now) + 1)
            if entry.requested is not None:
                entry.requested = min(entry.requested[0], _ms(now)), entry.requested[1]
            if entry.next is not None:
                self._schedule(uid, min(entry.next, entry.slots.next_after(_ms(now))), entry.trigger)

    def _noted(self, run: Due, now: int) -> Due:
        """The run; if it is a requested one, its start is noted."""
        if run.trigger in (Trigger.RUN_NOW, Trigger.SPEC_CHANGE):
            self._served.pop(run.uid, None)
            self._served[run.uid] = now
        while self._served and (oldest := next(iter(self._served.items())))[1] <= now - REQUEST_INTERVAL_MS:
            del self._served[oldest[0]]
        return run

    def _schedule(self, uid: str, at: int, trigger: Trigger) -> float:
        """Set the next scheduled run. Returns the time of the next run, which may be a requested one."""
        self._entries[uid].next, self._entries[uid].trigger = at, trigger
        return self._push(uid) / 1000

    def _push(self, uid: str) -> int:
        """Put the time of the next run into the heap, and return it."""
        due = self._entries[uid].due
        if due is None:
            return 0
        heapq.heappush(self._heap, (due, uid))
        if len(self._heap) > 2 * len(self._entries) + MAX_OUTDATED:
            self._heap = [(entry.due, uid) for uid, entry in self._entries.items() if entry.due is not None]
            heapq.heapify(self._heap)
        return due


def _new_entry(uid: str, recurrence: Recurrence, now: float) -> _Entry:
    return _Entry(slots_of(uid, recurrence), since=_ms(now) + 1)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
