"""The evidence of one run: each question with its readings, oldest first."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .errors import EvidenceError
from .question import Question
from .reading import Answer, Reading, Unavailable


@dataclass(frozen=True, slots=True)
class Evidence:
    """Readings by question. Immutable: `adding` gives a new store."""

    readings: Mapping[Question, tuple[Reading, ...]] = field(default_factory=dict)

    def latest(self, question: Question) -> Reading:
        """The newest reading, or `Unavailable(NotCollected)`."""
        readings = self.readings.get(question)
        if not readings:
            return Unavailable(
                EvidenceError.NOT_COLLECTED, f"{question.kind} on {question.node} was not collected"
            )
        return readings[-1]

    def all(self, question: Question) -> tuple[Reading, ...]:
        """Every reading of a question, oldest first."""
        return self.readings.get(question, ())

    def first_readings(self) -> "Evidence":
        """The evidence as it was before any question was asked again."""
        return Evidence({question: readings[:1] for question, readings in self.readings.items()})

    def reads(self, question: Question) -> int:
        """How often the question was answered (an `Unavailable` is no answer)."""
        return sum(isinstance(reading, Answer) for reading in self.readings.get(question, ()))

    def adding(self, questions: Sequence[Question], readings: Sequence[Reading]) -> "Evidence":
        """A store that also holds one new reading for each of these questions."""
        merged = dict(self.readings)
        for question, reading in zip(questions, readings, strict=True):
            merged[question] = (*merged.get(question, ()), reading)
        return Evidence(merged)

    def __iter__(self) -> Iterator[tuple[Question, tuple[Reading, ...]]]:
        return iter(self.readings.items())
