"""A fresh source port for every run, so that its 5-tuple is known beforehand and never met before.

The range lies below Linux's default ephemeral range (32768–60999), whose ports the pod's own connections use, and
below that of NodePorts (30000–32767): where Cilium serves them, none of their numbers can be bound. It is
walked from a random start: conntrack keeps closed entries for minutes, and a port that comes back too soon would find
the old ones.
"""

import random

FIRST, LAST = 20000, 29999


class SourcePorts:
    """Hands out ports, in turn, per source pod (by uid); remembers the `limit` pods that asked last."""

    def __init__(self, rng: random.Random | None = None, limit: int = 10_000) -> None:
        self._rng = rng or random.Random()  # noqa: S311  # no secret: it only has to differ
        self._limit = limit
        self._next: dict[str, int] = {}  # the one that asked last comes last

    def take(self, pod_uid: str) -> int:
        """The next port for this pod."""
        port = self._next.pop(pod_uid, None) or self._rng.randint(FIRST, LAST)
        self._next[pod_uid] = port + 1 if port < LAST else FIRST
        if len(self._next) > self._limit:
            del self._next[next(iter(self._next))]
        return port
