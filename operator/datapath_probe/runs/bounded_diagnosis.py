"""Diagnosis that never holds up the event loop. Small evidence is judged at once, large packet filters of nodes in a
thread, other large evidence in a worker process.

In: the run of one path. Out: what `diagnose.engine` returns for it. Called by `path_runner`. If the worker reaches a
limit, the path is judged without its large answers, here and from then on.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from ..evidence.reading import Answer
from ..evidence.size import has_large_node_rules, is_large, node_rules, without_large_answers
from .diagnosis_worker import DiagnosisLimitError, DiagnosisWorker

T = TypeVar("T")

log = structlog.get_logger(__name__)

# Rules of nodes are parsed line by line and searched in Python, so that the event loop has its turn every 5 ms. One
# thread for all runs: they share the interpreter anyway, and the records of one path at a time take memory.
_THREAD = ThreadPoolExecutor(1, "diagnosis")


class BoundedDiagnosis:
    """The diagnosis of one path. `slot`: that of the path; it is held for the thread, so that paths wait no longer
    there than namespaces are owed, but not for the worker.
    """

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

    async def _judged(self, elsewhere: Callable[..., T], here: Callable[[PathRun], T], run: PathRun) -> T:
        if not self._unread and is_large(run.evidence):
            async with self._slot.released():
                result = await self._called(elsewhere, run)
            if not isinstance(result, DiagnosisLimitError):
                return result
            self._unread = f"the answers of this path are too large to be diagnosed: {result}"
            log.warning("large answers left out", reason=str(result))
        judged = self.judged(run)
        if has_large_node_rules(judged.evidence):
            return await asyncio.get_running_loop().run_in_executor(_THREAD, self._alone, here, judged)
        return here(judged)

    def _alone(self, judge: Callable[[PathRun], T], run: PathRun) -> T:
        """Judge in the thread. Records of rules are not kept: they would take memory for each path in progress."""
        try:
            return judge(run)
        finally:
            for reading in node_rules(run.evidence):
                if isinstance(reading, Answer):
                    reading.records.clear()

    async def _called(self, elsewhere: Callable[[PathRun], T], run: PathRun) -> T | DiagnosisLimitError:
        try:
            return await self._worker.call(elsewhere, run)
        except DiagnosisLimitError as limit:
            return limit
