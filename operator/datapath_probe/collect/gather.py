"""Evidence for one run: ask what the checks want to know, until they have no further question."""

from collections.abc import Callable, Mapping, Sequence

from ..evidence.question import Question
from ..evidence.store import Evidence
from .shared import SharedAnswers

# A check may ask on from what it hears (slot → backend → …); the longest such chain has 5 questions.
MAX_ROUNDS = 8

Wants = Callable[[Evidence], Sequence[Question]]


async def gather(
    evidence: Evidence,
    wants: Wants,
    answers: SharedAnswers,
    incarnations: Mapping[str, str],
    rounds: int = MAX_ROUNDS,
) -> Evidence:
    """Ask what `wants` returns, tell it the answers, and so on until it wants nothing more.

    What was heard already comes first: what follows from it need not wait for a round trip.
    """
    for _ in range(rounds):
        questions = wants(evidence)
        while heard := answers.heard(questions, incarnations):
            evidence = evidence.adding(tuple(heard), tuple(heard.values()))
            questions = wants(evidence)
        if not questions:
            break
        evidence = evidence.adding(questions, await answers.ask(questions, incarnations))
    return evidence


async def ask_again(
    evidence: Evidence,
    questions: Sequence[Question],
    answers: SharedAnswers,
    incarnations: Mapping[str, str],
) -> Evidence:
    """A second, fresh reading of each of these questions."""
    return evidence.adding(questions, await answers.ask(questions, incarnations, afresh=True))
