"""Saves evidence in the background: a slow disk delays no verdict and occupies no run slot.

In: runs whose result is published. Out: calls of `EvidenceFiles.save`, one at a time, in a thread. Called by
`run_executor`, run by `app`.
"""

import asyncio
from contextlib import AbstractContextManager

import structlog
from structlog.contextvars import bound_contextvars

from ...api.probe import Probe
from ...diagnose.run.run import PathRun
from ...evidence.reading import Answer, Reading
from ...publish.status.saved_run import RunKind
from ...runs.run_result import RunRecord
from .evidence_files import EvidenceFiles
from .waiting_runs import WaitingRun, WaitingRuns

log = structlog.get_logger(__name__)

# Runs may wait with this much evidence in memory, about 350 of the usual size; beyond that, runs are not saved.
MAX_WAITING_BYTES = 64 * 1024 * 1024
# Memory of a path's plan and diagnosis, and of a reading beside its output: measured on the recorded runs.
_PATH_BYTES, _READING_BYTES = 40 * 1024, 1024


class EvidenceSaver:
    """Runs that still wait when the operator stops are not saved."""

    def __init__(self, files: EvidenceFiles) -> None:
        self._files = files
        self._waiting = WaitingRuns(MAX_WAITING_BYTES)
        self._unsaved: set[str] = set()  # ids of runs that wait

    def is_kept(self, name: str) -> bool:
        """Whether a file of this name is kept, or is about to be saved."""
        return self._files.is_kept(name) or any(f".{run_id}" in name for run_id in self._unsaved)

    def put(self, probe: Probe, record: RunRecord, kind: RunKind) -> None:
        """Queue the run to be saved; never blocks."""
        if not record.result.bundles:
            return
        size_bytes = sum(_size_bytes(bundle.run) for bundle in record.result.bundles)
        self._unsaved.add(record.id)
        for left_out in self._waiting.put(WaitingRun(probe, record, kind, size_bytes)):
            self._unsaved.discard(left_out.record.id)
            with _named(left_out):
                reason = f"{self._waiting.total_bytes} bytes of other runs are waiting: the disk is slow"
                log.warning("evidence not saved", reason=reason)

    async def serve(self) -> None:
        """Save queued runs until canceled; a failure affects one run only."""
        while True:
            run = await self._waiting.take()
            with _named(run):
                try:
                    meta = run.probe.meta
                    await asyncio.to_thread(self._files.save, meta.namespace, meta.name, run.record, run.kind)
                except Exception:
                    log.exception("evidence not saved")
                finally:
                    self._unsaved.discard(run.record.id)
                    self._waiting.done(run)


def _named(run: WaitingRun) -> AbstractContextManager[object]:
    meta = run.probe.meta
    return bound_contextvars(probe=f"{meta.namespace}/{meta.name}", run_id=run.record.id)


def _size_bytes(run: PathRun) -> int:
    """An estimate of the memory that a path's evidence occupies."""
    return _PATH_BYTES + sum(
        _READING_BYTES + _output_bytes(reading) for _, readings in run.evidence for reading in readings
    )


def _output_bytes(reading: Reading) -> int:
    return len(reading.stdout) + len(reading.stderr) if isinstance(reading, Answer) else 0
