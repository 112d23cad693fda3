"""Answers shared between runs: asked once within their maximum age, not across agents, not lost on cancellation."""

import asyncio
from collections.abc import Sequence

from datapath_probe.collect.answer_cache import AnswerCache
from datapath_probe.evidence.delivery import delivery
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.sources import netns
from datapath_probe.sources.agent import policy_repository, policy_selectors
from datapath_probe.sources.iproute2 import uptime

SHARED = policy_repository.fact("node1")
OWN = uptime.uptime("node1")
LASTING = netns.find("node1")
AGE_S = delivery(SHARED).max_age_s
AGENT = {"node1": "agent/0"}


class Agents:
    """Answers each fact with the number of the call; `gate` delays answers."""

    def __init__(self) -> None:
        self.now = 100.0
        self.asked: list[Fact] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failing = False

    async def ask(self, node: str, facts: Sequence[Fact]) -> list[Reading]:
        self.asked += facts
        await self.gate.wait()
        if self.failing:
            return [Unavailable(EvidenceError.TIMEOUT, "no answer", self.now) for _ in facts]
        return [Answer(0, str(len(self.asked)).encode(), b"", self.now, 0.0) for _ in facts]

    async def has_been_asked(self, times: int) -> None:
        async with asyncio.timeout(5):
            while len(self.asked) < times:  # noqa: ASYNC110 (no event to wait for)
                await asyncio.sleep(0)


def answers() -> tuple[Agents, AnswerCache]:
    agents = Agents()
    return agents, AnswerCache(agents, clock=lambda: agents.now)


async def test_an_answer_is_shared_until_its_maximum_age() -> None:
    agents, shared = answers()
    await shared.ask([SHARED], AGENT)
    agents.now += AGE_S
    await shared.ask([SHARED], AGENT)
    assert len(agents.asked) == 1
    agents.now += 0.1
    await shared.ask([SHARED], AGENT)
    assert len(agents.asked) == 2


async def test_answers_age_also_when_the_wall_clock_is_set_back() -> None:
    agents, since_boot = Agents(), 7.0
    shared = AnswerCache(agents, clock=lambda: since_boot)
    await shared.ask([SHARED], AGENT)
    agents.now, since_boot = agents.now - 3600, since_boot + AGE_S + 0.1
    assert not shared.cached([SHARED], AGENT)
    await shared.ask([SHARED], AGENT)
    assert len(agents.asked) == 2


async def test_the_age_of_an_answer_counts_from_its_own_time_in_the_batch() -> None:
    agents, since_boot = Agents(), iter((7.0, 7.0, 47.0, 47.0))
    shared = AnswerCache(agents, clock=lambda: next(since_boot))
    slow = policy_selectors.fact("node1")

    async def ask(node: str, facts: Sequence[Fact]) -> list[Reading]:
        return [Answer(0, b"", b"", 100.0, 0.0), Answer(0, b"", b"", 100.0, AGE_S + 10.0)]

    agents.ask = ask  # type: ignore[method-assign]
    await shared.ask([SHARED, slow], AGENT)
    assert not shared.cached([SHARED, slow], AGENT)


async def test_concurrent_runs_share_one_answer() -> None:
    agents, shared = answers()
    agents.gate.clear()
    first = asyncio.create_task(shared.ask([SHARED], AGENT))
    second = asyncio.create_task(shared.ask([SHARED, OWN], AGENT))
    await asyncio.sleep(0)
    agents.gate.set()
    (one,), (other, _) = await first, await second
    assert one is other
    assert agents.asked == [SHARED, OWN]


async def test_unshared_facts_are_collected_each_time() -> None:
    agents, shared = answers()
    await asyncio.gather(shared.ask([OWN], AGENT), shared.ask([OWN], AGENT))
    assert agents.asked == [OWN, OWN]


async def test_a_repeated_read_ignores_cached_answers() -> None:
    agents, shared = answers()
    await shared.ask([SHARED], AGENT)
    await shared.ask([SHARED], AGENT, fresh=True)
    assert len(agents.asked) == 2


async def test_answers_and_pending_facts_from_before_forget_are_not_shared() -> None:
    agents, shared = answers()
    await shared.ask([SHARED], AGENT)
    shared.forget({"node1"})
    agents.gate.clear()
    asked = asyncio.create_task(shared.ask([SHARED], AGENT))
    await agents.has_been_asked(2)
    shared.forget({"node1"})
    again = asyncio.create_task(shared.ask([SHARED], AGENT))
    await agents.has_been_asked(3)
    agents.gate.set()
    await asyncio.gather(asked, again)


async def test_an_answer_that_arrives_after_forget_is_not_shared() -> None:
    agents, shared = answers()
    agents.gate.clear()
    asked = asyncio.create_task(shared.ask([SHARED, LASTING], AGENT))
    await agents.has_been_asked(2)
    shared.forget({"node1"})
    agents.gate.set()
    await asked
    assert list(shared.cached([SHARED, LASTING], AGENT)) == [LASTING]


async def test_lasting_answers_survive_forget() -> None:
    agents, shared = answers()
    await shared.ask([LASTING], AGENT)
    shared.forget({"node1"})
    await shared.ask([LASTING], AGENT)
    assert len(agents.asked) == 1


async def test_answers_about_other_nodes_survive_forget() -> None:
    agents, shared = answers()
    await shared.ask([SHARED], AGENT)
    shared.forget({"node2"})
    await shared.ask([SHARED], AGENT)
    assert len(agents.asked) == 1


async def test_answers_of_an_earlier_agent_are_discarded() -> None:
    agents, shared = answers()
    await shared.ask([SHARED], AGENT)
    await shared.ask([SHARED], {"node1": "agent/1"})
    assert len(agents.asked) == 2


async def test_a_failure_is_not_cached() -> None:
    agents, shared = answers()
    agents.failing = True
    (failed,) = await shared.ask([SHARED], AGENT)
    assert isinstance(failed, Unavailable)
    agents.failing = False
    (answered,) = await shared.ask([SHARED], AGENT)
    assert isinstance(answered, Answer)


async def test_a_canceled_run_does_not_affect_the_others() -> None:
    agents, shared = answers()
    agents.gate.clear()
    canceled = asyncio.create_task(shared.ask([SHARED], AGENT))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(shared.ask([SHARED], AGENT))
    await asyncio.sleep(0)
    canceled.cancel()
    agents.gate.set()
    (reading,) = await waiting
    assert isinstance(reading, Answer)
    assert agents.asked == [SHARED]


async def test_a_run_out_of_time_does_not_affect_the_others() -> None:
    agents, shared = answers()
    agents.gate.clear()
    patient = asyncio.create_task(shared.ask([SHARED], AGENT))
    (late,) = await shared.ask([SHARED], AGENT, within_s=0.01)
    agents.gate.set()
    assert isinstance(late, Unavailable)
    assert late.reason == EvidenceError.TIMEOUT
    assert isinstance((await patient)[0], Answer)
    assert agents.asked == [SHARED]


async def test_a_slow_node_does_not_affect_the_others() -> None:
    class Agents:
        async def ask(self, node: str, facts: Sequence[Fact]) -> list[Reading]:
            await asyncio.sleep(60.0 if node == "node1" else 0.0)
            return [Answer(0, b"", b"", 0.0, 0.0) for _ in facts]

    elsewhere = uptime.uptime("node2")
    late, in_time = await AnswerCache(Agents()).ask([SHARED, elsewhere], AGENT, within_s=0.1)
    assert isinstance(late, Unavailable)
    assert isinstance(in_time, Answer)


async def test_readings_are_in_the_order_of_the_facts() -> None:
    _, shared = answers()
    elsewhere = uptime.uptime("node2")
    await shared.ask([SHARED], AGENT)
    readings = await shared.ask([elsewhere, SHARED, OWN], AGENT)
    assert [isinstance(reading, Answer) and reading.stdout for reading in readings] == [b"2", b"1", b"3"]


async def test_a_node_without_current_answers_is_removed_when_another_is_added() -> None:
    agents, shared = answers()
    await shared.ask([SHARED], AGENT)
    agents.now += AGE_S / 2
    await shared.ask([netns.find("node2")], {"node2": "agent/0"})
    assert set(shared._nodes) == {"node1", "node2"}
    agents.now += AGE_S
    await shared.ask([netns.find("node3")], {"node3": "agent/0"})
    assert set(shared._nodes) == {"node2", "node3"}
