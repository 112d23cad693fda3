"""A status as JSON: what is kept of it from run to run, and what the API server gets. Used by `publish`."""

import json
import zlib
from dataclasses import dataclass
from typing import Any, Self

from .probe_status import ProbeStatus


@dataclass(frozen=True, slots=True)
class StatusDocument:
    """One status in 5 kB, for a path with 25 hops; the model takes 120 kB.

    `compressed_paths` is most of it, and apart from all other `fields` because no later status depends on it.
    """

    fields: bytes
    compressed_paths: bytes

    @classmethod
    def of(cls, status: ProbeStatus) -> Self:
        """The document of a status."""
        fields = status.to_object()
        paths = {"paths": fields.pop("paths")}
        return cls(json.dumps(fields).encode(), zlib.compress(json.dumps(paths).encode(), level=1))

    def parsed(self) -> ProbeStatus:
        """The whole status."""
        return ProbeStatus.model_validate(self.to_object())

    def parsed_without_paths(self) -> ProbeStatus:
        """All that the status after the next run depends on: conditions, counters, history, path profile …"""
        return ProbeStatus.model_validate(json.loads(self.fields))

    def to_object(self) -> dict[str, Any]:
        """The status as JSON values, for the API server."""
        return {**json.loads(self.fields), **json.loads(zlib.decompress(self.compressed_paths))}
