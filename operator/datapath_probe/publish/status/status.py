"""Earlier status + what has just happened → the next status. Pure.

A status goes on from the one read from the API server, so counters, history and conditions survive a restart.
Called by `publisher` for every run, and by `datapath-probe replay` for what it shows.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from ...api.bounds import fitted
from ...api.condition import Condition, ConditionStatus
from ...api.path_result import PathResult
from ...api.probe import InvalidSpec, Probe
from ...api.reasons import Reason
from ...api.status import PATHS_LIMIT, Counters, HistoryEntry, LastRun, ProbeStatus
from ...api.vocabulary import ProbeVerdict
from ...diagnose.finding.diagnosis import Diagnosis
from ...runs.run_result import NextRun, Outcome, RunRecord, RunResult, verdict_of
from . import conditions
from .capture import captured
from .conditions import (
    FALSE,
    PATH_HEALTHY,
    REACHABLE,
    READY,
    STALLED,
    TRUE,
    UNKNOWN,
    PreviousConditions,
    Proposed,
)
from .many_paths import ends_text, pair_text, paths_text
from .path_profile_tracker import Sight
from .paths import hop_ref, path_result, segment_result
from .summary import (
    destination_text,
    healthy_summary,
    latency_text,
    place_text,
    source_text,
    with_next_step,
)

# What keeps a run from taking place until somebody changes the spec, what it names, or Cilium's configuration. What
# passes by itself, such as a pod that starts, does not.
_STALLING = frozenset(
    {
        Reason.SOURCE_NOT_FOUND,
        Reason.CONTAINER_NOT_FOUND,
        Reason.DESTINATION_NOT_FOUND,
        Reason.PORT_NOT_FOUND,
        Reason.INVALID_OBJECT,
        Reason.NO_COMMON_IP_VERSION,
        Reason.UNSUPPORTED_DESTINATION,
        Reason.UNSUPPORTED_CONFIGURATION,
    }
)


def findings(result: RunResult, probe: Probe | None = None) -> ProbeStatus:
    """What a run found, without anything that depends on earlier runs. The probe only fills in names."""
    worst = result.worst
    paths = tuple(path_result(path) for path in result.paths[:PATHS_LIMIT])
    source, destination = (
        ends_text(result.outcomes, probe, text) for text in (source_text, destination_text)
    )
    verdict = verdict_of(worst)
    divergence = worst.divergence if isinstance(worst, Diagnosis) else None
    segment = worst.segment if isinstance(worst, Diagnosis) else None
    return ProbeStatus(
        source=source or None,
        destination=destination or None,
        verdict=verdict,
        reason=None if verdict is ProbeVerdict.HEALTHY else worst.reason,
        summary=_summary(result, f"{source} → {destination}", paths, probe),
        divergent_hop=hop_ref(divergence) if divergence else None,
        segment=segment_result(segment) if segment else None,
        paths=paths,
        capture=captured(result),
    )


def after_run(
    previous: ProbeStatus, probe: Probe, record: RunRecord, outlook: NextRun, sight: Sight | None = None
) -> ProbeStatus:
    """The status when a run has ended. `sight`: what the run says about the way that packets take."""
    result = record.result
    found = findings(result, probe)
    ended = _time(result.ended)
    worst = result.worst
    sight = sight or Sight(previous.way)
    reachable = conditions.reachability(result.outcomes)
    path_healthy = conditions.path_health(result.outcomes)
    counters = _counted(previous.counters, reachable, path_healthy, outlook.skipped, sight)
    entry = _history_entry(found, verdict_of(worst), ended, path_healthy, sight.change)
    past = PreviousConditions(previous.conditions, probe.meta.generation, ended)
    return _with(
        found,
        observed_generation=probe.meta.generation,
        conditions=(
            *conditions.after_run(past, result.outcomes, _words(result, probe), counters, probe.spec),
            *_readiness(past, result, probe),
        ),
        last_run=LastRun(
            id=record.id, start_time=_time(result.started), end_time=ended, trigger=record.trigger
        ),
        next_run_time=None if outlook.next_run is None else _time(outlook.next_run),
        last_handled_run_now=probe.meta.run_now or previous.last_handled_run_now,
        last_handled_capture=probe.meta.capture or previous.last_handled_capture,
        counters=counters,
        capture=found.capture or previous.capture,
        way=sight.way,
        history=(entry, *previous.history)[: probe.spec.history.limit],
    )


def suspended(previous: ProbeStatus, probe: Probe, now: float) -> ProbeStatus:
    """The status of a probe that does not run for a while: what the last run said stays."""
    past = PreviousConditions(previous.conditions, probe.meta.generation, _time(now))
    judgements = (condition for condition in map(past.of, (REACHABLE, PATH_HEALTHY)) if condition)
    claim = Proposed(READY, TRUE, Reason.SUSPENDED, "spec.suspend is true: no run is started")
    return _with(
        previous,
        observed_generation=probe.meta.generation,
        next_run_time=None,
        conditions=(*judgements, past.becomes(claim)),
    )


def invalid(previous: ProbeStatus, probe: InvalidSpec, now: float) -> ProbeStatus:
    """The status of a probe that can't be run as the API server has it: nothing is known of its path."""
    past = PreviousConditions(previous.conditions, probe.meta.generation, _time(now))
    message = with_next_step(probe.message, Reason.INVALID_SPEC)
    statuses = {REACHABLE: UNKNOWN, PATH_HEALTHY: UNKNOWN, READY: FALSE, STALLED: TRUE}
    return _with(
        previous,
        observed_generation=probe.meta.generation,
        next_run_time=None,
        verdict=ProbeVerdict.UNKNOWN,
        reason=Reason.INVALID_SPEC,
        summary=f"{Reason.INVALID_SPEC}: {message}",
        divergent_hop=None,
        segment=None,
        paths=(),
        conditions=tuple(
            past.becomes(Proposed(type_, status, Reason.INVALID_SPEC, message))
            for type_, status in statuses.items()
        ),
    )


def _summary(result: RunResult, ends: str, paths: Sequence[PathResult], probe: Probe | None) -> str:
    """The run in one sentence. `ends`: source and destination of all its paths."""
    worst, several = result.worst, len(result.outcomes) > 1
    if verdict_of(worst) is ProbeVerdict.HEALTHY:
        if several:
            return f"{ends}: {paths_text(result.outcomes)}"
        return healthy_summary(pair_text(worst, probe), paths[0], result.paths[0])
    message = _words(result, probe)(worst).message
    return message if several else f"{message} ({pair_text(worst, probe)})"


def _words(result: RunResult, probe: Probe | None) -> Callable[[Outcome], conditions.ReasonMessage]:
    """How a path of this run is spoken of; one of several after how many are in which state, and with its ends."""
    if len(result.outcomes) == 1:
        return lambda outcome: conditions.ReasonMessage(outcome.reason, _in_words(outcome))
    counted = paths_text(result.outcomes)
    return lambda outcome: conditions.ReasonMessage(
        outcome.reason, f"{counted}. {_in_words(outcome)} ({pair_text(outcome, probe)})"
    )


def _in_words(outcome: Outcome) -> str:
    """ "Broken at ipcache-lookup on node2: WrongTunnelEndpoint: … Next: …"."""
    if verdict_of(outcome) is ProbeVerdict.HEALTHY:
        return outcome.message
    return f"{place_text(outcome)}: {outcome.reason}: {with_next_step(outcome.message, outcome.reason)}"


def _readiness(past: PreviousConditions, result: RunResult, probe: Probe) -> Iterator[Condition]:
    """Not ready is a probe none of whose paths can be run."""
    outcome = result.worst
    if not result.paths and outcome.reason in _STALLING:
        yield past.becomes(Proposed(READY, FALSE, outcome.reason, outcome.message))
        yield past.becomes(Proposed(STALLED, TRUE, outcome.reason, outcome.message))
    else:
        yield past.becomes(
            Proposed(READY, TRUE, Reason.SCHEDULED, f"runs every {probe.spec.schedule.interval}")
        )


def _counted(
    before: Counters,
    reachable: ConditionStatus,
    path_healthy: ConditionStatus,
    skipped: int,
    sight: Sight,
) -> Counters:
    failed, succeeded = reachable is FALSE, reachable is TRUE
    return Counters(
        runs=before.runs + 1,
        failures=before.failures + failed,
        consecutive_failures=before.consecutive_failures + 1 if failed else 0,
        consecutive_successes=before.consecutive_successes + 1 if succeeded else 0,
        consecutive_path_failures=before.consecutive_path_failures + 1 if path_healthy is FALSE else 0,
        consecutive_path_successes=before.consecutive_path_successes + 1 if path_healthy is TRUE else 0,
        skipped=before.skipped + skipped,
        path_changes=before.path_changes + (sight.change is not None),
    )


def _history_entry(
    found: ProbeStatus,
    verdict: ProbeVerdict,
    ended: datetime,
    path_healthy: ConditionStatus,
    change: str | None,
) -> HistoryEntry:
    return HistoryEntry(
        time=ended,
        verdict=verdict,
        hop=found.divergent_hop.name if found.divergent_hop else None,
        reason=found.reason,
        latency=latency_text(found.paths[0]) if found.paths else None,
        path_healthy=path_healthy,
        change=change,
    )


def _with(status: ProbeStatus, **changes: Any) -> ProbeStatus:
    """The status with these fields instead, validated and no larger than may be stored."""
    return fitted(ProbeStatus(**{**dict(status), **changes}))


def _time(epoch_s: float) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC)
