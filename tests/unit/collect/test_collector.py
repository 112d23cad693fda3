"""Collection continues until there are no open questions, and always ends."""

import asyncio
from collections.abc import Sequence

from datapath_probe.collect.answer_cache import AnswerCache
from datapath_probe.collect.collector import MAX_ROUNDS, Collector, gather
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.question import Question
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.evidence.store import Evidence


class Echo:
    """An agent that answers with the last argument of the question; counts round trips."""

    def __init__(self) -> None:
        self.rounds = 0

    async def ask(self, node: str, questions: Sequence[Question]) -> list[Reading]:
        self.rounds += 1
        return [Answer(0, question.argv[-1].encode(), b"", 0.0, 0.0) for question in questions]


def link(number: int) -> Question:
    return Question("node1", ("ask", str(number)))


async def test_a_question_may_follow_from_an_answer() -> None:
    def wants(evidence: Evidence) -> list[Question]:
        chain = [link(1), link(2), link(3)]
        return [question for question in chain if question not in evidence.readings][:1]

    echo = Echo()
    evidence = await gather(Evidence(), wants, Collector(AnswerCache(echo), {}))
    assert echo.rounds == 3
    assert set(evidence.readings) == {link(1), link(2), link(3)}


async def test_an_endless_chain_of_questions_is_cut_off() -> None:
    echo = Echo()
    await gather(
        Evidence(), lambda evidence: [link(len(evidence.readings))], Collector(AnswerCache(echo), {})
    )
    assert echo.rounds == MAX_ROUNDS


async def test_a_question_from_a_cached_answer_needs_no_extra_round_trip() -> None:
    def wants(evidence: Evidence) -> list[Question]:
        chain = [link(1), link(2)] if link(1) in evidence.readings else [link(1), link(3)]
        return [question for question in chain if question not in evidence.readings]

    echo = Echo()
    answers = AnswerCache(echo, clock=lambda: 0.0)
    await answers.ask([link(1)], {})
    evidence = await gather(Evidence(), wants, Collector(answers, {}), rounds=1)
    assert echo.rounds == 2
    assert set(evidence.readings) == {link(1), link(2)}


async def test_no_question_is_asked_after_the_deadline() -> None:
    echo = Echo()
    respondents = Collector(AnswerCache(echo), {}, ends_at=asyncio.get_running_loop().time())
    evidence = await respondents.ask(Evidence(), [link(1)])
    assert echo.rounds == 0
    latest = evidence.latest(link(1))
    assert isinstance(latest, Unavailable)
    assert latest.reason == EvidenceError.TIMEOUT


async def test_an_unresponsive_agent_is_not_queried_again() -> None:
    silent = Unavailable(EvidenceError.TIMEOUT, "ask did not answer within 5 s")
    echo = Echo()
    respondents = Collector(AnswerCache(echo), {})
    evidence = await respondents.ask(Evidence({link(1): (silent,)}), [link(2)], afresh=True)
    assert echo.rounds == 0
    assert evidence.latest(link(2)) is silent
