"""Evidence for one run: ask what the checks want to know, until they have no further question, or the time is up.

The paths of a run share a `Collector`: what they ask of a node in the same moment is one round trip, and a tool that
did not respond to one of them is not asked by the others.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..evidence.errors import EvidenceError
from ..evidence.question import Question
from ..evidence.reading import Reading, Unavailable
from ..evidence.store import Evidence
from ..evidence.unresponsive_agents import UnresponsiveAgents
from .answer_cache import AnswerCache, late
from .cancellation import end

# A check may ask on from what it hears (slot → backend → …); the longest such chain has 5 questions.
MAX_ROUNDS = 8

Wants = Callable[[Evidence], Sequence[Question]]
Answers = dict[Question, Reading]


@dataclass(slots=True)
class _RoundTrip:
    """What is asked of one node in one moment. `within_s`: how long the most patient path waits."""

    questions: dict[Question, None] = field(default_factory=dict)
    within_s: float = 0.0


class Collector:
    """Asks each node's agent, in its present incarnation, for the paths of one run."""

    def __init__(self, answers: AnswerCache, incarnations: Mapping[str, str]) -> None:
        self._answers = answers
        self._incarnations = incarnations
        self._unresponsive = UnresponsiveAgents()
        # by node and `afresh`: the round trips that still take questions
        self._open: dict[tuple[str, bool], tuple[_RoundTrip, asyncio.Task[Answers]]] = {}
        self._under_way: set[asyncio.Task[Answers]] = set()

    def heard(self, questions: Sequence[Question]) -> Answers:
        """Readings that need not be asked for."""
        return self._answers.heard(questions, self._incarnations)

    async def ask(
        self,
        evidence: Evidence,
        questions: Sequence[Question],
        *,
        afresh: bool = False,
        ends_at: float = math.inf,
    ) -> Evidence:
        """One more reading of each question. `afresh`: whatever was heard before; `ends_at`: when the time of this path
        is up, by the event loop's clock.
        """
        readings: Answers = {q: why for q in questions if (why := self._unresponsive.of(q))}
        to_ask = [question for question in questions if question not in readings]
        left_s = ends_at - asyncio.get_running_loop().time()
        if left_s <= 0:
            over = Unavailable(EvidenceError.TIMEOUT, "the run's time was up before this could be asked")
            readings |= dict.fromkeys(to_ask, over)
        elif to_ask:
            tasks = {question: self._joined(question, afresh, left_s) for question in to_ask}
            # `wait` cancels none of them: other paths may wait for the same round trip, with more time
            await asyncio.wait(set(tasks.values()), timeout=left_s)
            readings |= {
                question: task.result()[question] if task.done() else late(question.node)
                for question, task in tasks.items()
            }
        return evidence.adding(tuple(readings), tuple(readings.values()))

    async def close(self) -> None:
        """Cancel what no path waits for any more."""
        await end(*self._under_way)

    def _joined(self, question: Question, afresh: bool, within_s: float) -> asyncio.Task[Answers]:
        """The round trip to the question's node that has not begun yet, or a new one; with the question."""
        key = question.node, afresh
        if key not in self._open:
            trip = _RoundTrip()
            task = asyncio.create_task(self._carry_out(key, trip))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            self._open[key] = trip, task
        trip, task = self._open[key]
        trip.questions[question] = None
        trip.within_s = max(trip.within_s, within_s)
        return task

    async def _carry_out(self, key: tuple[str, bool], trip: _RoundTrip) -> Answers:
        """Runs when all paths that are awake in this turn of the event loop have said what they want to know."""
        del self._open[key]
        _, afresh = key
        questions = list(trip.questions)
        asked = await self._answers.ask(questions, self._incarnations, afresh=afresh, within_s=trip.within_s)
        answers = dict(zip(questions, asked, strict=True))
        for question, reading in answers.items():
            if reading != late(question.node):  # another path may have more time
                self._unresponsive.note(question, reading)
        return answers


async def gather(
    evidence: Evidence,
    wants: Wants,
    collector: Collector,
    rounds: int = MAX_ROUNDS,
    ends_at: float = math.inf,
) -> Evidence:
    """Ask what `wants` returns, tell it the answers, and so on until it wants nothing more.

    What was heard already comes first: what follows from it need not wait for a round trip.
    """
    for _ in range(rounds):
        questions = wants(evidence)
        while heard := collector.heard(questions):
            evidence = evidence.adding(tuple(heard), tuple(heard.values()))
            questions = wants(evidence)
        if not questions:
            break
        evidence = await collector.ask(evidence, questions, ends_at=ends_at)
    return evidence
