"""The conditions of a probe: ExpectationMet, PathHealthy, Ready and Stalled. Pure.

ExpectationMet and PathHealthy follow the last run after as many runs in a row as `spec.threshold` says. The first run
of a spec sets them at once, and so does a run with an unknown result. They come first, since `kubectl describe` shows
them first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ...api.condition import Condition, ConditionStatus
from ...api.reasons import Reason
from ...api.spec import ProbeSpec, Threshold
from ...api.status import Counters
from ...api.vocabulary import ExpectedOutcome, HopVerdict, ProbeVerdict
from ...diagnose.finding.diagnosis import Diagnosis

EXPECTATION_MET = "ExpectationMet"
PATH_HEALTHY = "PathHealthy"
READY = "Ready"
STALLED = "Stalled"

UNSUPPORTED = frozenset({Reason.UNSUPPORTED_CONFIGURATION, Reason.UNSUPPORTED_VERSION})
"""Why the path can't be judged, though the outcome of the request is what was observed."""

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


@dataclass(frozen=True, slots=True)
class Proposed:
    """What a condition should be by the last run alone."""

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
    """The conditions so far; `generation` and `now` are those of the new ones."""

    conditions: Sequence[Condition]
    generation: int
    now: datetime

    def of(self, type_: str) -> Condition | None:
        """The condition of this type so far."""
        return next((condition for condition in self.conditions if condition.type == type_), None)

    def updated(self, proposed: Proposed) -> Condition:
        """The proposed condition; its transition time only changes with its status."""
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
        """As `updated`, but a change between True and False waits for a streak of as many runs as the threshold."""
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
    paths: Sequence[Diagnosis],
    last_run: ReasonMessage,
    counters: Counters,
    spec: ProbeSpec,
) -> tuple[Condition, Condition]:
    """ExpectationMet and PathHealthy. `counters`: this run included."""
    expectation = _proposed_expectation_met(paths, last_run, spec.expect.outcome)
    health = _proposed_path_healthy(paths, last_run)
    return (
        previous.updated_after(expectation, _outcome_streak(counters, expectation.status), spec.threshold),
        previous.updated_after(health, _path_streak(counters, health.status), spec.threshold),
    )


def _proposed_expectation_met(
    paths: Sequence[Diagnosis], last_run: ReasonMessage, outcome: ExpectedOutcome
) -> Proposed:
    status = expectation_met(paths)
    if status is TRUE:
        reason = Reason.DENIED if outcome is ExpectedOutcome.DENIED else Reason.DELIVERED
        return Proposed(EXPECTATION_MET, status, reason, "the outcome is as expected")
    return Proposed(EXPECTATION_MET, status, last_run.reason, last_run.message)


def _proposed_path_healthy(paths: Sequence[Diagnosis], last_run: ReasonMessage) -> Proposed:
    status = path_healthy(paths)
    if status is TRUE:
        return Proposed(PATH_HEALTHY, status, Reason.ALL_HOPS_OK, "no hop is Broken or Stale")
    return Proposed(PATH_HEALTHY, status, last_run.reason, last_run.message)


def _outcome_streak(counters: Counters, status: ConditionStatus) -> int:
    return counters.consecutive_successes if status is TRUE else counters.consecutive_failures


def _path_streak(counters: Counters, status: ConditionStatus) -> int:
    return counters.consecutive_path_successes if status is TRUE else counters.consecutive_path_failures


def _worst(statuses: Iterable[ConditionStatus]) -> ConditionStatus:
    found = set(statuses)
    return FALSE if FALSE in found else TRUE if found == {TRUE} else UNKNOWN


def expectation_met(paths: Sequence[Diagnosis]) -> ConditionStatus:
    """Whether the outcome was as expected on every path. A failure counts where it proves something: not while there is
    a transition.
    """
    return _worst(TRUE if path.met else FALSE if _counts(path) else UNKNOWN for path in paths)


def _counts(failed: Diagnosis) -> bool:
    unjudged = failed.met is False and failed.reason in UNSUPPORTED
    return failed.verdict is ProbeVerdict.BROKEN or unjudged


def path_healthy(paths: Sequence[Diagnosis]) -> ConditionStatus:
    """Whether no hop is Broken or Stale on any path, and none is Unknown."""
    return _worst(_one_path_healthy(path) for path in paths)


def _one_path_healthy(path: Diagnosis) -> ConditionStatus:
    if path.verdict is ProbeVerdict.UNKNOWN:
        return UNKNOWN
    if path.segment or path.divergence:
        return FALSE
    return UNKNOWN if any(finding.verdict is not HopVerdict.OK for finding in path.findings) else TRUE
