"""The result of one run: what the runner hands to those who tell people."""

from dataclasses import dataclass

from ..api.vocabulary import ProbeVerdict, Trigger
from ..diagnose.finding.diagnosis import Diagnosis
from ..diagnose.run.bundle import Bundle
from ..plan.plan import CannotRun

_WORST_FIRST = (ProbeVerdict.BROKEN, ProbeVerdict.DEGRADED, ProbeVerdict.UNKNOWN, ProbeVerdict.HEALTHY)

Outcome = Diagnosis | CannotRun
"""What became of one path."""


def verdict_of(outcome: Outcome) -> ProbeVerdict:
    """The verdict on a path; Unknown where none took place."""
    return outcome.verdict if isinstance(outcome, Diagnosis) else ProbeVerdict.UNKNOWN


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run found, and what it goes by. Times are seconds since the epoch (UTC).

    `outcomes`: one for each pair of source and destination, at least one; kept with the worst first, in whatever order
    they are given. `bundles`: what those that took place were judged by.
    """

    started: float
    ended: float
    outcomes: tuple[Outcome, ...]
    bundles: tuple[Bundle, ...] = ()

    def __post_init__(self) -> None:
        worst_first = sorted(self.outcomes, key=lambda outcome: _WORST_FIRST.index(verdict_of(outcome)))
        object.__setattr__(self, "outcomes", tuple(worst_first))

    @property
    def worst(self) -> Outcome:
        """The path that decides."""
        return self.outcomes[0]

    @property
    def paths(self) -> tuple[Diagnosis, ...]:
        """The paths on which a request was sent, the worst first."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, Diagnosis))


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
