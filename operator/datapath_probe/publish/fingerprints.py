"""Tells when the way to a backend has changed, as opposed to a load balancer that chose another backend."""

from collections.abc import Iterable

from ..api.status import PathResult

_KEPT = 64  # (source, backend) pairs of one probe; beyond, the oldest go


class Fingerprints:
    """The fingerprint last seen for each (source, backend) of one probe."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}

    def take(self, paths: Iterable[PathResult]) -> int:
        """Remember these; how many differ from what was known of the same source and backend."""
        changes = 0
        for path in paths:
            backend = path.destination.name or path.destination.ip
            if path.fingerprint and backend:
                before = self._known.pop((path.source.pod, backend), path.fingerprint)
                self._known[path.source.pod, backend] = path.fingerprint
                changes += before != path.fingerprint
        while len(self._known) > _KEPT:
            del self._known[next(iter(self._known))]
        return changes
