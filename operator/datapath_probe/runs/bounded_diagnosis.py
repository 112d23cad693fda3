"""Diagnosis that never holds up the event loop: small evidence is judged at once, large evidence in a worker process.

In: the run of one path. Out: what `diagnose.engine` returns for it. Called by `path_runner`. If the worker reaches a
limit, the path is judged without its large answers, here and from then on.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import structlog

from ..collect.fair_slots import Slot
from ..diagnose.engine import diagnose, facts_of
from ..diagnose.finding.diagnosis import Diagnosis
from ..diagnose.finding.finding_cache import KnownFindings
from ..diagnose.run.run import PathRun
from ..evidence.fact import Fact
from ..evidence.size import is_large, without_large_answers
from .diagnosis_worker import DiagnosisLimitError, DiagnosisWorker

T = TypeVar("T")

log = structlog.get_logger(__name__)


class BoundedDiagnosis:
    """The diagnosis of one path. `slot`: that of the path; the worker needs none."""

    def __init__(self, worker: DiagnosisWorker, slot: Slot) -> None:
        self._worker = worker
        self._known = KnownFindings()
        self._slot = slot
        self._unread = ""  # why large answers are left out

    @property
    def looked_at(self) -> set[Fact]:
        """The facts that the diagnosis has looked at so far; none if it was done elsewhere."""
        return self._known.looked_at

    async def diagnose(self, run: PathRun) -> Diagnosis:
        """See `engine.diagnose`."""
        return await self._judged(diagnose, partial(diagnose, known=self._known), run)

    async def facts_of(self, run: PathRun) -> Sequence[Fact]:
        """See `engine.facts_of`."""
        return await self._judged(facts_of, partial(facts_of, known=self._known), run)

    def judged(self, run: PathRun) -> PathRun:
        """The run with the evidence that counts: without large answers, if the worker has reached a limit."""
        if not self._unread:
            return run
        return replace(run, evidence=without_large_answers(run.evidence, self._unread))

    async def _judged(
        self, elsewhere: Callable[[PathRun], T], here: Callable[[PathRun], T], run: PathRun
    ) -> T:
        if not self._unread and is_large(run.evidence):
            async with self._slot.released():
                result = await self._called(elsewhere, run)
            if not isinstance(result, DiagnosisLimitError):
                return result
            self._unread = f"the answers of this path are too large to be diagnosed: {result}"
            log.warning("large answers left out", reason=str(result))
        return here(self.judged(run))

    async def _called(self, elsewhere: Callable[[PathRun], T], run: PathRun) -> T | DiagnosisLimitError:
        try:
            return await self._worker.call(elsewhere, run)
        except DiagnosisLimitError as limit:
            return limit
