"""Drives the timetable: waits, starts what is due, never two runs of a probe at once, never too many in all.

In: the calls of `registry`. Out: `Runs.run` for what is due, then `Runs.ended` with what it returned. Owned
by `app`.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog

from ...api.vocabulary import Trigger
from ...runs.run_result import NextRun
from .timetable import Due, Timetable

log = structlog.get_logger(__name__)

Clock = Callable[[], float]  # seconds since the epoch
Result = TypeVar("Result")

BEAT_S = 5.0


class Runs(Protocol[Result]):
    """What is scheduled."""

    async def run(self, due: Due) -> Result:
        """Carry out one run."""
        ...

    def name(self, uid: str) -> str:
        """What people call the probe."""
        ...

    def ended(self, result: Result, outlook: NextRun) -> None:
        """Hear of its end, unless it was cancelled or its probe stopped."""
        ...


class Scheduler:
    """`heartbeat`: when the loop last looked at the timetable. It looks every `BEAT_S` seconds at least."""

    def __init__(self, clock: Clock, max_concurrent_runs: int) -> None:
        self.heartbeat = clock()
        self._clock = clock
        self._timetable = Timetable()
        self._slots = asyncio.Semaphore(max_concurrent_runs)
        self._changed = asyncio.Event()
        self._runs: dict[str, asyncio.Task[Any]] = {}
        self._stopped: set[str] = set()  # whose run is no longer of interest, also if it has just ended

    def resume(self, uid: str, interval_s: float, last_run: float | None) -> None:
        """Take up a probe where its status left it. `last_run`: when that started, None if it never ran."""
        self._changed.set()
        self._timetable.resume(uid, interval_s, self._clock(), last_run=last_run)

    def change(self, uid: str, interval_s: float) -> None:
        """Run a probe at once for its new spec, and on its new schedule from then on."""
        self._changed.set()
        self._timetable.change(uid, interval_s, self._clock())

    def run_now(self, uid: str) -> None:
        """Run a probe once beside its schedule."""
        self._changed.set()
        self._timetable.ask(uid, Trigger.RUN_NOW, self._clock())

    def stop(self, uid: str) -> None:
        """Start no further run of this probe; one that is under way is cancelled, and nobody hears of it."""
        self._timetable.stop(uid)
        if uid in self._runs:
            self._runs[uid].cancel()
            self._stopped.add(uid)

    async def serve(self, runs: Runs[Result]) -> None:
        """Run probes until cancelled; then cancel the runs under way and wait for them."""
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
        """Until something is due or has changed, but no longer than a beat."""
        self._changed.clear()
        due = self._timetable.next_due()
        delay = BEAT_S if due is None else min(BEAT_S, max(0.0, due - self._clock()))
        try:
            async with asyncio.timeout(delay):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _execute(self, runs: Runs[Result], due: Due) -> Result:
        async with self._slots:
            return await runs.run(self._timetable.begin(due))

    def _ended(self, runs: Runs[Result], uid: str, run: asyncio.Task[Result]) -> None:
        """Called however a run ends, also when it was cancelled before it had begun."""
        outlook = self._timetable.finish(uid, self._clock())
        del self._runs[uid]
        self._changed.set()
        stopped = uid in self._stopped
        self._stopped.discard(uid)
        if stopped or run.cancelled():
            return
        try:
            runs.ended(run.result(), outlook)
        except Exception:
            log.exception("the end of a run was not told", probe=runs.name(uid))
