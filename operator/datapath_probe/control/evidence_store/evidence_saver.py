"""Saves evidence behind the runs: a slow disk delays no verdict, and holds no run's place.

In: runs that have ended and been told. Out: `EvidenceFiles.save`, one after another, in a thread. Filled by
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

# So many runs may wait, with all their evidence in memory; what ends meanwhile is not saved.
WAITING = 32


class EvidenceSaver:
    """What waits when the operator stops is not saved."""

    def __init__(self, files: EvidenceFiles) -> None:
        self._files = files
        self._waiting: asyncio.Queue[tuple[Probe, RunRecord]] = asyncio.Queue(WAITING)

    def put(self, probe: Probe, record: RunRecord) -> None:
        """Have it saved soon. Never waits."""
        if not record.result.bundles:
            return
        try:
            self._waiting.put_nowait((probe, record))
        except asyncio.QueueFull:
            with _named(probe, record):
                log.warning("evidence not saved", reason=f"{WAITING} runs wait to be saved: the disk is slow")

    async def serve(self) -> None:
        """Save until cancelled, whatever goes wrong with one."""
        while True:
            probe, record = await self._waiting.get()
            with _named(probe, record):
                try:
                    await asyncio.to_thread(self._files.save, probe.meta.namespace, probe.meta.name, record)
                except Exception:
                    log.exception("evidence not saved")


def _named(probe: Probe, record: RunRecord) -> AbstractContextManager[object]:
    return bound_contextvars(probe=f"{probe.meta.namespace}/{probe.meta.name}", run_id=record.id)
