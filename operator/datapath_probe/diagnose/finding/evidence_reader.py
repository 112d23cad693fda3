"""How checks read evidence. The reader records each fact that a check asks for and that has no reading yet: the checks
themselves determine what to collect.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ...evidence.fact import Fact
from ...evidence.reading import Answer, Reading, Unavailable
from ...evidence.store import Evidence

Record = TypeVar("Record")
Parser = Callable[[Reading], Record]
_NOT_PARSED = object()


@dataclass(frozen=True, slots=True)
class Lookups:
    """What a finding was made from: facts with their readings, the facts that it wanted, and the facts whose answers
    could not be parsed.
    """

    readings: tuple[tuple[Fact, tuple[Reading, ...]], ...]
    wanted: tuple[Fact, ...]
    unread: tuple[tuple[Fact, str], ...]


class EvidenceReader:
    """Evidence, parsed once per answer. `missing` collects the facts that have no reading yet, in order. `unread`
    collects the facts whose answers could not be parsed, with the reason.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self.missing: dict[Fact, None] = {}
        self.unread: dict[Fact, str] = {}
        self._looked_at: dict[Fact, bool] = {}  # whether it is wanted

    def want(self, fact: Fact) -> None:
        """Have the fact collected, if it has no reading yet, even if another check reads it."""
        self._looked_at[fact] = True
        if fact not in self._evidence.readings:
            self.missing[fact] = None

    def read(self, fact: Fact, parse: Parser[Record]) -> Record:
        """The newest reading of a fact, parsed; `Unavailable(NotCollected)` when there is none yet."""
        self._looked_at[fact] = True
        readings = self._evidence.readings.get(fact)
        if not readings:
            self.missing[fact] = None
            return parse(self._evidence.latest(fact))
        return self._parsed(fact, readings[-1], parse)

    def series(self, fact: Fact, parse: Parser[Record]) -> tuple[Record, ...]:
        """All readings of a fact, oldest first, parsed. Does not add the fact to `missing`."""
        return tuple(self._parsed(fact, reading, parse) for reading in self._all(fact))

    def reads(self, fact: Fact) -> int:
        """The number of readings of the fact."""
        self._looked_at.setdefault(fact, False)
        return self._evidence.reads(fact)

    def at(self, fact: Fact) -> float:
        """When the newest reading was taken, seconds since the epoch."""
        self._looked_at.setdefault(fact, False)
        return self._evidence.latest(fact).at

    def first_read_by(self, fact: Fact) -> float:
        """When the oldest reading was complete, seconds since the epoch; infinite if there is none."""
        readings = self._all(fact)
        if not readings:
            return math.inf
        first = readings[0]
        return first.at + (first.duration_s if isinstance(first, Answer) else 0.0)

    def begin_lookups(self) -> None:
        """Start to record the lookups of a new finding."""
        self._looked_at.clear()

    def end_lookups(self) -> Lookups:
        """The lookups since `begin_lookups`."""
        looked_at, unread, readings = self._looked_at, self.unread, self._evidence.readings
        return Lookups(
            tuple([(fact, readings.get(fact, ())) for fact in looked_at]),
            tuple([fact for fact, wanted in looked_at.items() if wanted]),
            tuple([(fact, unread[fact]) for fact in looked_at if fact in unread]) if unread else (),
        )

    def repeat(self, lookups: Lookups) -> bool:
        """Repeat these lookups if all facts still have the same readings; otherwise return False."""
        readings = self._evidence.readings
        for fact, known in lookups.readings:
            if readings.get(fact, ()) != known:
                return False
        for fact in lookups.wanted:
            if fact not in readings:
                self.missing[fact] = None
        self.unread.update(lookups.unread)
        return True

    def _all(self, fact: Fact) -> tuple[Reading, ...]:
        self._looked_at.setdefault(fact, False)
        return self._evidence.all(fact)

    def _parsed(self, fact: Fact, reading: Reading, parse: Parser[Record]) -> Record:
        if isinstance(reading, Unavailable):
            return parse(reading)
        parsed = reading.records.get(parse, _NOT_PARSED)
        if parsed is _NOT_PARSED:
            parsed = reading.records[parse] = parse(reading)
        if isinstance(parsed, Unavailable):
            self.unread[fact] = parsed.reason
        return parsed  # type: ignore[return-value]  # keyed by the parser that made it
