"""Which backends a run looks at besides the one that its request uses: a few at a time, each in its turn.

In: a plan. Out: some of its other backends. One for all runs: after a run has looked at a backend, other runs of the
same source need not do so for a while. A backend of which a run found something wrong, used by its request or not, is
suspect: every run looks at it until one sees that it is right. So a verdict depends on the backends, and not on which
of them a request used.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..plan.objects import Pod
from ..plan.other_backends import Looks, OtherBackend, other_backends
from ..plan.plan import Plan

MAX_OTHERS = 8
"""The number of backends that one run looks at."""
LOOK_AGAIN_S = 120.0
"""How long a backend that was found right is not looked at again."""


@dataclass(frozen=True, slots=True)
class _Look:
    """`at`: the last look, seconds since the epoch. `suspect`: no look has seen it right since one found it wrong."""

    at: float
    suspect: bool


_NEVER = _Look(0.0, suspect=False)


class BackendRotation:
    """Remembers the looks at backends that are most recent, by source pod."""

    def __init__(self, limit: int = 20_000) -> None:
        self._looks = _Looks(limit)

    def choose(self, plan: Plan, now: float, *, fresh: bool = False) -> tuple[OtherBackend, ...]:
        """The backends to look at now: suspect ones, then those of the longest ago. `fresh`: also those that were found
        right a moment ago.
        """
        source = plan.source.pod
        looks = {other: self._looks.get(source, other) or _NEVER for other in other_backends(plan)}
        due = [o for o, look in looks.items() if fresh or look.suspect or now - look.at >= LOOK_AGAIN_S]
        chosen = sorted(due, key=lambda other: (not looks[other].suspect, looks[other].at))[:MAX_OTHERS]
        for other in chosen:
            self._looks.note(source, other, _Look(now, looks[other].suspect))
        return tuple(chosen)

    def suspects(self, plan: Plan, among: Sequence[OtherBackend]) -> tuple[OtherBackend, ...]:
        """The suspect ones among these backends."""
        looks = ((other, self._looks.get(plan.source.pod, other)) for other in among)
        return tuple(other for other, look in looks if look and look.suspect)

    def found(self, plan: Plan, started: float, looks: Looks) -> None:
        """Remember what a run found that started at this time. It clears no suspicion of a later one."""
        source = plan.source.pod
        for other in looks.suspect:
            self._looks.note(source, other, _Look(started, suspect=True))
        for other in looks.right:
            known = self._looks.get(source, other)
            if known is None or not known.suspect or known.at <= started:
                self._looks.note(source, other, _Look(started, suspect=False))


class _Looks:
    """The most recent looks. If they exceed the limit, the namespace that has the most loses its oldest one."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._number = 0
        self._by_namespace: dict[str, dict[tuple[str, OtherBackend], _Look]] = {}  # the latest last

    def get(self, source: Pod, other: OtherBackend) -> _Look | None:
        return self._by_namespace.get(source.namespace, {}).get((source.uid, other))

    def note(self, source: Pod, other: OtherBackend, look: _Look) -> None:
        looks = self._by_namespace.setdefault(source.namespace, {})
        if looks.pop((source.uid, other), None) is None:
            self._number += 1
        looks[source.uid, other] = look
        if self._number > self._limit:
            largest = max(self._by_namespace, key=lambda namespace: len(self._by_namespace[namespace]))
            most = self._by_namespace[largest]
            del most[next(iter(most))]
            self._number -= 1
            if not most:
                del self._by_namespace[largest]
