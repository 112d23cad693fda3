"""Evidence for one run: ask what the checks want to know, until they have no further question, or the time is up."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..evidence.errors import EvidenceError
from ..evidence.question import Question
from ..evidence.reading import Reading, Unavailable
from ..evidence.store import Evidence
from ..evidence.unresponsive_agents import UnresponsiveAgents
from .answer_cache import AnswerCache

# A check may ask on from what it hears (slot → backend → …); the longest such chain has 5 questions.
MAX_ROUNDS = 8

Wants = Callable[[Evidence], Sequence[Question]]


@dataclass(frozen=True, slots=True)
class Collector:
    """Whom one run asks: each node's agent, in its present incarnation; and until when, by the event loop's clock."""

    answers: AnswerCache
    incarnations: Mapping[str, str]
    ends_at: float = math.inf

    def heard(self, questions: Sequence[Question]) -> dict[Question, Reading]:
        """Readings that need not be asked for."""
        return self.answers.heard(questions, self.incarnations)

    async def ask(
        self, evidence: Evidence, questions: Sequence[Question], *, afresh: bool = False
    ) -> Evidence:
        """One more reading of each question. `afresh`: whatever was heard before.

        Who was silent once in this run is not asked again.
        """
        silence = UnresponsiveAgents(evidence)
        readings: dict[Question, Reading] = {q: why for q in questions if (why := silence.of(q))}
        to_ask = [question for question in questions if question not in readings]
        left_s = self.ends_at - asyncio.get_running_loop().time()
        if left_s <= 0:
            late = Unavailable(EvidenceError.TIMEOUT, "the run's time was up before this could be asked")
            readings |= dict.fromkeys(to_ask, late)
        elif to_ask:
            asked = await self.answers.ask(to_ask, self.incarnations, afresh=afresh, within_s=left_s)
            readings |= zip(to_ask, asked, strict=True)
        return evidence.adding(tuple(readings), tuple(readings.values()))


async def gather(
    evidence: Evidence, wants: Wants, respondents: Collector, rounds: int = MAX_ROUNDS
) -> Evidence:
    """Ask what `wants` returns, tell it the answers, and so on until it wants nothing more.

    What was heard already comes first: what follows from it need not wait for a round trip.
    """
    for _ in range(rounds):
        questions = wants(evidence)
        while heard := respondents.heard(questions):
            evidence = evidence.adding(tuple(heard), tuple(heard.values()))
            questions = wants(evidence)
        if not questions:
            break
        evidence = await respondents.ask(evidence, questions)
    return evidence
