"""Executes the timetable: starts due runs, at most one per probe and a limited number in total, shared by namespaces.

In: calls of `registry`. Out: `Runs.run` for each due run, then `Runs.ended` with its result. Run by `app`.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog

from ...api.spec.schedule import Recurrence
from ...api.vocabulary import Trigger
from ...collect.fair_slots import FairSlots, Slot
from ...runs.run_result import NextRun
from .timetable import Due, Timetable

log = structlog.get_logger(__name__)

Clock = Callable[[], float]  # seconds since the epoch
Result = TypeVar("Result")

HEARTBEAT_INTERVAL_S = 5.0


class Runs(Protocol[Result]):
    """The runs of probes."""

    async def run(self, due: Due, slot: Slot) -> Result:
        """Execute one run. `slot`: held at its start, and released when it waits for the first time."""
        ...

    def namespace(self, uid: str) -> str:
        """Namespace of the probe."""
        ...

    def name(self, uid: str) -> str:
        """Namespace and name of the probe."""
        ...

    def ended(self, result: Result, next_run: NextRun) -> None:
        """Handle the result; not called if the run was canceled or its probe stopped."""
        ...


class Scheduler:
    """`heartbeat`: when the loop last checked the timetable, at least every `HEARTBEAT_INTERVAL_S`."""

    def __init__(self, clock: Clock, slots: FairSlots) -> None:
        self.heartbeat = clock()
        self._clock = clock
        self._timetable = Timetable()
        self._slots = slots
        self._changed = asyncio.Event()
        self._runs: dict[str, asyncio.Task[Any]] = {}
        self._stopped: set[str] = set()  # whose run is discarded, even if it has just ended

    def resume(
        self, uid: str, recurrence: Recurrence, last_run: float | None, promised: float | None = None
    ) -> NextRun | None:
        """Resume a probe from its status. `last_run`: start of its last run, None if it never ran. `promised`: when its
        next run was to start. Returns when it starts now, and how many were missed, if the status must say so.
        """
        self._changed.set()
        now = self._clock()
        self._timetable.resume(uid, recurrence, now, last_run=last_run)
        return self._timetable.outlook(uid, promised, now)

    def change(self, uid: str, recurrence: Recurrence) -> None:
        """Run a probe immediately for its new spec, then on its new schedule."""
        self._changed.set()
        self._timetable.change(uid, recurrence, self._clock())

    def run_now(self, uid: str, *, not_before: float = 0.0) -> None:
        """Run a probe once in addition to its schedule. Requests are served at most every few seconds."""
        self._changed.set()
        self._timetable.request(uid, Trigger.RUN_NOW, self._clock(), not_before=not_before)

    def stop(self, uid: str) -> None:
        """Start no further runs of this probe; cancel a run in progress and discard its result."""
        self._timetable.stop(uid)
        if uid in self._runs:
            self._runs[uid].cancel()
            self._stopped.add(uid)

    async def serve(self, runs: Runs[Result]) -> None:
        """Run probes until canceled; then cancel the runs in progress and wait for them."""
        try:
            while True:
                self._beat()
                for due in self._timetable.start_due(self._clock()):
                    run = asyncio.create_task(self._execute(runs, due), name=f"run {due.uid}")
                    run.add_done_callback(partial(self._ended, runs, due.uid))
                    self._runs[due.uid] = run
                await self._wait()
        finally:
            for task in self._runs.values():
                task.cancel()
            await asyncio.gather(*self._runs.values(), return_exceptions=True)

    def _beat(self) -> None:
        now = self._clock()
        if now < self.heartbeat:
            self._timetable.rebase(now)
        self.heartbeat = now

    async def _wait(self) -> None:
        """Wait until a run is due or the timetable has changed, at most one heartbeat interval."""
        self._changed.clear()
        due = self._timetable.next_due()
        delay = (
            HEARTBEAT_INTERVAL_S if due is None else min(HEARTBEAT_INTERVAL_S, max(0.0, due - self._clock()))
        )
        try:
            async with asyncio.timeout(delay):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _execute(self, runs: Runs[Result], due: Due) -> Result:
        async with self._slots.slot(runs.namespace(due.uid)) as slot:
            return await runs.run(self._timetable.begin(due, self._clock()), slot)

    def _ended(self, runs: Runs[Result], uid: str, run: asyncio.Task[Result]) -> None:
        """Called when a run ends, for whatever reason, including cancellation before its start."""
        next_run = self._timetable.finish(uid, self._clock())
        del self._runs[uid]
        self._changed.set()
        stopped = uid in self._stopped
        self._stopped.discard(uid)
        if stopped or run.cancelled():
            return
        try:
            runs.ended(run.result(), next_run)
        except Exception:
            log.exception("run result not published", probe=runs.name(uid))
