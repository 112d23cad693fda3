"""The conditions of a probe: ExpectationMet, PathHealthy, Ready and Stalled. Called by `status`. Pure.

ExpectationMet and PathHealthy change after the number of consecutive runs that `spec.threshold` sets. The first run of
a spec and a run with an unknown result set them immediately. They come first because `kubectl describe` shows
conditions in this order.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ...api.reasons import Reason
from ...api.spec.probe_spec import ProbeSpec, Threshold
from ...api.status.condition import Condition, ConditionStatus
from ...api.status.probe_status import Counters
from ...api.vocabulary import ExpectedOutcome, HopVerdict, ProbeVerdict
from ...diagnose.finding.diagnosis import Diagnosis
from ...plan.plan import CannotRun
from ...runs.run_result import Outcome

EXPECTATION_MET = "ExpectationMet"
PATH_HEALTHY = "PathHealthy"
READY = "Ready"
STALLED = "Stalled"

UNSUPPORTED = frozenset({Reason.UNSUPPORTED_CONFIGURATION, Reason.UNSUPPORTED_VERSION})
"""Reasons why the path can't be judged although the outcome of the request is known."""

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


@dataclass(frozen=True, slots=True)
class Proposed:
    """A condition as the last run alone determines it."""

    type: str
    status: ConditionStatus
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class ReasonMessage:
    """The reason and message of a condition that is not True, from one path of the last run."""

    reason: Reason
    message: str


InWords = Callable[[Outcome], ReasonMessage]


@dataclass(frozen=True, slots=True)
class PreviousConditions:
    """The previous conditions. `generation` and `now` are those of the new ones."""

    conditions: Sequence[Condition]
    generation: int
    now: datetime

    def of(self, type_: str) -> Condition | None:
        """The previous condition of this type."""
        return next((condition for condition in self.conditions if condition.type == type_), None)

    def updated(self, proposed: Proposed) -> Condition:
        """The proposed condition. Its transition time changes only with its status."""
        before = self.of(proposed.type)
        unchanged = before is not None and before.status is proposed.status
        return Condition(
            type=proposed.type,
            status=proposed.status,
            observed_generation=self.generation,
            last_transition_time=before.last_transition_time if before and unchanged else self.now,
            reason=proposed.reason,
            message=proposed.message,
        )

    def updated_after(self, proposed: Proposed, streak: int, threshold: Threshold) -> Condition:
        """Like `updated`, but between True and False it waits for as many consecutive runs as the threshold sets."""
        before = self.of(proposed.type)
        if before is None or not self._waits(before, proposed, streak, threshold):
            return self.updated(proposed)
        return before

    def _waits(self, before: Condition, proposed: Proposed, streak: int, threshold: Threshold) -> bool:
        of_this_spec = before.observed_generation == self.generation
        changes = proposed.status not in (UNKNOWN, before.status)
        needed = threshold.successes if proposed.status is TRUE else threshold.failures
        return of_this_spec and changes and streak < needed


def after_run(
    previous: PreviousConditions,
    outcomes: Sequence[Outcome],
    in_words: InWords,
    counters: Counters,
    spec: ProbeSpec,
) -> tuple[Condition, Condition]:
    """ExpectationMet and PathHealthy. `counters` include this run. `in_words`: describes a path."""
    expectation = _proposed_expectation_met(outcomes, in_words, spec.expect.outcome)
    health = _proposed_path_healthy(outcomes, in_words)
    return (
        previous.updated_after(expectation, _outcome_streak(counters, expectation.status), spec.threshold),
        previous.updated_after(health, _path_streak(counters, health.status), spec.threshold),
    )


def _proposed_expectation_met(
    outcomes: Sequence[Outcome], in_words: InWords, expected: ExpectedOutcome
) -> Proposed:
    status = expectation_met(outcomes)
    if status is TRUE:
        reason = Reason.DENIED if expected is ExpectedOutcome.DENIED else Reason.DELIVERED
        return Proposed(EXPECTATION_MET, status, reason, "the outcome is as expected")
    deciding = in_words(_deciding(outcomes, _met, status))
    return Proposed(EXPECTATION_MET, status, deciding.reason, deciding.message)


def _proposed_path_healthy(outcomes: Sequence[Outcome], in_words: InWords) -> Proposed:
    status = path_healthy(outcomes)
    if status is TRUE:
        return Proposed(PATH_HEALTHY, status, Reason.ALL_HOPS_OK, "no hop is Broken or Stale")
    deciding = in_words(_deciding(outcomes, _healthy, status))
    return Proposed(PATH_HEALTHY, status, deciding.reason, deciding.message)


def _deciding(
    outcomes: Sequence[Outcome], of: Callable[[Outcome], ConditionStatus], status: ConditionStatus
) -> Outcome:
    """The worst path that alone would have this status."""
    return next(outcome for outcome in outcomes if of(outcome) is status)


def _outcome_streak(counters: Counters, status: ConditionStatus) -> int:
    return counters.consecutive_successes if status is TRUE else counters.consecutive_failures


def _path_streak(counters: Counters, status: ConditionStatus) -> int:
    return counters.consecutive_path_successes if status is TRUE else counters.consecutive_path_failures


def _worst(statuses: Iterable[ConditionStatus]) -> ConditionStatus:
    found = set(statuses)
    return FALSE if FALSE in found else TRUE if found == {TRUE} else UNKNOWN


def expectation_met(outcomes: Sequence[Outcome]) -> ConditionStatus:
    """Whether the outcome was as expected on every path."""
    return _worst(map(_met, outcomes))


def _met(outcome: Outcome) -> ConditionStatus:
    """A failure counts only if nothing was in transition."""
    if isinstance(outcome, CannotRun):
        return UNKNOWN
    return TRUE if outcome.met else FALSE if _counts(outcome) else UNKNOWN


def _counts(failed: Diagnosis) -> bool:
    unjudged = failed.met is False and failed.reason in UNSUPPORTED
    return failed.verdict is ProbeVerdict.BROKEN or unjudged


def path_healthy(outcomes: Sequence[Outcome]) -> ConditionStatus:
    """Whether no hop is Broken or Stale on any path, and none is Unknown."""
    return _worst(map(_healthy, outcomes))


def _healthy(outcome: Outcome) -> ConditionStatus:
    if isinstance(outcome, CannotRun) or outcome.verdict is ProbeVerdict.UNKNOWN:
        return UNKNOWN
    if outcome.segment or outcome.divergence:
        return FALSE
    return UNKNOWN if any(finding.verdict is not HopVerdict.OK for finding in outcome.findings) else TRUE
