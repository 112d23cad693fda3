"""Previous status and the latest event → the next status. Called by `publisher`, and by `cli` for a single run. Pure.

The status is built from the one in the API server, so counters, history and conditions survive a restart.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from ...api.bounds import fitted
from ...api.probe import Probe, ProbeMeta
from ...api.reasons import Reason
from ...api.status.capture import Capture
from ...api.status.condition import Condition, ConditionStatus
from ...api.status.path_result import PathResult
from ...api.status.probe_status import (
    PATHS_LIMIT,
    Counters,
    HistoryEntry,
    LastRun,
    PathCounts,
    ProbeStatus,
)
from ...api.vocabulary import ProbeVerdict, Trigger
from ...diagnose.finding.diagnosis import Diagnosis
from ...runs.run_result import NextRun, RunRecord, RunResult, verdict_of
from ..advice import next_step
from . import conditions, failed_runs, outages
from .capture import captured, next_capture
from .conditions import (
    EXPECTATION_MET,
    FALSE,
    PATH_HEALTHY,
    READY,
    STALLED,
    TRUE,
    UNKNOWN,
    PreviousConditions,
    Proposed,
    ReasonMessage,
)
from .counts import counted, path_counts
from .failed_runs import IsKept
from .many_paths import ends_text, pair_text, paths_text, turns_text
from .path_profile_tracker import ProfileUpdate
from .paths import hop_ref, path_result, segment_result
from .saved_run import kind_of
from .summary import destination_text, healthy_summary, latency_text, source_text, verdict_text

# What prevents runs until the spec, its objects or Cilium's configuration change. What ends without a change, such as a
# pod that is starting, does not stall the probe.
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
        Reason.HOST_NETWORK_FORBIDDEN,
        Reason.ADDRESS_FORBIDDEN,
        Reason.NAME_FORBIDDEN,
        Reason.METHOD_FORBIDDEN,
        Reason.BODY_TOO_LONG,
        Reason.CONTAINER_USER_FORBIDDEN,
    }
)

_DELAYED = (
    "; its requests wait, because its namespace may send no more within a minute (--max-requests-per-minute)"
)


def findings(result: RunResult, probe: Probe | None = None) -> ProbeStatus:
    """What a run found, without anything that depends on earlier runs. The probe is used only for names."""
    worst = result.worst
    paths = tuple(
        path_result(path, with_hops=position == 0 or path.verdict is not ProbeVerdict.HEALTHY)
        for position, path in enumerate(result.paths[:PATHS_LIMIT])
    )
    sources, destinations = result.pairs.selected if result.pairs else (None, None)
    source = (sources and sources.text) or ends_text(result.outcomes, probe, source_text)
    destination = (destinations and destinations.text) or ends_text(result.outcomes, probe, destination_text)
    verdict = verdict_of(worst)
    bad = verdict is not ProbeVerdict.HEALTHY
    divergence = worst.divergence if isinstance(worst, Diagnosis) else None
    segment = worst.segment if isinstance(worst, Diagnosis) else None
    return ProbeStatus(
        source=source or None,
        destination=destination or None,
        verdict=verdict,
        reason=worst.reason if bad else None,
        summary=_summary(result, f"{source} → {destination}", paths, probe),
        next=next_step(worst.reason) if bad else None,
        divergent_hop=hop_ref(divergence) if divergence else None,
        segment=segment_result(segment) if segment else None,
        path_counts=path_counts(result.outcomes, result.not_run),
        paths=paths,
        capture=captured(result),
    )


def after_run(
    previous: ProbeStatus,
    probe: Probe,
    record: RunRecord,
    following: NextRun,
    update: ProfileUpdate | None = None,
    is_kept: IsKept | None = None,
) -> ProbeStatus:
    """The status after a run. `update`: the path profile after this run. `is_kept`: whether saved evidence is kept."""
    result = record.result
    found = findings(result, probe)
    update = update or ProfileUpdate(previous.path_profile)
    expectation_met = conditions.expectation_met(result.outcomes)
    path_healthy = conditions.path_healthy(result.outcomes)
    started = _time(result.started)
    counters = counted(previous.counters, expectation_met, path_healthy, following.skipped, started)
    entry = _history_entry(found, _time(result.ended), path_healthy, update.change)
    capture = found.capture or previous.capture
    handled_capture = probe.meta.capture if record.captured else previous.last_handled_capture
    ready = _ready(probe, handled_capture, capture, found.path_counts, delayed=result.delayed)
    after = _conditions_after(previous, probe, result, counters, ready)
    lasting = outages.after_run(previous.outages, found, expectation_met, after[0], counters)
    counters = outages.counted(counters, previous.outages, lasting)
    kind = kind_of(verdict_of(result.worst), record, update.change is not None, counters, lasting)
    return _with(
        found,
        observed_generation=probe.meta.generation,
        conditions=after,
        last_run=LastRun(
            id=record.id,
            start_time=started,
            end_time=_time(result.ended),
            trigger=record.trigger,
        ),
        next_run_time=None if following.next_run is None else _time(following.next_run),
        last_handled_run_now=_served(record, probe.meta.run_now) or previous.last_handled_run_now,
        last_handled_capture=handled_capture,
        counters=counters,
        capture=capture,
        path_profile=update.profile,
        history=(entry, *previous.history)[: probe.spec.history.limit],
        outages=lasting,
        failures=failed_runs.after_run(previous.failures, found, probe.meta, record, kind, is_kept),
    )


def resumed(previous: ProbeStatus, following: NextRun) -> ProbeStatus:
    """The status of a probe that continues after a restart of the operator."""
    if following.next_run is None:
        return previous
    skipped = previous.counters.skipped + following.skipped
    counters = previous.counters.model_copy(update={"skipped": skipped})
    return _with(previous, next_run_time=_time(following.next_run), counters=counters)


def _served(record: RunRecord, requested: str | None) -> str | None:
    """The request that the run served. A scheduled run serves none: it may share answers with earlier runs."""
    return None if record.trigger is Trigger.SCHEDULE else requested


def capture_requested(previous: ProbeStatus, probe: Probe, now: float) -> ProbeStatus:
    """The status of a probe whose capture is requested: it says when the capture starts, if that is not now."""
    at = next_capture(previous.capture)
    if at is None or at <= _time(now):
        return previous
    before = PreviousConditions(previous.conditions, probe.meta.generation, _time(now))
    message = _ready(probe, previous.last_handled_capture, previous.capture, previous.path_counts)
    ready = before.updated(Proposed(READY, TRUE, Reason.SCHEDULED, message))
    others = (each for each in previous.conditions if each.type != READY)
    is_ready = any(each.type == READY and each.status is TRUE for each in previous.conditions)
    return _with(previous, conditions=(*others, ready)) if is_ready else previous


def _ready(
    probe: Probe,
    handled_capture: str | None,
    capture: Capture | None,
    counts: PathCounts | None,
    *,
    delayed: bool = False,
) -> str:
    """When the probe runs, which part of its pairs, and when it captures packets if that has to wait. `delayed`: its
    requests wait, too.
    """
    text = f"runs {probe.spec.schedule}{turns_text(counts)}{_DELAYED if delayed else ''}"
    at = next_capture(capture)
    if at is None or probe.meta.capture in (None, handled_capture):
        return text
    return f"{text}; the requested packet capture starts at {at:%H:%M:%S} UTC, a minute after the last one"


def suspended(previous: ProbeStatus, probe: Probe, now: float) -> ProbeStatus:
    """The status of a suspended probe. The results of the last run stay."""
    before = PreviousConditions(previous.conditions, probe.meta.generation, _time(now))
    of_last_run = (condition for condition in map(before.of, (EXPECTATION_MET, PATH_HEALTHY)) if condition)
    ready = Proposed(READY, TRUE, Reason.SUSPENDED, "spec.suspend is true: no run is started")
    return _with(
        previous,
        observed_generation=probe.meta.generation,
        next_run_time=None,
        conditions=(*of_last_run, before.updated(ready)),
    )


def stalled(previous: ProbeStatus, probe: ProbeMeta, reason: Reason, message: str, now: float) -> ProbeStatus:
    """The status of a probe that can't run until something is changed. Nothing is known about its path."""
    before = PreviousConditions(previous.conditions, probe.generation, _time(now))
    by_type = {EXPECTATION_MET: UNKNOWN, PATH_HEALTHY: UNKNOWN, READY: FALSE, STALLED: TRUE}
    return _with(
        previous,
        observed_generation=probe.generation,
        next_run_time=None,
        verdict=ProbeVerdict.UNKNOWN,
        reason=reason,
        summary=f"{reason}: {message}",
        next=next_step(reason),
        divergent_hop=None,
        segment=None,
        path_counts=None,
        paths=(),
        conditions=tuple(
            before.updated(Proposed(type_, status, reason, message)) for type_, status in by_type.items()
        ),
    )


def _summary(result: RunResult, ends: str, paths: Sequence[PathResult], probe: Probe | None) -> str:
    """The run in one sentence. `ends`: source and destination of all its paths."""
    worst, several = result.worst, len(result.outcomes) > 1
    if isinstance(worst, Diagnosis) and worst.verdict is ProbeVerdict.HEALTHY:
        if several:
            return f"{ends}: {paths_text(result.outcomes)}"
        return healthy_summary(pair_text(worst, probe), paths[0], worst)
    message = _in_words(result, probe)(worst).message
    return message if several else f"{message} ({pair_text(worst, probe)})"


def _in_words(result: RunResult, probe: Probe | None) -> conditions.InWords:
    """How to describe a path of this run. With several paths, counts by verdict come first and both ends are named."""
    if len(result.outcomes) == 1:
        return lambda outcome: ReasonMessage(outcome.reason, verdict_text(outcome))
    counted = paths_text(result.outcomes)
    return lambda outcome: ReasonMessage(
        outcome.reason, f"{counted}. {verdict_text(outcome)} ({pair_text(outcome, probe)})"
    )


def _conditions_after(
    previous: ProbeStatus, probe: Probe, result: RunResult, counters: Counters, ready: str
) -> tuple[Condition, ...]:
    before = PreviousConditions(previous.conditions, probe.meta.generation, _time(result.ended))
    in_words = _in_words(result, probe)
    return (
        *conditions.after_run(before, result.outcomes, in_words, counters, probe.spec),
        *_readiness(before, result, ready),
    )


def _readiness(before: PreviousConditions, result: RunResult, ready: str) -> Iterator[Condition]:
    """A probe is not ready if none of its paths can run. `ready`: the message if it is."""
    outcome = result.worst
    if not result.paths and outcome.reason in _STALLING:
        yield before.updated(Proposed(READY, FALSE, outcome.reason, outcome.message))
        yield before.updated(Proposed(STALLED, TRUE, outcome.reason, outcome.message))
    else:
        yield before.updated(Proposed(READY, TRUE, Reason.SCHEDULED, ready))


def _history_entry(
    found: ProbeStatus, ended: datetime, path_healthy: ConditionStatus, path_change: str | None
) -> HistoryEntry:
    return HistoryEntry(
        time=ended,
        verdict=found.verdict or ProbeVerdict.UNKNOWN,
        hop=found.divergent_hop.name if found.divergent_hop else None,
        reason=found.reason,
        latency=latency_text(found.paths[0]) if found.paths else None,
        path_healthy=path_healthy,
        path_change=path_change,
    )


def _with(status: ProbeStatus, **changes: Any) -> ProbeStatus:
    """The status with these fields replaced, validated and within the size limit."""
    return fitted(ProbeStatus(**{**dict(status), **changes}))


def _time(epoch_s: float) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC)
