"""Executes one run: finds the probe, runs it, and passes the result on. Called by `scheduler`.

In: a due run. Out: calls of `Publisher` and `EvidenceSaver`.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from structlog.contextvars import bound_contextvars

from ...api.probe import Probe
from ...api.reasons import Reason
from ...api.vocabulary import Trigger
from ...collect.fair_slots import Slot
from ...diagnose.finding.diagnosis import Diagnosis
from ...plan.plan import CannotRun
from ...publish.publisher import Publisher
from ...runs.interfaces import Runner
from ...runs.run_result import NextRun, RunRecord, RunResult, verdict_of
from ..evidence_store.evidence_saver import EvidenceSaver
from .registry import Registry
from .scheduler import Clock
from .timetable import Due

log = structlog.get_logger(__name__)

# Runs that a user requests, often just after a change of the cluster: they use no answers of earlier runs.
REQUESTED_BY_USER = frozenset({Trigger.RUN_NOW, Trigger.SPEC_CHANGE})


@dataclass(frozen=True, slots=True)
class Ended:
    """A run and the probe as it was when the run started."""

    probe: Probe
    record: RunRecord


class RunExecutor:
    """Implements `scheduler.Runs`."""

    def __init__(
        self,
        registry: Registry,
        runner: Runner,
        publisher: Publisher,
        clock: Clock,
        saver: EvidenceSaver | None = None,
    ) -> None:
        self._registry = registry
        self._runner = runner
        self._publisher = publisher
        self._clock = clock
        self._saver = saver

    async def run(self, due: Due, slot: Slot | None = None) -> Ended:
        """Run the probe as it is now."""
        probe = self._registry.runnable(due.uid)
        run_id = uuid.uuid4().hex[:12]
        with bound_contextvars(probe=self.name(due.uid), run_id=run_id):
            log.debug("run started", trigger=due.trigger)
            capture = self._registry.wants_capture(probe, self._clock())
            result = await self._run(probe, due.trigger, capture, slot)
        return Ended(probe, RunRecord(run_id, due.trigger, due.at, result, capture))

    def name(self, uid: str) -> str:
        """Namespace and name of the probe."""
        return self._registry.name(uid)

    def namespace(self, uid: str) -> str:
        """Namespace of the probe."""
        return self._registry.namespace(uid)

    def ended(self, result: Ended, outlook: NextRun) -> None:
        """Publish the result, then save the evidence if that is enabled."""
        published = self._publisher.run_ended(result.probe, result.record, outlook)
        with bound_contextvars(probe=self.name(result.probe.meta.uid), run_id=result.record.id):
            _log_end(result.record.result, log.info if published.news else log.debug)
        self._registry.run_ended(result.probe.meta.uid)
        if self._saver:
            self._saver.put(result.probe, result.record, published.kind)

    async def _run(self, probe: Probe, trigger: Trigger, capture: bool, slot: Slot | None) -> RunResult:
        started = self._clock()
        try:
            return await self._runner.run(probe, capture, trigger in REQUESTED_BY_USER, slot)
        except Exception as error:
            log.exception("run failed")
            why = CannotRun(Reason.INTERNAL_ERROR, f"the run ended with {type(error).__name__}")
        return RunResult(started, self._clock(), (why,))


def _log_end(result: RunResult, write: Callable[..., None]) -> None:
    """Log the outcome that decides the verdict, and the number of paths if there are several."""
    outcome = result.worst
    more: dict[str, object] = {}
    if isinstance(outcome, Diagnosis):
        hop = outcome.divergence
        more = {
            "node": outcome.plan.source.pod.node,
            "rule": outcome.rule,
            "hop": hop.hop if hop else None,
            "hop_node": hop.node if hop else None,
        }
    if len(result.outcomes) > 1:
        more["paths"] = len(result.outcomes)
    write(
        "run ended",
        verdict=verdict_of(outcome),
        reason=outcome.reason,
        message=outcome.message,
        **more,
        duration_s=round(result.ended - result.started, 3),
    )
