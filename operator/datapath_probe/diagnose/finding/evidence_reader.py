"""How checks look at evidence. What a check asks for and nobody has collected yet is noted: so the checks
themselves say what is to be collected, and a new check brings its questions along.
"""

import math
from collections.abc import Callable
from typing import TypeVar

from ...evidence.question import Question
from ...evidence.reading import Answer, Reading, Unavailable
from ...evidence.store import Evidence

Record = TypeVar("Record")
Parser = Callable[[Reading], Record]
ParseCache = dict[tuple[Question, Reading, object], object]


class EvidenceReader:
    """Evidence, parsed once per reading. `missing` collects the questions that have no reading yet, in order; `unread`
    those whose answer a parser could not use, with the reason.
    """

    def __init__(self, evidence: Evidence, parse_cache: ParseCache | None = None) -> None:
        self._evidence = evidence
        self._memo: ParseCache = {} if parse_cache is None else parse_cache
        self.missing: dict[Question, None] = {}
        self.unread: dict[Question, str] = {}

    def want(self, question: Question) -> None:
        """Have the question asked, if it was not yet, whoever will read the answer."""
        if question not in self._evidence.readings:
            self.missing[question] = None

    def read(self, question: Question, parse: Parser[Record]) -> Record:
        """The newest reading of a question, parsed; `Unavailable(NotCollected)` when there is none yet."""
        self.want(question)
        return self._parsed(question, self._evidence.latest(question), parse)

    def series(self, question: Question, parse: Parser[Record]) -> tuple[Record, ...]:
        """All readings of a question, oldest first, parsed. Whether it is asked is not this reader's affair."""
        return tuple(self._parsed(question, reading, parse) for reading in self._evidence.all(question))

    def reads(self, question: Question) -> int:
        """How often the question has been answered."""
        return self._evidence.reads(question)

    def at(self, question: Question) -> float:
        """When the newest reading was taken, seconds since the epoch."""
        return self._evidence.latest(question).at

    def first_read_by(self, question: Question) -> float:
        """When the oldest reading was complete, seconds since the epoch; infinite if there is none."""
        readings = self._evidence.all(question)
        if not readings:
            return math.inf
        first = readings[0]
        return first.at + (first.duration_s if isinstance(first, Answer) else 0.0)

    def _parsed(self, question: Question, reading: Reading, parse: Parser[Record]) -> Record:
        key = (question, reading, parse)
        if key not in self._memo:
            self._memo[key] = parse(reading)
        parsed = self._memo[key]
        if isinstance(parsed, Unavailable) and isinstance(reading, Answer):
            self.unread[question] = parsed.reason
        return parsed  # type: ignore[return-value]  # keyed by the parser that made it
