"""The result of one run: what the runner hands to those who tell people."""

from dataclasses import dataclass

from ..api.vocabulary import Trigger
from ..diagnose.finding.diagnosis import Diagnosis
from ..diagnose.run.bundle import Bundle
from ..plan.plan import CannotRun


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run found, and what it goes by. Times are seconds since the epoch (UTC)."""

    started: float
    ended: float
    outcome: Diagnosis | CannotRun
    bundle: Bundle | None = None

    @property
    def paths(self) -> tuple[Diagnosis, ...]:
        """One diagnosis per pair of source and destination; none if no run was possible."""
        return (self.outcome,) if isinstance(self.outcome, Diagnosis) else ()


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as the schedule sees it: `id` is also in the logs, `due` is when it should have started."""

    id: str
    trigger: Trigger
    due: float
    result: RunResult


@dataclass(frozen=True, slots=True)
class NextRun:
    """What follows a run. `next_run`: seconds since the epoch, None if suspended or gone. `skipped`: runs
    that should have started meanwhile.
    """

    next_run: float | None
    skipped: int = 0
