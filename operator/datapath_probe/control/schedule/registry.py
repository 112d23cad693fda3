"""The probes that are known, and what a new sight of one means: run it, stop it, tell people.

In: objects as kopf's watch brings them, deletions, and full lists of what exists. Out: calls of `Scheduler`
and `Publisher`. Called by `handlers`, by `inventory_audit` and, for a probe that its status could not be
written to any more, by `StatusWriter`.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import structlog

from ...api.probe import InvalidSpec, Probe, ProbeMeta
from ...api.status import ProbeStatus
from ...publish.publisher import Publisher
from .scheduler import Scheduler

log = structlog.get_logger(__name__)


class Registry:
    """Every method is one step of a probe's life; none waits."""

    def __init__(self, scheduler: Scheduler, publisher: Publisher) -> None:
        self._scheduler = scheduler
        self._publisher = publisher
        self._known: dict[str, Probe | InvalidSpec] = {}
        self._leaving: set[str] = set()  # being deleted, which somebody's finalizer may hold up

    def uids(self) -> frozenset[str]:
        """Every probe seen that may still exist."""
        return frozenset(self._leaving.union(self._known))

    def runnable(self, uid: str) -> Probe:
        """A probe that the scheduler runs."""
        probe = self._known[uid]
        if isinstance(probe, InvalidSpec):
            raise TypeError(f"{uid} can't be run")
        return probe

    def name(self, uid: str) -> str:
        """What people call a probe; its uid if it is not known."""
        probe = self._known.get(uid)
        return f"{probe.meta.namespace}/{probe.meta.name}" if probe else uid

    def observe(self, body: Mapping[str, Any]) -> None:
        """The API server shows this object, for the first time or changed."""
        if body["metadata"].get("deletionTimestamp"):
            self.forget(body["metadata"]["uid"])
            self._leaving.add(body["metadata"]["uid"])
            return
        meta = ProbeMeta.from_object(body["metadata"])
        before = self._known.get(meta.uid)
        if before is not None and before.meta == meta:
            return  # mostly the echo of a status that we have written
        seen = Probe.from_object(body)
        self._known[meta.uid] = replace(seen, status=ProbeStatus())  # the publisher keeps it
        try:
            self._notice(seen, before)
        except Exception:
            # the next sight of it is as new as this was; until then the census misses what is new
            if before is None:
                self.forget(meta.uid)
            else:
                self._known[meta.uid] = before
            raise

    def _notice(self, seen: Probe | InvalidSpec, before: Probe | InvalidSpec | None) -> None:
        """A probe that was not known, or was as `before`."""
        meta = seen.meta
        if before is None:
            self._forget_namesake(seen)
            self._publisher.adopt(seen)
            self._take_up(seen)
            return
        self._publisher.relabel(seen)
        if before.meta.generation != meta.generation:
            self._take_up_changed(seen)
        elif (before.meta.run_now, before.meta.capture) != (meta.run_now, meta.capture):
            self._run_if_asked(seen)

    def forget(self, uid: str) -> None:
        """The probe is gone: cancel its run, drop its series."""
        self._leaving.discard(uid)
        gone = self._known.pop(uid, None)
        if gone:
            self._scheduler.stop(uid)
            self._publisher.forget(gone.meta)
            log.info("probe forgotten", probe=f"{gone.meta.namespace}/{gone.meta.name}")

    def forget_missing(self, candidates: Collection[str], existing: Collection[str]) -> None:
        """Forget those candidates, known before the list was made, that the list does not hold."""
        for uid in set(candidates) - set(existing):
            self.forget(uid)

    def _forget_namesake(self, seen: Probe | InvalidSpec) -> None:
        """A probe deleted and made again while nobody watched has the old name and a new uid."""
        name = (seen.meta.namespace, seen.meta.name)
        for uid, other in list(self._known.items()):
            if uid != seen.meta.uid and (other.meta.namespace, other.meta.name) == name:
                self.forget(uid)

    def _take_up(self, seen: Probe | InvalidSpec) -> None:
        """Go on where the status left off."""
        if isinstance(seen, InvalidSpec) or seen.spec.suspend:
            self._stop(seen)
            return
        last_run = seen.status.last_run
        if last_run and seen.status.observed_generation != seen.meta.generation:
            self._scheduler.change(seen.meta.uid, seen.spec.schedule.interval_s)
            return
        self._scheduler.resume(
            seen.meta.uid,
            seen.spec.schedule.interval_s,
            last_run.start_time.timestamp() if last_run else None,
        )
        if last_run:
            self._run_if_asked(seen)

    def _take_up_changed(self, seen: Probe | InvalidSpec) -> None:
        if isinstance(seen, InvalidSpec) or seen.spec.suspend:
            self._stop(seen)
        else:
            self._scheduler.change(seen.meta.uid, seen.spec.schedule.interval_s)

    def _stop(self, seen: Probe | InvalidSpec) -> None:
        self._scheduler.stop(seen.meta.uid)
        if isinstance(seen, InvalidSpec):
            log.warning(
                "probe can't be run",
                probe=f"{seen.meta.namespace}/{seen.meta.name}",
                reason="InvalidSpec",
                message=seen.message,
            )
            self._publisher.invalid(seen)
        else:
            self._publisher.suspended(seen)

    def _run_if_asked(self, seen: Probe | InvalidSpec) -> None:
        asked, uid = seen.meta.run_now, seen.meta.uid
        if (asked and asked != self._publisher.served_run_now(uid)) or self.wants_capture(seen):
            self._scheduler.run_now(uid)

    def wants_capture(self, probe: Probe | InvalidSpec) -> bool:
        """Whether a packet capture was asked for that no run has served."""
        asked = probe.meta.capture
        return bool(asked) and asked != self._publisher.served_capture(probe.meta.uid)
