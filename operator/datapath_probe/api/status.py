"""The status: what the operator says. Built and written by `publish`, read back by `control` after a restart.

Whatever is too long is clipped when a model is built, so no verdict is lost because some tool was talkative.
`bounds.fitted` keeps the whole within what the API server should store.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError

from .capture import Capture
from .condition import Condition, ConditionStatus
from .hop_result import HopRef, Segment
from .model import ApiModel, Clip
from .path_profile import Way
from .path_result import PathResult
from .status_fields import Count, Hop, Latency, Line, Reason, Text, Time
from .vocabulary import ProbeVerdict, Trigger

PATHS_LIMIT = 32
HISTORY_LIMIT = 50
RUN_NOW_CLIP = Clip(256)


class LastRun(ApiModel):
    """The last run."""

    id: Annotated[str, Clip(64)]
    """Identifier of the run, as in the operator's logs."""

    start_time: Time
    """When it started."""

    end_time: Time
    """When it ended."""

    trigger: Trigger
    """Why it started."""


class Counters(ApiModel):
    """Counts since the probe was made."""

    runs: Count = 0
    """Runs that ended."""

    failures: Count = 0
    """Runs whose expectation on the outcome was not met."""

    consecutive_failures: Count = 0
    """Such runs since the last one that was none."""

    consecutive_successes: Count = 0
    """Runs whose expectation was met since the last one of which that can't be said."""

    consecutive_path_failures: Count = 0
    """Runs in a row, up to the last, that found the path not healthy."""

    consecutive_path_successes: Count = 0
    """Runs in a row, up to the last, that found the path healthy."""

    skipped: Count = 0
    """Runs that did not start, because the one before still lasted or the operator was away."""

    path_changes: Count = 0
    """Changes of the way that packets take."""


class HistoryEntry(ApiModel):
    """One run of the past."""

    time: Time
    """When the run ended."""

    verdict: ProbeVerdict
    """Verdict of the run."""

    hop: Hop | None = None
    """Divergent hop, if there was one."""

    reason: Reason | None = None
    """Why not Healthy, in one CamelCase word."""

    latency: Latency | None = None
    """Time that the request took."""

    path_healthy: ConditionStatus | None = None
    """What the run said of PathHealthy: True, False or Unknown."""

    change: Annotated[str, Clip(120)] | None = None
    """What had changed in the way that packets take, if anything."""

    @property
    def path_was_healthy(self) -> ConditionStatus:
        """What the run said of PathHealthy; of an entry that does not keep it, as far as verdict and hop tell."""
        if self.path_healthy is not None:
            return self.path_healthy
        if self.verdict is ProbeVerdict.UNKNOWN:
            return ConditionStatus.UNKNOWN
        bad = self.hop is not None or self.verdict is ProbeVerdict.BROKEN
        return ConditionStatus.FALSE if bad else ConditionStatus.TRUE


class ProbeStatus(ApiModel):
    """What the last run said, and what became of the runs before."""

    observed_generation: int | None = None
    """Generation of the probe that this status is about."""

    source: Line | None = None
    """Source, for columns and people: namespace/pod@node."""

    destination: Line | None = None
    """Destination, for columns and people: namespace/name:port."""

    verdict: ProbeVerdict | None = None
    """Healthy, Degraded, Broken or Unknown: what the last run said."""

    reason: Reason | None = None
    """Why, in one CamelCase word: the reason of the divergent hop, if there is one."""

    summary: Text | None = None
    """The last run in one sentence."""

    divergent_hop: HopRef | None = None
    """The hop that is to blame; absent when Healthy, or when only a segment is known."""

    segment: Segment | None = None
    """The stretch on which the packets were lost, when no hop can be named."""

    conditions: Annotated[
        tuple[Condition, ...],
        Clip(8),
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = ()
    """Ready, Stalled, Reachable and PathHealthy. The last two change after as many runs in a row as
    spec.threshold says."""

    last_run: LastRun | None = None
    """The last run."""

    next_run_time: Time | None = None
    """When the next run is due; absent when suspended."""

    last_handled_run_now: Annotated[str, RUN_NOW_CLIP] | None = None
    """Value of the annotation datapath-probe.dev/run-now that was served last."""

    last_handled_capture: Annotated[str, RUN_NOW_CLIP] | None = None
    """Value of the annotation datapath-probe.dev/capture that was served last."""

    counters: Counters = Counters()
    """Counts since the probe was made."""

    paths: Annotated[tuple[PathResult, ...], Clip(PATHS_LIMIT)] = ()
    """The pairs of source and destination of the last run, the worst first."""

    capture: Capture | None = None
    """The packets that were captured last, on request."""

    way: Way | None = None
    """The way that packets take, and what changed in it last."""

    history: Annotated[tuple[HistoryEntry, ...], Clip(HISTORY_LIMIT)] = ()
    """The last runs, newest first, as many as spec.history.limit says."""

    @classmethod
    def from_object(cls, status: Any) -> Self:
        """What can be read of a status from the API server, which another version may have written."""
        if not isinstance(status, dict):
            return cls()
        try:
            found = cls.model_validate(status, extra="ignore")
        except ValidationError as error:
            unreadable = {problem["loc"][0] for problem in error.errors()}
            readable = {field: value for field, value in status.items() if field not in unreadable}
            found = cls.model_validate(readable, extra="ignore")
        return found.model_copy(update={"counters": _with_path_counters(found.counters, found.history)})

    def to_object(self) -> dict[str, Any]:
        """The status as JSON values, for the API server."""
        return self.model_dump(mode="json", exclude_none=True)


def _with_path_counters(counters: Counters, history: Sequence[HistoryEntry]) -> Counters:
    """The counters; those of the path from the history, where a version wrote them that did not count it."""
    if not history or {"consecutive_path_failures", "consecutive_path_successes"} & counters.model_fields_set:
        return counters
    last = history[0].path_was_healthy
    count = sum(1 for _ in takewhile(lambda entry: entry.path_was_healthy is last, history))
    return counters.model_copy(
        update={
            "consecutive_path_failures": count if last is ConditionStatus.FALSE else 0,
            "consecutive_path_successes": count if last is ConditionStatus.TRUE else 0,
        }
    )
