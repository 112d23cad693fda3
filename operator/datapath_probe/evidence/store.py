"""The evidence of one run: each fact with its readings, oldest first. Filled by `collect`, read by `diagnose`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from .errors import EvidenceError
from .fact import Fact
from .fact_kinds import FactKind
from .reading import Answer, Reading, Unavailable


@dataclass(frozen=True, slots=True)
class Evidence:
    """Readings by fact. Immutable: `adding` returns a new store."""

    readings: Mapping[Fact, tuple[Reading, ...]] = field(default_factory=dict)

    def latest(self, fact: Fact) -> Reading:
        """The newest reading, or `Unavailable(NotCollected)`."""
        readings = self.readings.get(fact)
        if not readings:
            return _not_collected(fact.kind, fact.node)
        return readings[-1]

    def all(self, fact: Fact) -> tuple[Reading, ...]:
        """All readings of a fact, oldest first."""
        return self.readings.get(fact, ())

    def first_readings(self) -> "Evidence":
        """The evidence before any fact was read again."""
        return Evidence({fact: readings[:1] for fact, readings in self.readings.items()})

    def reads(self, fact: Fact) -> int:
        """The number of answers to the fact; an `Unavailable` does not count."""
        return sum(isinstance(reading, Answer) for reading in self.readings.get(fact, ()))

    def adding(self, facts: Sequence[Fact], readings: Sequence[Reading]) -> "Evidence":
        """A store with one more reading of each of these facts."""
        merged = dict(self.readings)
        for fact, reading in zip(facts, readings, strict=True):
            merged[fact] = (*merged.get(fact, ()), reading)
        return Evidence(merged)

    def __iter__(self) -> Iterator[tuple[Fact, tuple[Reading, ...]]]:
        return iter(self.readings.items())


@lru_cache(maxsize=1024)  # a run reads each fact several times before it is collected
def _not_collected(kind: FactKind, node: str) -> Unavailable:
    return Unavailable(EvidenceError.NOT_COLLECTED, f"{kind} on {node} was not collected")
