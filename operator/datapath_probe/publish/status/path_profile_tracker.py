"""Tracks the path profile of a probe from run to run and detects changes.

In: runs. Out: a `ProfileUpdate` for the status. Held by `publisher`, one per probe. The profile is kept in the status,
so a change is reported only once, even if the operator restarts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from heapq import nsmallest

from ...api.status.path_profile import (
    BACKENDS_LIMIT,
    SOURCES_LIMIT,
    NodeAttachment,
    PathProfile,
    PodPlacement,
)
from ...api.vocabulary import LoadBalancing
from ...diagnose.finding.path_profile import ObservedAttachment, ObservedPathProfile, changes, merged
from ...plan.pairs.pairs import Pairs
from ...runs.run_result import RunResult

# A roll-out replaces backends pod by pod: a new set of backends counts after it was stable for this long.
BACKENDS_STABLE_S = 10.0


@dataclass(frozen=True, slots=True)
class ProfileUpdate:
    """The current profile. `change`: a description of what this run changed in it."""

    profile: PathProfile | None
    change: str | None = None


class PathProfileTracker:
    """Keeps only a set of backends that is not yet stable: the known profile is in the status."""

    def __init__(self) -> None:
        self._backends: frozenset[str] | None = None  # a set that differs from the known one, and since when
        self._since = 0.0

    def update(self, known: PathProfile | None, result: RunResult) -> ProfileUpdate:
        """Compare the profile of a run with the known one. A run without a profile changes nothing."""
        profiles = [path.profile for path in result.paths if path.profile is not None]
        if not profiles:
            return ProfileUpdate(known)
        observed = merged(profiles)
        if known and len(profiles) < len(result.outcomes):
            observed = observed.with_sources_of(_from_status(known))
        if result.pairs:
            observed = _of_all_pairs(observed, result.pairs, known)
        return self._compare(known, observed, result.ended)

    def _compare(self, known: PathProfile | None, observed: ObservedPathProfile, now: float) -> ProfileUpdate:
        count = known.change_count if known else 0
        first = _to_status(observed, now, None, count)
        if known is None or known.destination != first.destination:
            return ProfileUpdate(first)
        before, observed = _from_status(known), _from_status(first)  # both in the form that the status keeps
        observed = self._without_unready(before, observed, now).with_attachments_of(before)
        if observed == before:
            return ProfileUpdate(known)
        change = "; ".join(changes(before, observed)) or None
        since = now if change else known.last_change_time.timestamp()
        count += change is not None
        return ProfileUpdate(_to_status(observed, since, change or known.last_change, count), change)

    def _without_unready(
        self, known: ObservedPathProfile, observed: ObservedPathProfile, now: float
    ) -> ObservedPathProfile:
        """The observed profile, with the known backends until a new set has been stable long enough."""
        backends = frozenset(observed.backends)
        if backends == known.backends.keys() and observed.backend_count == known.backend_count:
            self._backends = None
            return observed
        if backends != self._backends:
            self._backends, self._since = backends, now
        if now - self._since >= BACKENDS_STABLE_S:
            return observed
        nodes = {name: observed.backends.get(name, node) for name, node in known.backends.items()}
        return replace(observed, backends=nodes, backend_count=known.backend_count)


def _of_all_pairs(
    observed: ObservedPathProfile, pairs: Pairs, known: PathProfile | None
) -> ObservedPathProfile:
    """The profile of all pairs that the probe selects, whichever of them this run had."""
    sources, backends = (selected.nodes for selected in pairs.selected)
    if known and known.destination == pairs.requested and observed.load_balancing is LoadBalancing.NONE:
        observed = replace(observed, load_balancing=known.load_balancing)  # the Service itself had no turn
    return replace(
        observed,
        destination=pairs.requested,
        sources=sources or observed.sources,
        backends=backends or observed.backends,
        backend_count=len(backends) or observed.backend_count,
    )


def _to_status(profile: ObservedPathProfile, since: float, change: str | None, count: int) -> PathProfile:
    return PathProfile(
        last_change_time=datetime.fromtimestamp(since, UTC),
        last_change=change,
        change_count=count,
        destination=profile.destination,
        routing=profile.routing,
        load_balancing=profile.load_balancing,
        endpoint_routes=profile.endpoint_routes,
        sources=_placements(profile.sources, SOURCES_LIMIT),
        backends=_placements(profile.backends, BACKENDS_LIMIT),
        backend_count=profile.backend_count,
        node_attachments=tuple(
            NodeAttachment(node=node, attach_mode=attachment.attach_mode, programs=attachment.programs)
            for node, attachment in sorted(profile.node_attachments.items())
        ),
    )


def _from_status(profile: PathProfile) -> ObservedPathProfile:
    return ObservedPathProfile(
        destination=profile.destination,
        routing=profile.routing,
        load_balancing=profile.load_balancing,
        endpoint_routes=profile.endpoint_routes,
        sources={placement.pod: placement.node for placement in profile.sources},
        backends={placement.pod: placement.node for placement in profile.backends},
        backend_count=profile.backend_count,
        node_attachments={
            found.node: ObservedAttachment(found.attach_mode, found.programs)
            for found in profile.node_attachments
        },
    )


def _placements(pods: Mapping[str, str], limit: int) -> tuple[PodPlacement, ...]:
    return tuple(PodPlacement(pod=pod, node=pods[pod]) for pod in nsmallest(limit, pods))
