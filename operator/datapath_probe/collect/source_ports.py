"""A new source port for every run, so that its 5-tuple is known in advance and has no conntrack entry yet.

In: a pod. Out: a port. Called by `runs.probe_run`. The range lies below Linux's default ephemeral ports (32768–60999),
which the pod's own connections use, and below the NodePorts (30000–32767), which can't be bound where Cilium serves
them. Ports are assigned in order from a random start: conntrack keeps closed entries for minutes, and a port that is
reused too soon would match old ones.
"""

import random

FIRST, LAST = 20000, 29999


class SourcePorts:
    """Assigns ports in order, per source pod (by uid). Remembers the `limit` pods that were used most recently."""

    def __init__(self, rng: random.Random | None = None, limit: int = 10_000) -> None:
        self._rng = rng or random.Random()  # noqa: S311  # not a secret: it only spreads the start
        self._limit = limit
        self._next: dict[str, int] = {}  # most recently used last

    def take(self, pod_uid: str) -> int:
        """The next port for this pod."""
        port = self._next.pop(pod_uid, None) or self._rng.randint(FIRST, LAST)
        self._next[pod_uid] = port + 1 if port < LAST else FIRST
        if len(self._next) > self._limit:
            del self._next[next(iter(self._next))]
        return port
