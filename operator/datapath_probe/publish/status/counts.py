"""Counts for the status: runs by outcome, and the paths of the last run by verdict. Called by `status`. Pure."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from ...api.status.condition import ConditionStatus
from ...api.status.probe_status import Counters, PathCounts
from ...api.vocabulary import ProbeVerdict
from ...runs.run_result import Outcome, verdict_of
from .conditions import FALSE, TRUE, UNKNOWN


def counted(
    before: Counters,
    expectation_met: ConditionStatus,
    path_healthy: ConditionStatus,
    skipped: int,
    started: datetime,
) -> Counters:
    """The counters plus one run, and plus the runs that were skipped before it."""
    goes_on = {TRUE: before.consecutive_successes, FALSE: before.consecutive_failures, UNKNOWN: 0}
    streak_start_time = before.streak_start_time if goes_on[expectation_met] else None
    return Counters(
        runs=before.runs + 1,
        failures=before.failures + (expectation_met is FALSE),
        consecutive_failures=_streak(before.consecutive_failures, expectation_met is FALSE),
        consecutive_successes=_streak(before.consecutive_successes, expectation_met is TRUE),
        consecutive_path_failures=_streak(before.consecutive_path_failures, path_healthy is FALSE),
        consecutive_path_successes=_streak(before.consecutive_path_successes, path_healthy is TRUE),
        streak_start_time=None if expectation_met is UNKNOWN else streak_start_time or started,
        outages=before.outages,
        skipped=before.skipped + skipped,
    )


def _streak(before: int, goes_on: bool) -> int:
    return before + 1 if goes_on else 0


def path_counts(outcomes: Sequence[Outcome], not_run: int = 0) -> PathCounts:
    """The number of paths of a run by verdict. A path on which no request could be sent is Unknown."""
    by_verdict = Counter(map(verdict_of, outcomes))
    return PathCounts(
        total=by_verdict.total() + not_run,
        healthy=by_verdict[ProbeVerdict.HEALTHY],
        degraded=by_verdict[ProbeVerdict.DEGRADED],
        broken=by_verdict[ProbeVerdict.BROKEN],
        unknown=by_verdict[ProbeVerdict.UNKNOWN],
        not_run=not_run,
    )
