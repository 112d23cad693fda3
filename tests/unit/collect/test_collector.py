"""Collection continues until nothing is left to collect, and always ends."""

import asyncio
from collections.abc import Sequence

import pytest

from datapath_probe.collect.answer_cache import AnswerCache
from datapath_probe.collect.collector import MAX_ROUNDS, Collector, gather
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.evidence.store import Evidence
from datapath_probe.sources.bpf import bpftool

SILENT = Unavailable(EvidenceError.TIMEOUT, "ask did not answer within 5 s")


class Echo:
    """An agent that answers with the program's number; counts round trips. `gate` holds answers back; `unanswered`:
    what comes instead of them.
    """

    def __init__(self, unanswered: Unavailable | None = None) -> None:
        self.rounds = 0
        self.asked: list[Fact] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._unanswered = unanswered

    async def ask(self, node: str, facts: Sequence[Fact]) -> list[Reading]:
        self.rounds += 1
        self.asked += facts
        await self.gate.wait()
        if self._unanswered:
            return [self._unanswered for _ in facts]
        return [Answer(0, str(fact.number("id")).encode(), b"", 0.0, 0.0) for fact in facts]


def link(number: int) -> Fact:
    return bpftool.prog("node1", number)


async def test_a_fact_may_follow_from_an_answer() -> None:
    async def wants(evidence: Evidence) -> list[Fact]:
        chain = [link(1), link(2), link(3)]
        return [fact for fact in chain if fact not in evidence.readings][:1]

    echo = Echo()
    evidence = await gather(Evidence(), wants, Collector(AnswerCache(echo), {}))
    assert echo.rounds == 3
    assert set(evidence.readings) == {link(1), link(2), link(3)}


async def test_an_endless_chain_of_facts_is_cut_off() -> None:
    async def wants(evidence: Evidence) -> list[Fact]:
        return [link(len(evidence.readings))]

    echo = Echo()
    await gather(Evidence(), wants, Collector(AnswerCache(echo), {}))
    assert echo.rounds == MAX_ROUNDS


async def test_a_fact_from_a_cached_answer_needs_no_extra_round_trip() -> None:
    async def wants(evidence: Evidence) -> list[Fact]:
        chain = [link(1), link(2)] if link(1) in evidence.readings else [link(1), link(3)]
        return [fact for fact in chain if fact not in evidence.readings]

    echo = Echo()
    answers = AnswerCache(echo, clock=lambda: 0.0)
    await answers.ask([link(1)], {})
    evidence = await gather(Evidence(), wants, Collector(answers, {}), rounds=1)
    assert echo.rounds == 2
    assert set(evidence.readings) == {link(1), link(2)}


async def test_no_fact_is_asked_for_after_the_deadline() -> None:
    echo = Echo()
    collector = Collector(AnswerCache(echo), {})
    evidence = await collector.ask(Evidence(), [link(1)], ends_at=asyncio.get_running_loop().time())
    assert echo.rounds == 0
    latest = evidence.latest(link(1))
    assert isinstance(latest, Unavailable)
    assert latest.reason == EvidenceError.TIMEOUT


async def test_an_unresponsive_agent_is_not_queried_again() -> None:
    echo = Echo(unanswered=SILENT)
    collector = Collector(AnswerCache(echo), {})
    evidence = await collector.ask(Evidence(), [link(1)])
    evidence = await collector.ask(evidence, [link(2)], fresh=True)
    assert echo.rounds == 1
    assert evidence.latest(link(2)) is SILENT


async def test_an_agent_that_is_unresponsive_to_one_path_is_not_queried_by_another() -> None:
    echo = Echo(unanswered=SILENT)
    collector = Collector(AnswerCache(echo), {})
    await collector.ask(Evidence(), [link(1)])
    assert (await collector.ask(Evidence(), [link(2)])).latest(link(2)) is SILENT
    assert echo.rounds == 1


@pytest.mark.parametrize("fresh", [False, True])
async def test_paths_that_ask_in_the_same_moment_share_a_round_trip_and_an_answer(fresh: bool) -> None:
    echo = Echo()
    collector = Collector(AnswerCache(echo), {})
    wanted = ([link(1), link(2)], [link(2), link(3)], [link(2)])
    evidences = await asyncio.gather(*(collector.ask(Evidence(), each, fresh=fresh) for each in wanted))
    assert echo.asked == [link(1), link(2), link(3)]
    assert echo.rounds == 1
    assert [list(evidence.readings) for evidence in evidences] == [list(each) for each in wanted]
    assert len({id(evidence.latest(link(2))) for evidence in evidences}) == 1


async def test_a_path_without_time_leaves_the_others_theirs() -> None:
    echo = Echo()
    collector = Collector(AnswerCache(echo), {})
    echo.gate.clear()
    now = asyncio.get_running_loop().time()
    patient = asyncio.create_task(collector.ask(Evidence(), [link(1)], ends_at=now + 60))
    hurried = asyncio.create_task(collector.ask(Evidence(), [link(1), link(2)], ends_at=now + 0.02))
    late = (await hurried).latest(link(1))
    assert isinstance(late, Unavailable)
    assert "before the run's deadline" in late.message
    echo.gate.set()
    assert isinstance((await patient).latest(link(1)), Answer)
    assert isinstance((await collector.ask(Evidence(), [link(2)], fresh=True)).latest(link(2)), Answer)


async def test_a_closed_collector_waits_for_nothing() -> None:
    echo = Echo()
    collector = Collector(AnswerCache(echo), {})
    echo.gate.clear()
    await collector.ask(Evidence(), [link(1)], ends_at=asyncio.get_running_loop().time() + 0.01)
    await collector.close()
