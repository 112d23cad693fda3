"""A reading: what a collector got of a fact, or why it got nothing. Parsed values follow the same pattern.

Three outcomes, never mixed up: a record (found), `Absent` (the map was asked and has no such key: that is
evidence), `Unavailable` (no evidence: error, timeout, garbage).
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool printed. `at`: start, seconds since the epoch (UTC); `truncated`: output hit its cap; `source`: how
    it was had, for people.
    """

    exit_code: int
    stdout: bytes
    stderr: bytes
    at: float
    duration_s: float
    truncated: bool = False
    source: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No evidence. `reason` is a constant of `evidence.errors`, `message` one sentence for people."""

    reason: str
    message: str
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Absent:
    """The datapath was asked and knows no such key."""


Reading = Answer | Unavailable
