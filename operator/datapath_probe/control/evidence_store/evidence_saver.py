"""Saves evidence in the background: a slow disk delays no verdict and occupies no run slot.

In: runs whose result is published. Out: calls of `EvidenceFiles.save`, one at a time, in a thread. Called by
`run_executor`, run by `app`.
"""

import asyncio
from contextlib import AbstractContextManager

import structlog
from structlog.contextvars import bound_contextvars

from ...api.probe import Probe
from ...runs.run_result import RunRecord
from .evidence_files import EvidenceFiles

log = structlog.get_logger(__name__)

# Runs that may wait with their evidence in memory; beyond that, runs are not saved.
MAX_WAITING = 32


class EvidenceSaver:
    """Runs that still wait when the operator stops are not saved."""

    def __init__(self, files: EvidenceFiles) -> None:
        self._files = files
        self._waiting: asyncio.Queue[tuple[Probe, RunRecord]] = asyncio.Queue(MAX_WAITING)

    def put(self, probe: Probe, record: RunRecord) -> None:
        """Queue the run to be saved; never blocks."""
        if not record.result.bundles:
            return
        try:
            self._waiting.put_nowait((probe, record))
        except asyncio.QueueFull:
            with _named(probe, record):
                log.warning("evidence not saved", reason=f"{MAX_WAITING} runs are waiting: the disk is slow")

    async def serve(self) -> None:
        """Save queued runs until canceled; a failure affects one run only."""
        while True:
            probe, record = await self._waiting.get()
            with _named(probe, record):
                try:
                    await asyncio.to_thread(self._files.save, probe.meta.namespace, probe.meta.name, record)
                except Exception:
                    log.exception("evidence not saved")


def _named(probe: Probe, record: RunRecord) -> AbstractContextManager[object]:
    return bound_contextvars(probe=f"{probe.meta.namespace}/{probe.meta.name}", run_id=record.id)
