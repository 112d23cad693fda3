"""The result of one run, which `control` passes on to `publish`."""

from dataclasses import dataclass

from ..api.vocabulary import ProbeVerdict, Trigger
from ..diagnose.finding.diagnosis import Diagnosis
from ..diagnose.run.bundle import Bundle
from ..plan.pairs.pairs import Pairs
from ..plan.plan import CannotRun

_WORST_FIRST = (ProbeVerdict.BROKEN, ProbeVerdict.DEGRADED, ProbeVerdict.UNKNOWN, ProbeVerdict.HEALTHY)

Outcome = Diagnosis | CannotRun
"""The result of one path: a diagnosis, or why no request was sent."""


def verdict_of(outcome: Outcome) -> ProbeVerdict:
    """The verdict of a path; Unknown if no request was sent."""
    return outcome.verdict if isinstance(outcome, Diagnosis) else ProbeVerdict.UNKNOWN


def badness(outcome: Outcome) -> int:
    """The rank of the verdict of a path: 0 for the worst."""
    return _WORST_FIRST.index(verdict_of(outcome))


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run found, and the evidence for it. Times are seconds since the epoch (UTC).

    `outcomes`: one for each pair of source and destination that was run, at least one; sorted with the worst first.
    `bundles`: the evidence of paths on which a request was sent. `pairs`: all that the probe stands for; None if there
    are none. `not_run`: how many of them were not run, because there are more than one run may have. `delayed`: there
    were requests that waited, because their namespace had sent as many as it may.
    """

    started: float
    ended: float
    outcomes: tuple[Outcome, ...]
    bundles: tuple[Bundle, ...] = ()
    pairs: Pairs | None = None
    not_run: int = 0
    delayed: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "outcomes", tuple(sorted(self.outcomes, key=badness)))

    @property
    def worst(self) -> Outcome:
        """The outcome that decides the verdict."""
        return self.outcomes[0]

    @property
    def paths(self) -> tuple[Diagnosis, ...]:
        """The paths on which a request was sent, the worst first."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, Diagnosis))


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run and its place in the schedule. `id` also appears in the logs; `due` is when the run should have started.
    `captured`: it was to capture its packets.
    """

    id: str
    trigger: Trigger
    due: float
    result: RunResult
    captured: bool = False


@dataclass(frozen=True, slots=True)
class NextRun:
    """What the schedule says when a run has ended. `next_run`: seconds since the epoch, None if the probe is suspended
    or deleted. `skipped`: number of runs that should have started in the meantime.
    """

    next_run: float | None
    skipped: int = 0
