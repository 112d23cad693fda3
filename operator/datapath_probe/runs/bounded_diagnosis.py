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
from ..diagnose.finding.evidence_reader import ParseCache
from ..diagnose.run.run import PathRun
from ..evidence.fact import Fact
from ..evidence.size import has_large_node_rules, is_large, without_large_answers
from .diagnosis_worker import DiagnosisLimitError, DiagnosisWorker

T = TypeVar("T")

log = structlog.get_logger(__name__)

# Rules of nodes are parsed line by line and searched in Python, so that the event loop has its turn every 5 ms. One
# thread for all runs: they share the interpreter anyway, and the records of one path at a time take memory.
_THREAD = ThreadPoolExecutor(1, "diagnosis")


class BoundedDiagnosis:
    """The diagnosis of one path. `cache`: the records that were parsed in this process. `slot`: that of the path; it is
    held for the thread, so that paths wait no longer there than namespaces are owed, but not for the worker.
    """

    def __init__(self, worker: DiagnosisWorker, cache: ParseCache, slot: Slot) -> None:
        self._worker = worker
        self._cache = cache
        self._slot = slot
        self._findings = ParseCache()  # those made in the thread
        self._unread = ""  # why large answers are left out

    async def diagnose(self, run: PathRun) -> Diagnosis:
        """See `engine.diagnose`."""
        return await self._judged(diagnose, partial(diagnose, parse_cache=self._cache), run)

    async def facts_of(self, run: PathRun) -> Sequence[Fact]:
        """See `engine.facts_of`."""
        return await self._judged(facts_of, partial(facts_of, parse_cache=self._cache), run)

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
            return await asyncio.get_running_loop().run_in_executor(_THREAD, self._alone, elsewhere, judged)
        return here(judged)

    def _alone(self, judge: Callable[..., T], run: PathRun) -> T:
        """Judge in the thread. The findings are kept; records would take memory for each path that is in progress."""
        try:
            return judge(run, parse_cache=self._findings)
        finally:
            self._findings.records.clear()

    async def _called(self, elsewhere: Callable[[PathRun], T], run: PathRun) -> T | DiagnosisLimitError:
        try:
            return await self._worker.call(elsewhere, run)
        except DiagnosisLimitError as limit:
            return limit
