"""How checks look at evidence. What a check asks for and was not collected yet is noted: so the checks themselves say
what is to be collected, and a new check brings its questions along.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ...api.vocabulary import HopName
from ...evidence.question import Question
from ...evidence.reading import Answer, Reading, Unavailable
from ...evidence.store import Evidence
from .finding import Finding

Record = TypeVar("Record")
Parser = Callable[[Reading], Record]
Records = dict[tuple[int, object], tuple[Reading, object]]


class ParseCache:
    """The records that were parsed of one run's readings; and the findings that rest on them, see `finding_cache`."""

    def __init__(self) -> None:
        self.records: Records = {}
        self.contexts: list[tuple[object, ...]] = []
        self.findings: dict[tuple[int, HopName], tuple[Finding, Lookups]] = {}

    def for_path(self) -> "ParseCache":
        """A cache for one path of the run, with findings of its own: paths share readings, and so records."""
        path = ParseCache()
        path.records = self.records
        return path


@dataclass(frozen=True, slots=True)
class Lookups:
    """What was looked at for a finding: questions with the readings they had, those that were to be asked, and those
    whose answers could not be used.
    """

    readings: tuple[tuple[Question, tuple[Reading, ...]], ...]
    wanted: tuple[Question, ...]
    unread: tuple[tuple[Question, str], ...]


class EvidenceReader:
    """Evidence, parsed once per reading. `missing` collects the questions that have no reading yet, in order; `unread`
    those whose answer a parser could not use, with the reason.
    """

    def __init__(self, evidence: Evidence, parse_cache: ParseCache | None = None) -> None:
        self._evidence = evidence
        self._records = (ParseCache() if parse_cache is None else parse_cache).records
        self.missing: dict[Question, None] = {}
        self.unread: dict[Question, str] = {}
        self._looked_at: dict[Question, bool] = {}  # whether it was wanted

    def want(self, question: Question) -> None:
        """Have the question asked, if it was not yet, whichever check reads the answer."""
        self._looked_at[question] = True
        if question not in self._evidence.readings:
            self.missing[question] = None

    def read(self, question: Question, parse: Parser[Record]) -> Record:
        """The newest reading of a question, parsed; `Unavailable(NotCollected)` when there is none yet."""
        self._looked_at[question] = True
        readings = self._evidence.readings.get(question)
        if not readings:
            self.missing[question] = None
            return parse(self._evidence.latest(question))
        return self._parsed(question, readings[-1], parse)

    def series(self, question: Question, parse: Parser[Record]) -> tuple[Record, ...]:
        """All readings of a question, oldest first, parsed. It does not have the question asked."""
        return tuple(self._parsed(question, reading, parse) for reading in self._all(question))

    def reads(self, question: Question) -> int:
        """How often the question has been answered."""
        self._looked_at.setdefault(question, False)
        return self._evidence.reads(question)

    def at(self, question: Question) -> float:
        """When the newest reading was taken, seconds since the epoch."""
        self._looked_at.setdefault(question, False)
        return self._evidence.latest(question).at

    def first_read_by(self, question: Question) -> float:
        """When the oldest reading was complete, seconds since the epoch; infinite if there is none."""
        readings = self._all(question)
        if not readings:
            return math.inf
        first = readings[0]
        return first.at + (first.duration_s if isinstance(first, Answer) else 0.0)

    def begin_lookups(self) -> None:
        """What is looked at from now on belongs to a new finding."""
        self._looked_at.clear()

    def end_lookups(self) -> Lookups:
        """What was looked at since `begin_lookups`."""
        looked_at, unread = self._looked_at, self.unread
        return Lookups(
            tuple((question, self._evidence.all(question)) for question in looked_at),
            tuple(question for question, wanted in looked_at.items() if wanted),
            tuple((question, unread[question]) for question in looked_at if question in unread),
        )

    def repeat(self, lookups: Lookups) -> bool:
        """Look at the same again, if all of it has the same readings as it had; False if not."""
        readings = self._evidence.readings
        if any(readings.get(question, ()) != known for question, known in lookups.readings):
            return False
        for question in lookups.wanted:
            if question not in readings:
                self.missing[question] = None
        self.unread.update(lookups.unread)
        return True

    def _all(self, question: Question) -> tuple[Reading, ...]:
        self._looked_at.setdefault(question, False)
        return self._evidence.all(question)

    def _parsed(self, question: Question, reading: Reading, parse: Parser[Record]) -> Record:
        if isinstance(reading, Unavailable):
            return parse(reading)
        key = id(reading), parse
        if key not in self._records:
            self._records[key] = reading, parse(reading)  # held, so that its id stays its own
        _, parsed = self._records[key]
        if isinstance(parsed, Unavailable):
            self.unread[question] = parsed.reason
        return parsed  # type: ignore[return-value]  # keyed by the parser that made it
