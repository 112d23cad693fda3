"""A reading: what a collector returned for a fact. Parsed values follow the same pattern.

The outcomes are never mixed up: an answer or record, `Absent` (the map was read and has no such key, which is
evidence), `Unavailable` (no evidence: an error, a timeout, or unparsable output).
"""

from dataclasses import dataclass, field
from typing import Final

LEFT_OUT: Final = b"\n[...]\n"
"""Stands in long output on standard error for its middle, which is not kept."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The output of a tool. `at`: when it started, seconds since the epoch (UTC). `truncated`: stdout reached its
    limit. `source`: how it was collected, for display. `records`: what parsers made of it, by parser. They live as long
    as the answer, which paths and runs share; another process makes its own.
    """

    exit_code: int
    stdout: bytes
    stderr: bytes
    at: float
    duration_s: float
    truncated: bool = False
    source: str = field(default="", compare=False)
    records: dict[object, object] = field(default_factory=dict, init=False, compare=False, repr=False)

    def __reduce__(self) -> tuple[object, ...]:
        output = self.exit_code, self.stdout, self.stderr
        return type(self), (*output, self.at, self.duration_s, self.truncated, self.source)


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No evidence. `reason` is a constant of `evidence.errors`, `message` one sentence for display."""

    reason: str
    message: str
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Absent:
    """The datapath was read and has no such key."""


Reading = Answer | Unavailable
