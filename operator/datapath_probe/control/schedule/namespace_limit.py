"""How many probes of a namespace run: the oldest, up to a limit. Called by `registry`. Pure.

Which ones run depends on the existing probes only, not on the order in which they were observed.
"""

from bisect import bisect_left, insort

from ...api.probe import ProbeMeta

_Age = tuple[str, str, str]  # creation time, name, uid: sorts the oldest first


class NamespaceLimit:
    """`limit`: per namespace; None means any number."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self._by_age: dict[str, list[_Age]] = {}  # by namespace

    def add(self, probe: ProbeMeta) -> str | None:
        """Add a probe. Returns the uid of a younger one that must not run any more."""
        ages = self._by_age.setdefault(probe.namespace, [])
        insort(ages, _age(probe))
        if self.limit is None or len(ages) <= self.limit or not self.admits(probe):
            return None
        return ages[self.limit][-1]

    def remove(self, probe: ProbeMeta) -> str | None:
        """Remove a probe, if it was added. Returns the uid of one that may run now."""
        ages = self._by_age.get(probe.namespace, [])
        place = bisect_left(ages, _age(probe))
        if ages[place : place + 1] != [_age(probe)]:
            return None
        admitted = self.admits(probe)
        del ages[place]
        if not ages:
            del self._by_age[probe.namespace]
        if self.limit is None or len(ages) < self.limit or not admitted:
            return None
        return ages[self.limit - 1][-1]

    def admits(self, probe: ProbeMeta) -> bool:
        """Whether a probe that was added may run."""
        return self.limit is None or bisect_left(self._by_age[probe.namespace], _age(probe)) < self.limit


def _age(probe: ProbeMeta) -> _Age:
    return probe.created, probe.name, probe.uid
