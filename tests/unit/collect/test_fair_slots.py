"""Slots are shared fairly, none is lost, and no party starves. Simulated time."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.collect.fair_slots import PATIENCE_S, SHARE, FairSlots, FairSlotsByKey, Slot

pytestmark = pytest.mark.looptime(noop_cycles=2)


class Work:
    """Work that holds a slot until it is ended. `granted`: the parties in the order of their slots."""

    def __init__(self, limit: int) -> None:
        self.slots = FairSlots(limit)
        self.granted: list[str] = []
        self.running: list[tuple[str, asyncio.Event]] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self, party: str, *, begun: bool = False) -> asyncio.Task[None]:
        task = asyncio.create_task(self._hold(party, begun))
        self.tasks.append(task)
        await settled()
        return task

    async def end(self, party: str) -> bool:
        """End the oldest work of this party. False if it has none."""
        ends = next((ends for name, ends in self.running if name == party), None)
        if ends:
            ends.set()
            await settled()
        return ends is not None

    def held(self, party: str) -> int:
        return sum(name == party for name, _ in self.running)

    async def _hold(self, party: str, begun: bool) -> None:
        async with self.slots.slot(party, begun=begun):
            ends = asyncio.Event()
            self.granted.append(party)
            self.running.append((party, ends))
            try:
                await ends.wait()
            finally:
                self.running.remove((party, ends))


async def settled() -> None:
    """All tasks have done what they can."""
    for _ in range(4):
        await asyncio.sleep(0)


async def test_a_party_alone_leaves_a_part_free_for_others() -> None:
    work = Work(16)
    for _ in range(30):
        await work.start("attacker")
    assert work.held("attacker") == 12
    for _ in range(30):
        await work.start("victim")
    assert work.held("victim") == 3
    assert work.held("attacker") == 12


async def test_waiting_parties_take_turns_whatever_the_number_of_their_requests() -> None:
    work = Work(1)
    await work.start("running")
    for _ in range(50):
        await work.start("many")
    for _ in range(2):
        await work.start("few")
    for party in ("running", "many", "few", "many", "few"):
        assert await work.end(party)
    assert work.granted[1:] == ["many", "few", "many", "few", "many"]


async def test_a_newcomer_does_not_wait_for_two_turns_of_the_party_that_was_just_served() -> None:
    work = Work(1)
    for party in ("busy", "busy", "busy", "other", "other", "newcomer"):
        await work.start(party)
    for party in ("busy", "other", "newcomer", "busy", "other"):
        assert work.granted[-1] == party
        await work.end(party)
    assert work.granted == ["busy", "other", "newcomer", "busy", "other", "busy"]


async def test_work_that_has_begun_goes_before_new_work_of_the_same_party_only() -> None:
    work = Work(1)
    await work.start("a")
    for begun in (False, False, True, True):
        await work.start("a", begun=begun)
    await work.start("b")
    order = []
    while work.running:
        order.append(work.tasks.index(next(task for task in work.tasks if not task.done())))
        await work.end(work.running[0][0])
    assert work.granted == ["a", "b", "a", "a", "a", "a"]
    assert [task.done() for task in work.tasks] == [True] * 6
    assert order[0] == 0


async def test_begun_work_is_served_in_order_before_new_work() -> None:
    slots, order = FairSlots(1), []

    async def take(name: str, begun: bool) -> None:
        async with slots.slot("a", begun=begun):
            order.append(name)
            await asyncio.sleep(1)

    tasks = [
        asyncio.create_task(take(name, begun))
        for name, begun in (("first", False), ("new", False), ("begun 1", True), ("begun 2", True))
    ]
    await asyncio.gather(*tasks)
    assert order == ["first", "begun 1", "begun 2", "new"]


async def test_a_canceled_waiter_leaves_nothing_behind() -> None:
    work = Work(1)
    await work.start("a")
    waiting = await work.start("b")
    waiting.cancel()
    await settled()
    await work.end("a")
    assert work.slots.is_unused


async def test_a_waiter_that_is_canceled_when_it_is_granted_returns_the_slot() -> None:
    work = Work(1)
    await work.start("a")
    waiting = await work.start("b")
    work.running[0][1].set()
    while work.slots._waiting:  # noqa: ASYNC110  # granted, but its task has not run yet
        await asyncio.sleep(0)
    waiting.cancel()
    await settled()
    assert work.granted == ["a"]
    assert work.slots.is_unused


async def test_a_released_slot_is_used_by_others_and_acquired_again() -> None:
    slots, log = FairSlots(1), []

    async def waits() -> None:
        async with slots.slot("a") as slot:
            async with slot.released():
                await asyncio.sleep(10)
            log.append(("a", asyncio.get_running_loop().time()))

    async def works() -> None:
        async with slots.slot("b"):
            log.append(("b", asyncio.get_running_loop().time()))
            await asyncio.sleep(12)

    await asyncio.gather(waits(), works())
    assert log == [("b", 0), ("a", 12)]
    assert slots.is_unused


async def test_an_exception_during_a_released_wait_loses_no_slot() -> None:
    slots = FairSlots(1)
    with contextlib.suppress(ZeroDivisionError):
        async with slots.slot("a") as slot, slot.released():
            raise ZeroDivisionError
    assert slots.is_unused


@pytest.mark.parametrize(("takes_s", "free_at"), [(PATIENCE_S / 2, None), (60.0, PATIENCE_S)])
async def test_a_slot_is_held_for_quick_answers_only(takes_s: float, free_at: float | None) -> None:
    slots = FairSlots(1)
    loop = asyncio.get_running_loop()

    async def asks(slot: Slot) -> None:
        await slot.wait({asyncio.create_task(asyncio.sleep(takes_s))}, timeout_s=30)

    async def other() -> float:
        async with slots.slot("b"):
            return loop.time()

    async with slots.slot("a") as slot:
        waiting = asyncio.create_task(other())
        await asks(slot)
        assert loop.time() == pytest.approx(min(takes_s, 30))
        assert (waiting.result() if waiting.done() else None) == free_at
    await waiting


async def test_keys_have_slots_of_their_own_and_unused_ones_are_dropped() -> None:
    nodes = FairSlotsByKey(1)

    async def hold(node: str) -> float:
        async with nodes.slot(node, "default"):
            await asyncio.sleep(1)
            return asyncio.get_running_loop().time()

    ends = await asyncio.gather(hold("node1"), hold("node1"), hold("node2"))
    assert list(ends) == [1.0, 2.0, 1.0]
    assert not nodes._by_key


async def test_a_waiter_that_is_canceled_while_the_holder_leaves_takes_no_slot_of_others() -> None:
    nodes = FairSlotsByKey(1)
    holding: list[str] = []

    async def hold(name: str) -> None:
        async with nodes.slot("node1", "default"):
            holding.append(name)
            await asyncio.sleep(1)

    both = [asyncio.create_task(hold(name)) for name in ("holder", "waiter")]
    await settled()
    for task in both:
        task.cancel()
    assert all(
        isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*both, return_exceptions=True)
    )
    await asyncio.gather(hold("next"), hold("last"))
    assert holding == ["holder", "next", "last"]
    assert not nodes._by_key


PARTIES = "abcdef"
KINDS = ["start", "begun", "end", "cancel", "cancel while one ends"]
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(PARTIES)), max_size=80)


async def take_steps(limit: int, steps: list[tuple[str, str]]) -> None:
    work = Work(limit)
    for step, party in steps:
        if step == "end":
            await work.end(party)
        elif step.startswith("cancel"):
            waiting = [task for task in work.tasks if not task.done()]
            if work.running and step != "cancel":
                work.running[0][1].set()
            if waiting:
                waiting[len(work.granted) % len(waiting)].cancel()
            await settled()
        else:
            await work.start(party, begun=step == "begun")
        used, waits = len(work.running), list(work.slots._waiting)
        assert used <= limit
        assert all(work.held(name) >= SHARE * (limit - used) for name in waits), "a slot is idle"
    await no_party_starves(work)
    assert work.slots.is_unused


async def no_party_starves(work: Work) -> None:
    """As work ends, a waiting party that holds nothing is served within one turn of each other party."""
    since = dict.fromkeys(work.slots._waiting, 0)
    while work.running:
        holders = [party for party, _ in work.running]
        before = len(work.granted)
        await work.end(holders[0])
        for granted in work.granted[before:]:
            for party in since:
                since[party] += 1
            since.pop(granted, None)
        idle = {party: count for party, count in since.items() if not work.held(party)}
        assert all(count <= len(PARTIES) for count in idle.values())
    assert not work.slots._waiting


@given(limit=st.integers(1, 8), steps=STEPS)
def test_no_slot_is_lost_and_no_party_starves(limit: int, steps: list[tuple[str, str]]) -> None:
    asyncio.run(take_steps(limit, steps))
