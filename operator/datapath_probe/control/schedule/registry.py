"""The registered probes, and what each observed change means: schedule the probe, stop it, publish its state.

In: objects and deletions from kopf's watch, and full lists. Out: calls of `Scheduler` and `Publisher`. Called by
`handlers`, by `inventory_audit` and, when the API server no longer finds a probe, by `StatusWriter`.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import structlog

from ...api.probe import InvalidSpec, Probe, ProbeMeta
from ...api.status.probe_status import ProbeStatus
from ...publish.publisher import Publisher
from ...runs.interfaces import Runner
from .namespace_limit import NamespaceLimit
from .scheduler import Scheduler

log = structlog.get_logger(__name__)

_NO_STATUS = ProbeStatus()


class Registry:
    """One method for each step in the life of a probe; none blocks."""

    def __init__(
        self,
        scheduler: Scheduler,
        publisher: Publisher,
        limit: NamespaceLimit | None = None,
        runner: Runner | None = None,
    ) -> None:
        self._scheduler = scheduler
        self._publisher = publisher
        self._limit = limit or NamespaceLimit()
        self._runner = runner
        self._known: dict[str, Probe | InvalidSpec] = {}
        self._uids: dict[tuple[str, str], str] = {}  # by namespace and name
        self._terminating: set[str] = set()  # have a deletionTimestamp; a finalizer may delay their removal

    def uids(self) -> frozenset[str]:
        """Every observed probe that may still exist."""
        return frozenset(self._terminating.union(self._known))

    def runnable(self, uid: str) -> Probe:
        """A probe that is scheduled."""
        probe = self._known[uid]
        if isinstance(probe, InvalidSpec):
            raise TypeError(f"{uid} cannot run")
        return probe

    def name(self, uid: str) -> str:
        """Namespace and name of a probe; its uid if it is not registered."""
        probe = self._known.get(uid)
        return f"{probe.meta.namespace}/{probe.meta.name}" if probe else uid

    def namespace(self, uid: str) -> str:
        """Namespace of a probe that is scheduled."""
        return self._known[uid].meta.namespace

    def observe(self, body: Mapping[str, Any]) -> None:
        """Handle an added or modified object."""
        if body["metadata"].get("deletionTimestamp"):
            self.forget(body["metadata"]["uid"])
            self._terminating.add(body["metadata"]["uid"])
            return
        meta = ProbeMeta.from_object(body["metadata"])
        before = self._known.get(meta.uid)
        if before is not None and before.meta == meta:
            return  # usually the echo of our own status write
        seen = Probe.from_object(body)
        self._known[meta.uid] = replace(seen, status=_NO_STATUS)  # the publisher has it
        try:
            self._handle(seen, before)
        except Exception:
            # handle the next event of this probe like this one; until then the audit reports a new probe as missing
            if before is None:
                self.forget(meta.uid)
            else:
                self._known[meta.uid] = before
            raise

    def _handle(self, seen: Probe | InvalidSpec, before: Probe | InvalidSpec | None) -> None:
        """Handle a new probe, or a change of one that was `before`."""
        meta = seen.meta
        if before is None:
            self._forget_replaced(seen)
            self._publisher.adopt(seen)
            displaced = self._limit.add(meta)
            self._schedule(seen)
            if displaced:
                self._stop(self._known[displaced])
            return
        self._publisher.relabel(seen)
        if before.meta.generation != meta.generation:
            self._reschedule(seen)
        elif (before.meta.run_now, before.meta.capture) != (meta.run_now, meta.capture):
            self._run_if_requested(seen)

    def forget(self, uid: str) -> None:
        """Handle a deletion: cancel the run, remove the metrics."""
        self._terminating.discard(uid)
        gone = self._known.pop(uid, None)
        if gone:
            if self._uids.get(_full_name(gone.meta)) == uid:
                del self._uids[_full_name(gone.meta)]
            self._scheduler.stop(uid)
            self._publisher.forget(gone.meta)
            if self._runner:
                self._runner.forget_probe(uid)
            log.info("probe removed", probe=f"{gone.meta.namespace}/{gone.meta.name}")
            if freed := self._limit.remove(gone.meta):
                self._reschedule(self._known[freed])

    def forget_missing(self, candidates: Collection[str], existing: Collection[str]) -> None:
        """Forget the candidates, registered before the list request, that do not exist."""
        for uid in set(candidates) - set(existing):
            self.forget(uid)

    def _forget_replaced(self, seen: Probe | InvalidSpec) -> None:
        """Forget a probe that was deleted and recreated while the watch was down: same name, new uid."""
        replaced = self._uids.get(_full_name(seen.meta))
        if replaced:
            self.forget(replaced)
        self._uids[_full_name(seen.meta)] = seen.meta.uid

    def _schedule(self, seen: Probe | InvalidSpec) -> None:
        """Resume from the stored status."""
        if isinstance(seen, InvalidSpec) or not self._may_run(seen):
            self._stop(seen)
            return
        uid, recurrence = seen.meta.uid, seen.spec.schedule.recurrence
        last_run, promised = seen.status.last_run, seen.status.next_run_time
        if last_run and seen.status.observed_generation != seen.meta.generation:
            self._scheduler.change(uid, recurrence)
        elif last_run:
            following = self._scheduler.resume(
                uid, recurrence, last_run.start_time.timestamp(), promised.timestamp() if promised else None
            )
            if following:
                self._publisher.resumed(seen, following)
            self._run_if_requested(seen)
        else:
            self._scheduler.resume(uid, recurrence, last_run=None)

    def _reschedule(self, seen: Probe | InvalidSpec) -> None:
        if isinstance(seen, InvalidSpec) or not self._may_run(seen):
            self._stop(seen)
        else:
            self._scheduler.change(seen.meta.uid, seen.spec.schedule.recurrence)

    def _may_run(self, probe: Probe) -> bool:
        return not probe.spec.suspend and self._limit.admits(probe.meta)

    def _stop(self, seen: Probe | InvalidSpec) -> None:
        self._scheduler.stop(seen.meta.uid)
        if self._limit.limit is not None and not self._limit.admits(seen.meta):
            self._publisher.over_limit(seen, self._limit.limit)
        elif isinstance(seen, InvalidSpec):
            log.warning(
                "probe invalid",
                probe=f"{seen.meta.namespace}/{seen.meta.name}",
                reason="InvalidSpec",
                message=seen.message,
            )
            self._publisher.invalid(seen)
        else:
            self._publisher.suspended(seen)

    def run_ended(self, uid: str) -> None:
        """A run was published: request another if it did not serve everything that is requested."""
        if probe := self._known.get(uid):
            self._run_if_requested(probe)

    def wants_capture(self, probe: Probe, now: float) -> bool:
        """Whether a packet capture is requested that no run has served, and may start now."""
        return self._has_unserved_capture(probe) and now >= self._publisher.next_capture(probe.meta.uid)

    def _run_if_requested(self, seen: Probe | InvalidSpec) -> None:
        if isinstance(seen, InvalidSpec) or not self._may_run(seen):
            return
        requested, uid = seen.meta.run_now, seen.meta.uid
        if requested and requested != self._publisher.served_run_now(uid):
            self._scheduler.run_now(uid)
        if self._has_unserved_capture(seen):
            self._scheduler.run_now(uid, not_before=self._publisher.next_capture(uid))
            self._publisher.capture_requested(seen)

    def _has_unserved_capture(self, probe: Probe) -> bool:
        requested = probe.meta.capture
        return bool(requested) and requested != self._publisher.served_capture(probe.meta.uid)


def _full_name(meta: ProbeMeta) -> tuple[str, str]:
    return meta.namespace, meta.name
