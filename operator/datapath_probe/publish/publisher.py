"""Publishes the state of probes: status, Events and metrics always agree.

In: new probes, and runs that have ended. Out: calls of `StatusWriter`, `Events` and `Metrics`. Keeps the latest status
of each probe, from which the next one is computed. Called by `control`; never waits.
"""

from collections.abc import Callable

from ..api.probe import InvalidSpec, Probe, ProbeMeta
from ..api.status import ProbeStatus
from ..api.vocabulary import Trigger
from ..runs.run_result import NextRun, RunRecord
from .events.event_rate_limit import EventLimiter
from .events.events import headline
from .interfaces import Events, ProbeRef
from .metrics.metrics import Metrics
from .status import status as statuses
from .status.path_profile_tracker import PathProfileTracker
from .status_writer import StatusWriter

# If the operator died after it wrote a path change, its Event may not have been sent. Events are not sent twice.
REPORT_AGAIN_S = 60.0


class Publisher:
    """`clock`: seconds since the epoch."""

    def __init__(
        self, status_writer: StatusWriter, events: Events, metrics: Metrics, clock: Callable[[], float]
    ) -> None:
        self._status_writer = status_writer
        self._events = events
        self._metrics = metrics
        self._clock = clock
        self._statuses: dict[str, ProbeStatus] = {}
        self._profiles: dict[str, PathProfileTracker] = {}
        self._limiters: dict[str, EventLimiter] = {}

    def adopt(self, probe: Probe | InvalidSpec) -> None:
        """Add a new probe: continue from the status in the API server."""
        self._statuses[probe.meta.uid] = probe.status
        self._profiles[probe.meta.uid] = PathProfileTracker(probe.status.path_profile)
        self._limiters[probe.meta.uid] = EventLimiter(probe.status, self._clock())
        self._metrics.show(probe, probe.status)
        profile = probe.status.path_profile
        if profile and self._clock() - profile.last_change_time.timestamp() < REPORT_AGAIN_S:
            self._report_path_change(probe, ProbeStatus(), probe.status)

    def relabel(self, probe: Probe | InvalidSpec) -> None:
        """Apply a change of the probe's spec or labels; the status stays the same."""
        self._metrics.show(probe, self._statuses[probe.meta.uid])

    def run_ended(self, probe: Probe, record: RunRecord, following: NextRun) -> None:
        """Publish a run of a probe that still exists. `probe`: as it was when the run started."""
        previous = self._statuses[probe.meta.uid]
        update = self._profiles[probe.meta.uid].update(record.result)
        current = statuses.after_run(previous, probe, record, following, update)
        requested = record.trigger in (Trigger.RUN_NOW, Trigger.SPEC_CHANGE)
        self._publish(probe, previous, current, urgent=requested or update.change is not None)
        self._metrics.count(probe, record)
        self._report_path_change(probe, previous, current)

    def suspended(self, probe: Probe) -> None:
        """Publish that the probe is suspended."""
        previous = self._statuses[probe.meta.uid]
        self._publish(probe, previous, statuses.suspended(previous, probe, self._clock()), urgent=True)

    def invalid(self, probe: InvalidSpec) -> None:
        """Publish that the probe can't run with this spec."""
        previous = self._statuses[probe.meta.uid]
        self._publish(probe, previous, statuses.invalid(previous, probe, self._clock()), urgent=True)

    def forget(self, meta: ProbeMeta) -> None:
        """Remove a deleted probe."""
        self._statuses.pop(meta.uid, None)
        self._profiles.pop(meta.uid, None)
        self._limiters.pop(meta.uid, None)
        for listener in (self._status_writer, self._events, self._metrics):
            listener.forget(_ref(meta))

    def served_run_now(self, uid: str) -> str | None:
        """The last value of the annotation run-now that a run has served."""
        return self._statuses[uid].last_handled_run_now

    def served_capture(self, uid: str) -> str | None:
        """The last value of the annotation capture that a run has served."""
        return self._statuses[uid].last_handled_capture

    def _report_path_change(
        self, probe: Probe | InvalidSpec, previous: ProbeStatus, current: ProbeStatus
    ) -> None:
        if event := self._limiters[probe.meta.uid].for_path_change(previous, current, self._clock()):
            self._events.record(_ref(probe.meta), event)

    def _publish(
        self, probe: Probe | InvalidSpec, previous: ProbeStatus, current: ProbeStatus, *, urgent: bool
    ) -> None:
        self._statuses[probe.meta.uid] = current
        self._metrics.update(_ref(probe.meta), current)
        if current == previous:
            return
        urgent = (
            urgent or headline(current) != headline(previous) or _conditions(current) != _conditions(previous)
        )
        self._status_writer.put(_ref(probe.meta), current, urgent=urgent)
        if event := self._limiters[probe.meta.uid].for_verdict(previous, current, self._clock()):
            self._events.record(_ref(probe.meta), event)


def _ref(meta: ProbeMeta) -> ProbeRef:
    return ProbeRef(meta.namespace, meta.name, meta.uid)


def _conditions(status: ProbeStatus) -> set[tuple[str, str, str]]:
    return {(condition.type, condition.status, condition.reason) for condition in status.conditions}
