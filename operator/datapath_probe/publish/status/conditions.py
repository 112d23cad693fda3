"""The conditions of a probe: Reachable, PathHealthy, Ready and Stalled. Pure.

Reachable and PathHealthy follow the last run after as many runs in a row as `spec.threshold` says; the first
run of a spec sets them at once, and so does a run that can't tell. They come first, since `kubectl describe`
shows them first.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ...api.condition import Condition, ConditionStatus
from ...api.reasons import Reason
from ...api.spec import ProbeSpec, Threshold
from ...api.status import Counters
from ...api.vocabulary import ExpectedOutcome, HopVerdict, ProbeVerdict
from ...diagnose.finding.diagnosis import Diagnosis
from ...plan.plan import CannotRun
from ...runs.run_result import Outcome

REACHABLE = "Reachable"
PATH_HEALTHY = "PathHealthy"
READY = "Ready"
STALLED = "Stalled"

UNSUPPORTED = frozenset({Reason.UNSUPPORTED_CONFIGURATION, Reason.UNSUPPORTED_VERSION})
"""Why the path can't be judged, though the outcome of the request is what was observed."""

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


@dataclass(frozen=True, slots=True)
class Proposed:
    """What a condition should say, whenever it began to."""

    type: str
    status: ConditionStatus
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class ReasonMessage:
    """The last run, for conditions that are not True because of it."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class PreviousConditions:
    """What the conditions were, and what the new ones are about."""

    conditions: Sequence[Condition]
    generation: int
    now: datetime

    def of(self, type_: str) -> Condition | None:
        """The condition of this type as it was."""
        return next((condition for condition in self.conditions if condition.type == type_), None)

    def becomes(self, claim: Proposed) -> Condition:
        """The condition that says this; its transition time only changes with its status."""
        before = self.of(claim.type)
        unchanged = before is not None and before.status is claim.status
        return Condition(
            type=claim.type,
            status=claim.status,
            observed_generation=self.generation,
            last_transition_time=before.last_transition_time if before and unchanged else self.now,
            reason=claim.reason,
            message=claim.message,
        )

    def becomes_after(self, claim: Proposed, streak: int, threshold: Threshold) -> Condition:
        """As `becomes`, but between True and False it waits until `streak` runs in a row have said so."""
        before = self.of(claim.type)
        needed = threshold.successes if claim.status is TRUE else threshold.failures
        settled = before is not None and before.observed_generation == self.generation
        if before and settled and claim.status not in (UNKNOWN, before.status) and streak < needed:
            return before
        return self.becomes(claim)


def after_run(
    past: PreviousConditions,
    outcomes: Sequence[Outcome],
    words: Callable[[Outcome], ReasonMessage],
    counters: Counters,
    spec: ProbeSpec,
) -> Iterator[Condition]:
    """Reachable and PathHealthy. `counters`: this run included; `words`: how a path is spoken of."""
    reachable = reachability(outcomes)
    said = words(_deciding(outcomes, _reachable, reachable))
    streak = counters.consecutive_successes if reachable is TRUE else counters.consecutive_failures
    met = Reason.DENIED if spec.expect.outcome is ExpectedOutcome.DENIED else Reason.DELIVERED
    yield past.becomes_after(_claim(REACHABLE, reachable, said, met), streak, spec.threshold)
    healthy = path_health(outcomes)
    said = words(_deciding(outcomes, _healthy, healthy))
    streak = counters.consecutive_path_successes if healthy is TRUE else counters.consecutive_path_failures
    yield past.becomes_after(_claim(PATH_HEALTHY, healthy, said, Reason.ALL_HOPS_OK), streak, spec.threshold)


def _claim(type_: str, status: ConditionStatus, said: ReasonMessage, good: Reason) -> Proposed:
    if status is TRUE:
        message = "the expectation is met" if type_ == REACHABLE else "no hop is Broken or Stale"
        return Proposed(type_, status, good, message)
    return Proposed(type_, status, said.reason, said.message)


def _worst(statuses: Iterable[ConditionStatus]) -> ConditionStatus:
    found = set(statuses)
    return FALSE if FALSE in found else TRUE if found == {TRUE} else UNKNOWN


def _deciding(
    outcomes: Sequence[Outcome], of: Callable[[Outcome], ConditionStatus], status: ConditionStatus
) -> Outcome:
    """The worst path that by itself has the status of all."""
    return next(outcome for outcome in outcomes if of(outcome) is status)


def reachability(outcomes: Sequence[Outcome]) -> ConditionStatus:
    """Whether the expectation on the outcome was met on every path."""
    return _worst(map(_reachable, outcomes))


def _reachable(outcome: Outcome) -> ConditionStatus:
    """A failure counts where it proves something: not while something is in transition."""
    if isinstance(outcome, CannotRun):
        return UNKNOWN
    return TRUE if outcome.met else FALSE if _counts(outcome) else UNKNOWN


def _counts(failed: Diagnosis) -> bool:
    unjudged = failed.met is False and failed.reason in UNSUPPORTED
    return failed.verdict is ProbeVerdict.BROKEN or unjudged


def path_health(outcomes: Sequence[Outcome]) -> ConditionStatus:
    """Whether no hop is Broken or Stale on any path, and none is Unknown."""
    return _worst(map(_healthy, outcomes))


def _healthy(outcome: Outcome) -> ConditionStatus:
    if isinstance(outcome, CannotRun) or outcome.verdict is ProbeVerdict.UNKNOWN:
        return UNKNOWN
    if outcome.segment or outcome.divergence:
        return FALSE
    return UNKNOWN if any(finding.verdict is not HopVerdict.OK for finding in outcome.findings) else TRUE
