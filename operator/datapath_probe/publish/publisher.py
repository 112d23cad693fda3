"""Publishes the state of probes: status, Events and metrics always agree.

In: new probes, and runs that have ended. Out: calls of `StatusWriter`, `Events` and `Metrics`. Keeps the latest status
of each probe as a document, from which the next one is computed; no model outlives the call that made it. Called by
`control`; never waits.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ..api.probe import InvalidSpec, Probe, ProbeMeta
from ..api.reasons import Reason
from ..api.status.document import StatusDocument
from ..api.status.probe_status import ProbeStatus
from ..api.vocabulary import Trigger
from ..runs.run_result import NextRun, RunRecord, verdict_of
from .events.event_rate_limit import EventLimiter
from .events.events import Headline
from .interfaces import Events, ProbeRef
from .metrics.metrics import Metrics
from .status import status as statuses
from .status.capture import next_capture
from .status.failed_runs import IsKept
from .status.path_profile_tracker import PathProfileTracker
from .status.saved_run import RunKind, kind_of
from .status_writer import StatusWriter

# If the operator died after it wrote a path change, its Event may not have been sent. Events are not sent twice.
REPORT_AGAIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a run. `news`: it has changed the verdict, its reason, or the hop that it names."""

    kind: RunKind
    news: bool


class Publisher:
    """`clock`: seconds since the epoch. `is_kept`: whether saved evidence is kept; None if no evidence is saved."""

    def __init__(
        self,
        status_writer: StatusWriter,
        events: Events,
        metrics: Metrics,
        clock: Callable[[], float],
        is_kept: IsKept | None = None,
    ) -> None:
        self._status_writer = status_writer
        self._events = events
        self._metrics = metrics
        self._clock = clock
        self._is_kept = is_kept
        self._documents: dict[str, StatusDocument] = {}
        self._trackers: dict[str, PathProfileTracker] = {}
        self._limiters: dict[str, EventLimiter] = {}

    def adopt(self, probe: Probe | InvalidSpec) -> None:
        """Add a new probe: continue from the status in the API server."""
        self._documents[probe.meta.uid] = StatusDocument.of(probe.status)
        self._trackers[probe.meta.uid] = PathProfileTracker()
        self._limiters[probe.meta.uid] = EventLimiter(Headline.of(probe.status), self._clock())
        self._metrics.show(probe, probe.status)
        profile = probe.status.path_profile
        if profile and self._clock() - profile.last_change_time.timestamp() < REPORT_AGAIN_S:
            self._report_path_change(probe, ProbeStatus(), probe.status)

    def relabel(self, probe: Probe | InvalidSpec) -> None:
        """Apply a change of the probe's spec or labels; the status stays the same."""
        self._metrics.relabel(probe)

    def resumed(self, probe: Probe, following: NextRun) -> None:
        """Publish when a probe runs next after a restart of the operator, and how many runs were missed."""
        previous = self._documents[probe.meta.uid].parsed()
        self._replace(probe, previous, statuses.resumed(previous, following))

    def run_ended(self, probe: Probe, record: RunRecord, following: NextRun) -> Published:
        """Publish a run of a probe that still exists. `probe`: as it was when the run started."""
        previous = self._documents[probe.meta.uid].parsed_without_paths()
        update = self._trackers[probe.meta.uid].update(previous.path_profile, record.result)
        current = statuses.after_run(previous, probe, record, following, update, self._is_kept)
        changed = update.change is not None
        requested = record.trigger in (Trigger.RUN_NOW, Trigger.SPEC_CHANGE)
        self._metrics.run_ended(_ref(probe.meta), current, record)
        self._publish(probe, previous, current, urgent=requested or changed)
        self._report_path_change(probe, previous, current)
        kind = kind_of(verdict_of(record.result.worst), record, changed, current.counters, current.outages)
        return Published(kind, news=Headline.of(current) != Headline.of(previous))

    def suspended(self, probe: Probe) -> None:
        """Publish that the probe is suspended."""
        previous = self._documents[probe.meta.uid].parsed()
        self._replace(probe, previous, statuses.suspended(previous, probe, self._clock()))

    def invalid(self, probe: InvalidSpec) -> None:
        """Publish that the probe can't run with this spec."""
        self._stalled(probe, Reason.INVALID_SPEC, probe.message)

    def over_limit(self, probe: Probe | InvalidSpec, limit: int) -> None:
        """Publish that the probe doesn't run because its namespace has more than `limit` probes."""
        message = (
            f"the operator runs only the {limit} oldest probes of a namespace (--max-probes-per-namespace)"
        )
        self._stalled(probe, Reason.TOO_MANY_PROBES, message)

    def forget(self, meta: ProbeMeta) -> None:
        """Remove a deleted probe."""
        self._documents.pop(meta.uid, None)
        self._trackers.pop(meta.uid, None)
        self._limiters.pop(meta.uid, None)
        for listener in (self._status_writer, self._events, self._metrics):
            listener.forget(_ref(meta))

    def served_run_now(self, uid: str) -> str | None:
        """The last value of the annotation run-now that a run has served."""
        return self._documents[uid].parsed_without_paths().last_handled_run_now

    def served_capture(self, uid: str) -> str | None:
        """The last value of the annotation capture that a run has served."""
        return self._documents[uid].parsed_without_paths().last_handled_capture

    def next_capture(self, uid: str) -> float:
        """When the next capture of this probe may start, in seconds since the epoch; 0: at any time."""
        at = next_capture(self._documents[uid].parsed_without_paths().capture)
        return at.timestamp() if at else 0.0

    def capture_requested(self, probe: Probe) -> None:
        """Publish that a requested capture has to wait, if so."""
        previous = self._documents[probe.meta.uid].parsed()
        current = statuses.capture_requested(previous, probe, self._clock())
        if current != previous:
            self._replace(probe, previous, current)

    def _stalled(self, probe: Probe | InvalidSpec, reason: Reason, message: str) -> None:
        previous = self._documents[probe.meta.uid].parsed()
        self._replace(probe, previous, statuses.stalled(previous, probe.meta, reason, message, self._clock()))

    def _replace(self, probe: Probe | InvalidSpec, previous: ProbeStatus, current: ProbeStatus) -> None:
        """Publish a status that no run has caused."""
        self._metrics.update(_ref(probe.meta), current)
        self._publish(probe, previous, current, urgent=True)

    def _report_path_change(
        self, probe: Probe | InvalidSpec, previous: ProbeStatus, current: ProbeStatus
    ) -> None:
        if event := self._limiters[probe.meta.uid].for_path_change(previous, current, self._clock()):
            self._events.record(_ref(probe.meta), event)

    def _publish(
        self, probe: Probe | InvalidSpec, previous: ProbeStatus, current: ProbeStatus, *, urgent: bool
    ) -> None:
        """Store and send a status. `previous` may lack the paths."""
        document = StatusDocument.of(current)
        if document == self._documents[probe.meta.uid]:
            return
        self._documents[probe.meta.uid] = document
        urgent = (
            urgent
            or Headline.of(current) != Headline.of(previous)
            or _conditions(current) != _conditions(previous)
        )
        self._status_writer.put(_ref(probe.meta), document, urgent=urgent)
        if event := self._limiters[probe.meta.uid].for_verdict(previous, current, self._clock()):
            self._events.record(_ref(probe.meta), event)


def _ref(meta: ProbeMeta) -> ProbeRef:
    return ProbeRef(meta.namespace, meta.name, meta.uid)


def _conditions(status: ProbeStatus) -> set[tuple[str, str, str]]:
    return {(condition.type, condition.status, condition.reason) for condition in status.conditions}
