"""Brings statuses to the API server: changes at once, the rest at most every 30 s a probe, the newest only.

In: what `publisher` puts in. Out: calls of `StatusWriter`; `gone` for probes that no longer exist; `failed` with each
write that failed. What could not be written is tried again until it is, or until something newer takes its place: less
often where the API server refuses it, for somebody has to do something first. Owned by `control.app`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from ..api.status import ProbeStatus
from ..backoff import Backoff
from .ports import Gone, ProbeRef, Retry, StatusWriter

log = structlog.get_logger(__name__)

QUIET_S = 30.0
MAX_CONCURRENT_WRITES = 8
FIRST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_PAUSE_IF_REFUSED_S = 0.5, 5.0, 60.0
# How often the log says that a status is still not written.
SAY_AGAIN_S = 300.0


@dataclass(slots=True)
class _Letter:
    """What is to be written of one probe. `urgent` ends the wait; `written_at`: monotonic seconds."""

    probe: ProbeRef
    status: ProbeStatus | None = None
    urgent: asyncio.Event = field(default_factory=asyncio.Event)
    written_at: float = float("-inf")
    carrier: asyncio.Task[None] | None = None


class Outbox:
    """One carrier task per probe that has something to write."""

    def __init__(
        self,
        writer: StatusWriter,
        gone: Callable[[ProbeRef], None],
        failed: Callable[[Retry], None],
    ) -> None:
        self._writer = writer
        self._gone = gone
        self._failed = failed
        self._letters: dict[str, _Letter] = {}
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_WRITES)

    def put(self, probe: ProbeRef, status: ProbeStatus, *, urgent: bool) -> None:
        """Write this status, at once if urgent; it replaces what has not been written yet."""
        letter = self._letters.setdefault(probe.uid, _Letter(probe))
        letter.status = status
        if urgent:
            letter.urgent.set()
        if letter.carrier is None:
            letter.carrier = asyncio.create_task(self._carry(letter), name=f"status {probe.uid}")

    def forget(self, probe: ProbeRef) -> None:
        """The probe is gone: write nothing more."""
        letter = self._letters.pop(probe.uid, None)
        if letter and letter.carrier and letter.carrier is not asyncio.current_task():
            letter.carrier.cancel()

    async def close(self, timeout_s: float) -> None:
        """Write what is waiting, in so much time as there is."""
        carriers = [letter.carrier for letter in self._letters.values() if letter.carrier]
        for letter in self._letters.values():
            letter.urgent.set()
        if carriers:
            _, unfinished = await asyncio.wait(carriers, timeout=timeout_s)
            for carrier in unfinished:
                carrier.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)

    async def _carry(self, letter: _Letter) -> None:
        now = asyncio.get_running_loop().time
        backoff, said_at = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S), float("-inf")
        try:
            while letter.status is not None:
                await self._wait(letter)
                trouble = await self._write(letter)
                if trouble is None:
                    backoff.succeeded()
                    said_at = float("-inf")
                    continue
                self._failed(trouble)
                if now() - said_at >= SAY_AGAIN_S:
                    said_at = now()
                    name = f"{letter.probe.namespace}/{letter.probe.name}"
                    log.warning("status not written yet", probe=name, reason=trouble.reason)
                longest_s = LONGEST_PAUSE_IF_REFUSED_S if trouble.refused else LONGEST_PAUSE_S
                await asyncio.sleep(backoff.failed(longest_s))
        finally:
            letter.carrier = None

    async def _wait(self, letter: _Letter) -> None:
        """Until the status is urgent, or the last one was written long enough ago."""
        quiet_s = letter.written_at + QUIET_S - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(quiet_s):
                await letter.urgent.wait()
        except TimeoutError:
            pass

    async def _write(self, letter: _Letter) -> Retry | None:
        """Write what is newest; what went wrong, if it should be tried again."""
        async with self._slots:
            status, letter.status = letter.status, None
            was_urgent = letter.urgent.is_set()
            letter.urgent.clear()
            if status is None:
                return None
            outcome = await self._writer.write(letter.probe, status.to_object())
        if isinstance(outcome, Retry):
            letter.status = letter.status or status
            if was_urgent:
                letter.urgent.set()
            return outcome
        letter.written_at = asyncio.get_running_loop().time()
        if isinstance(outcome, Gone):
            self._gone(letter.probe)
        return None
