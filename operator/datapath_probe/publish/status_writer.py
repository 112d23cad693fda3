"""Writes statuses to the API server: urgent changes at once, others at most every 30 s per probe, only the latest.
When many wait, urgent ones go first, and namespaces take turns.

In: statuses from `publisher`. Out: calls of `StatusApi`; `gone` for probes that no longer exist; `failed` for each
failed write. A failed write is retried until it succeeds or a newer status replaces it; less often if the API server
refuses it, which needs a change elsewhere. Owned by `control.app`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from ..api.status.document import StatusDocument
from ..backoff import Backoff
from .interfaces import Gone, ProbeRef, Retry, StatusApi
from .write_turns import WriteTurns

log = structlog.get_logger(__name__)

QUIET_S = 30.0
MAX_CONCURRENT_WRITES = 8
FIRST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_PAUSE_IF_REFUSED_S = 0.5, 5.0, 60.0
# How often the log repeats that a status is still not written.
SAY_AGAIN_S = 300.0


@dataclass(slots=True)
class _Pending:
    """The status to write for one probe, later by a `timer`, or now by a `task`. Monotonic seconds: `written_at`, and
    `said_at`, when the log last said that a write failed.
    """

    probe: ProbeRef
    status: StatusDocument | None = None
    urgent: bool = False
    written_at: float = float("-inf")
    said_at: float = float("-inf")
    timer: asyncio.TimerHandle | None = None
    task: asyncio.Task[None] | None = None


class StatusWriter:
    """One task per probe whose status is being written; those that wait for their time take a timer each."""

    def __init__(
        self,
        writer: StatusApi,
        gone: Callable[[ProbeRef], None],
        failed: Callable[[Retry], None],
    ) -> None:
        self._writer = writer
        self._gone = gone
        self._failed = failed
        self._pending: dict[str, _Pending] = {}
        self._turns = WriteTurns(MAX_CONCURRENT_WRITES)

    def put(self, probe: ProbeRef, status: StatusDocument, *, urgent: bool) -> None:
        """Write this status, at once if urgent. It replaces one that has not been written yet."""
        pending = self._pending.setdefault(probe.uid, _Pending(probe))
        pending.status = status
        if urgent:
            pending.urgent = True
            self._turns.hasten(probe)
        self._schedule(pending)

    def forget(self, probe: ProbeRef) -> None:
        """The probe was deleted: write no more statuses."""
        pending = self._pending.pop(probe.uid, None)
        if pending and pending.timer:
            pending.timer.cancel()
        if pending and pending.task and pending.task is not asyncio.current_task():
            pending.task.cancel()

    async def close(self, timeout_s: float) -> None:
        """Write the pending statuses, within this time."""
        for pending in self._pending.values():
            pending.urgent = True
            self._schedule(pending)
        tasks = [pending.task for pending in self._pending.values() if pending.task]
        if tasks:
            _, unfinished = await asyncio.wait(tasks, timeout=timeout_s)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)

    def _schedule(self, pending: _Pending) -> None:
        """Write the status now if it is urgent or the last write was long ago, otherwise at its time."""
        if pending.status is None or pending.task:
            return
        if pending.timer:
            pending.timer.cancel()
        loop, due = asyncio.get_running_loop(), pending.written_at + QUIET_S
        if pending.urgent or due <= loop.time():
            self._start(pending)
        else:
            pending.timer = loop.call_at(due, self._start, pending)

    def _start(self, pending: _Pending) -> None:
        pending.timer = None
        name = f"status {pending.probe.uid}"
        pending.task = asyncio.create_task(self._write_until_done(pending), name=name)

    async def _write_until_done(self, pending: _Pending) -> None:
        """Write the latest status, and newer ones that are urgent; one that is not is written at its time."""
        backoff = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        try:
            while pending.status is not None:
                if trouble := await self._write(pending):
                    self._report(pending, "status not written yet", trouble)
                    longest_s = LONGEST_PAUSE_IF_REFUSED_S if trouble.refused else LONGEST_PAUSE_S
                    await asyncio.sleep(backoff.failed(longest_s))
                elif not pending.urgent:
                    break
        finally:
            pending.task = None
        if self._pending.get(pending.probe.uid) is pending:
            self._schedule(pending)

    async def _write(self, pending: _Pending) -> Retry | None:
        """Write the latest status. Returns the error if the write should be retried."""
        async with self._turns.turn(pending.probe, urgent=pending.urgent):
            status, pending.status = pending.status, None
            was_urgent, pending.urgent = pending.urgent, False
            if status is None:
                return None
            try:
                outcome = await self._writer.write(pending.probe, status.to_object())
            except Exception as error:  # the status is kept, and written at the next attempt
                log.exception("status not written", probe=f"{pending.probe.namespace}/{pending.probe.name}")
                outcome = Retry(f"{type(error).__name__}: {error}")
        if isinstance(outcome, Retry):
            pending.status = pending.status or status
            pending.urgent = pending.urgent or was_urgent
            return outcome
        pending.written_at = asyncio.get_running_loop().time()
        if isinstance(outcome, Gone):
            self._gone(pending.probe)
        elif outcome.refused:
            self._report(pending, "status written without details", outcome.refused)
        else:
            pending.said_at = float("-inf")
        return None

    def _report(self, pending: _Pending, event: str, trouble: Retry) -> None:
        """Count the failure, and log it unless it was logged a moment ago."""
        self._failed(trouble)
        now = asyncio.get_running_loop().time()
        if now - pending.said_at >= SAY_AGAIN_S:
            pending.said_at = now
            name = f"{pending.probe.namespace}/{pending.probe.name}"
            log.warning(event, probe=name, reason=trouble.reason)
