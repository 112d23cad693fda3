"""The status: what the operator reports. Built and written by `publish`, read back by `control` after a restart.

Values that are too long are clipped when a model is built, so that no verdict is lost to a verbose tool.
`bounds.fitted` keeps the whole within what the API server should store.
"""

from typing import Annotated, Any, Self

from pydantic import Field, ValidationError

from ..limits import Clip
from ..model import ApiModel
from ..vocabulary import ProbeVerdict, Trigger
from .capture import Capture
from .condition import Condition, ConditionStatus
from .fields import Count, Generation, Hop, Latency, Line, Reason, Text, Time
from .hop_result import HopRef, Segment
from .past_runs import FAILURES_LIMIT, OUTAGES_LIMIT, FailedRun, Outage
from .path_profile import PathProfile
from .path_result import PathResult
from .upgrade import upgraded

PATHS_LIMIT = 32
HISTORY_LIMIT = 50
RUN_NOW_CLIP = Clip(256)


class LastRun(ApiModel):
    """The last run."""

    id: Annotated[str, Clip(64)]
    """Identifier of the run. The operator's logs use the same."""

    start_time: Time
    """Time when the run started."""

    end_time: Time
    """Time when the run ended."""

    trigger: Trigger
    """Why the run started: Schedule, RunNow (annotation), SpecChange, or Start (of the operator)."""


class Counters(ApiModel):
    """Counts since the probe was created, and the current streak of runs."""

    runs: Count = 0
    """Number of runs that ended."""

    failures: Count = 0
    """Number of runs that did not meet the expected outcome."""

    consecutive_failures: Count = 0
    """Number of runs in a row, up to the last, that did not meet the expected outcome."""

    consecutive_successes: Count = 0
    """Number of runs in a row, up to the last, that met the expected outcome."""

    consecutive_path_failures: Count = 0
    """Number of runs in a row, up to the last, that found a hop Broken or Stale."""

    consecutive_path_successes: Count = 0
    """Number of runs in a row, up to the last, that found no hop Broken or Stale."""

    streak_start_time: Time | None = None
    """Start of the first of the runs in a row that met, or did not meet, the expected outcome. Absent if the last run
    could not tell."""

    outages: Count = 0
    """Number of outages that began."""

    skipped: Count = 0
    """Number of runs that did not start because the previous run was still in progress or the operator was not
    running."""


class PathCounts(ApiModel):
    """Numbers of pairs of source and destination in the last run, by verdict."""

    total: Count = 0
    """All pairs, whether they were run or not."""

    healthy: Count = 0
    """Pairs with verdict Healthy."""

    degraded: Count = 0
    """Pairs with verdict Degraded."""

    broken: Count = 0
    """Pairs with verdict Broken."""

    unknown: Count = 0
    """Pairs with verdict Unknown."""

    not_run: Count = 0
    """Pairs that were not run because one run may not have more (--max-pairs). They take turns."""


class HistoryEntry(ApiModel):
    """One earlier run."""

    time: Time
    """Time when the run ended."""

    verdict: ProbeVerdict
    """Verdict of the run."""

    hop: Hop | None = None
    """Name of the divergent hop. Absent if there was none."""

    reason: Reason | None = None
    """Why the verdict was not Healthy, in one CamelCase word."""

    latency: Latency | None = None
    """Duration of the request."""

    path_healthy: ConditionStatus | None = None
    """Whether the run found the path healthy: True, False or Unknown."""

    path_change: Annotated[str, Clip(120)] | None = None
    """Description of the path change that the run detected. Absent if there was none."""


class ProbeStatus(ApiModel):
    """Most recently observed status of the probe."""

    observed_generation: Generation | None = None
    """Generation of the probe that this status is based on."""

    source: Line | None = None
    """Source, for display: namespace/pod@node, or what the spec selects with the number of its pods."""

    destination: Line | None = None
    """Destination, for display: namespace/name:port, or a workload with the number of its pods."""

    verdict: ProbeVerdict | None = None
    """Verdict of the last run: Healthy, Degraded, Broken or Unknown. With several paths, that of the worst."""

    reason: Reason | None = None
    """Why the verdict is not Healthy, in one CamelCase word. docs/errors.md describes each reason."""

    summary: Text | None = None
    """The last run in one sentence."""

    next: Line | None = None
    """What to do next. Absent if the verdict is Healthy."""

    divergent_hop: HopRef | None = None
    """The hop that causes the verdict. Absent if the verdict is Healthy, or if only a segment is known."""

    segment: Segment | None = None
    """The part of the path on which packets were lost, if no single hop can be named."""

    conditions: Annotated[
        tuple[Condition, ...],
        Clip(8),
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = ()
    """ExpectationMet, PathHealthy, Ready and Stalled. The first two change after the number of consecutive runs that
    spec.threshold sets."""

    last_run: LastRun | None = None
    """The last run."""

    next_run_time: Time | None = None
    """Time when the next run is due. Absent if the probe is suspended."""

    last_handled_run_now: Annotated[str, RUN_NOW_CLIP] | None = None
    """Value of the annotation datapath-probe.dev/run-now that was handled last."""

    last_handled_capture: Annotated[str, RUN_NOW_CLIP] | None = None
    """Value of the annotation datapath-probe.dev/capture that was handled last."""

    counters: Counters = Counters()
    """Counts since the probe was created, and the current streak of runs."""

    path_counts: PathCounts | None = None
    """Numbers of pairs of source and destination in the last run, by verdict. Absent until the first run."""

    paths: Annotated[tuple[PathResult, ...], Clip(PATHS_LIMIT)] = ()
    """Results by pair of source and destination, the worst first. Not more than 32 are listed."""

    capture: Capture | None = None
    """The packets of the last run for which a capture was requested."""

    path_profile: PathProfile | None = None
    """Facts about the path that do not change from run to run, and the last change."""

    history: Annotated[tuple[HistoryEntry, ...], Clip(HISTORY_LIMIT)] = ()
    """Earlier runs, the newest first, as many as spec.history.limit sets."""

    outages: Annotated[tuple[Outage, ...], Clip(OUTAGES_LIMIT)] = ()
    """Times during which the expectation was not met, the newest first. An outage begins when the condition
    ExpectationMet becomes False and ends when it becomes True. Runs that could not tell do not end it."""

    failures: Annotated[tuple[FailedRun, ...], Clip(FAILURES_LIMIT)] = ()
    """The newest runs that were not Healthy, the newest first."""

    @classmethod
    def from_object(cls, status: Any) -> Self:
        """What can be read of a status from the API server, which another version may have written."""
        if not isinstance(status, dict):
            return cls()
        status = upgraded(status)
        for levels in (2, 1):  # an item of a list or a counter is left out by itself, before the whole field
            try:
                return cls.model_validate(status, extra="ignore")
            except ValidationError as error:
                unreadable = {problem["loc"][:levels] for problem in error.errors()}
                status = {
                    field: _without_members(field, value, unreadable)
                    for field, value in status.items()
                    if (field,) not in unreadable
                }
        return cls.model_validate(status, extra="ignore")

    def to_object(self) -> dict[str, Any]:
        """The status as JSON values, for the API server."""
        return self.model_dump(mode="json", exclude_none=True)


def _without_members(field: str, value: Any, unreadable: set[tuple[int | str, ...]]) -> Any:
    """A list without its unreadable items, the counters without unreadable ones; anything else as it is."""
    if isinstance(value, list):
        return [item for position, item in enumerate(value) if (field, position) not in unreadable]
    if field == "counters" and isinstance(value, dict):
        return {name: count for name, count in value.items() if (field, name) not in unreadable}
    return value
