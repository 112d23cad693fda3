"""Which way packets take, run by run: tells when it has changed. Remembers the way in the status, so that a change is
told once, whatever becomes of the operator meanwhile.

In: runs. Out: `Sight`, for the status. Held by `publisher`, one per probe.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ...api.path_profile import NodeEntry, Place
from ...api.path_profile import Way as WayResult
from ...diagnose.finding.path_profile import Entry, Way, changes, merged
from ...runs.run_result import RunResult

# A roll-out changes the backends pod by pod: what they are counts when it has stood for so long.
BACKENDS_STAND_S = 10.0


@dataclass(frozen=True, slots=True)
class Sight:
    """The way as it now stands. `change`: what this run changed in it, in words."""

    way: WayResult | None
    change: str | None = None


class Ways:
    """`known`: the way in the status."""

    def __init__(self, known: WayResult | None) -> None:
        self._known = known
        self._backends: frozenset[str] | None = None  # another set than the known one, since when
        self._since = 0.0

    def take(self, result: RunResult) -> Sight:
        """Compare the way of a run with the one known. A run that can't tell changes nothing."""
        ways = [path.way for path in result.paths if path.way is not None]
        if not ways:
            return Sight(self._known)
        seen = merged(ways)
        if self._known and len(ways) < len(result.outcomes):
            seen = seen.with_sources_of(_from_result(self._known))
        return self._take(seen, result.ended)

    def _take(self, seen: Way, now: float) -> Sight:
        first = _to_result(seen, now, None)
        if self._known is None or self._known.destination != first.destination:
            self._known = first
            return Sight(first)
        known, seen = _from_result(self._known), _from_result(first)  # both as the status keeps them
        seen = self._without_readiness(known, seen, now).with_entries_of(known)
        if seen == known:
            return Sight(self._known)
        change = "; ".join(changes(known, seen)) or None
        since = now if change else self._known.since.timestamp()
        self._known = _to_result(seen, since, change or self._known.change)
        return Sight(self._known, change)

    def _without_readiness(self, known: Way, seen: Way, now: float) -> Way:
        """The way that was seen, but with the backends that are known while others have not stood long enough."""
        backends = frozenset(seen.backends)
        if backends == known.backends.keys() and seen.backend_count == known.backend_count:
            self._backends = None
            return seen
        if backends != self._backends:
            self._backends, self._since = backends, now
        if now - self._since >= BACKENDS_STAND_S:
            return seen
        nodes = {name: seen.backends.get(name, node) for name, node in known.backends.items()}
        return replace(seen, backends=nodes, backend_count=known.backend_count)


def _to_result(way: Way, since: float, change: str | None) -> WayResult:
    return WayResult(
        since=datetime.fromtimestamp(since, UTC),
        change=change,
        destination=way.destination,
        routing=way.routing,
        load_balancing=way.load_balancing,
        endpoint_routes=way.endpoint_routes,
        sources=_places(way.sources),
        backends=_places(way.backends),
        backend_count=way.backend_count,
        entries=tuple(
            NodeEntry(node=node, attach=entry.attach, programs=entry.programs)
            for node, entry in sorted(way.entries.items())
        ),
    )


def _from_result(result: WayResult) -> Way:
    return Way(
        destination=result.destination,
        routing=result.routing,
        load_balancing=result.load_balancing,
        endpoint_routes=result.endpoint_routes,
        sources={place.pod: place.node for place in result.sources},
        backends={place.pod: place.node for place in result.backends},
        backend_count=result.backend_count,
        entries={entry.node: Entry(entry.attach, entry.programs) for entry in result.entries},
    )


def _places(pods: Mapping[str, str]) -> tuple[Place, ...]:
    return tuple(Place(pod=pod, node=node) for pod, node in sorted(pods.items()))
