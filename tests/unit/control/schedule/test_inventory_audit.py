"""Who is forgotten that kopf does not tell us of, and when all are known. Simulated time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from datapath_probe.control.schedule.inventory_audit import InventoryAudit
from datapath_probe.publish.interfaces import ProbeRef, Retry
from unit.control.world import World, body

pytestmark = pytest.mark.looptime


class Lists:
    """What the API server would list."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.trouble = False
        self.asked = 0

    async def list_refs(self) -> frozenset[ProbeRef] | Retry:
        self.asked += 1
        found = frozenset(ProbeRef("default", name, f"uid-{name}") for name in self.names)
        await asyncio.sleep(0.5)
        return Retry("no route") if self.trouble else found


@asynccontextmanager
async def counting(
    lists: Lists, *known: str, namespaces: tuple[str, ...] = ()
) -> AsyncIterator[tuple[World, InventoryAudit]]:
    made = World()
    for name in known:
        made.registry.observe(body(name))
    inventory_audit = InventoryAudit(lists, made.registry, namespaces)
    task = asyncio.create_task(inventory_audit.serve())
    try:
        yield made, inventory_audit
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_vanished_unseen_is_forgotten_within_a_minute() -> None:
    lists = Lists("a", "b")
    async with counting(lists, "a", "b") as (made, _):
        await asyncio.sleep(5)
        lists.names = {"a"}
        await asyncio.sleep(60)
        assert made.registry.uids() == {"uid-a"}
        assert not made.has_series("b")


async def test_a_re_list_is_followed_by_a_count_within_seconds() -> None:
    lists = Lists("a", "b")
    async with counting(lists, "a", "b") as (made, inventory_audit):
        await asyncio.sleep(5)
        lists.names = {"a"}
        for _ in range(1000):
            inventory_audit.relisted()
        await asyncio.sleep(3)
        assert made.registry.uids() == {"uid-a"}
        assert lists.asked == 2


async def test_a_probe_made_during_the_count_is_not_forgotten() -> None:
    lists = Lists("a")
    async with counting(lists, "a") as (made, _):
        await asyncio.sleep(0.2)
        made.registry.observe(body("new"))
        await asyncio.sleep(2)
        assert made.registry.uids() == {"uid-a", "uid-new"}


async def test_no_answer_is_not_an_empty_list() -> None:
    lists = Lists("a")
    lists.trouble = True
    async with counting(lists, "a") as (made, inventory_audit):
        await asyncio.sleep(200)
        assert made.registry.uids() == {"uid-a"}
        assert not inventory_audit.complete


async def test_complete_means_that_everything_that_exists_is_known() -> None:
    lists = Lists("a", "b")
    async with counting(lists, "a") as (made, inventory_audit):
        await asyncio.sleep(2)
        assert not inventory_audit.complete
        made.registry.observe(body("b"))
        await asyncio.sleep(7)
        assert inventory_audit.complete


async def test_what_is_never_taken_up_is_named_at_the_second_count() -> None:
    lists = Lists("a", "b")
    with capture_logs() as logs:
        async with counting(lists, "a", "b") as (_, inventory_audit):
            await asyncio.sleep(2)
            assert inventory_audit.complete
            lists.names |= {"lost"}
            await asyncio.sleep(60)
            assert not inventory_audit.complete
            lists.names |= {"new"}
            assert not logs
            await asyncio.sleep(10)
    assert [(entry["event"], entry["probes"]) for entry in logs[:1]] == [
        ("probes not taken up", ["default/lost"])
    ]


async def test_what_stays_unknown_is_not_counted_every_few_seconds() -> None:
    lists = Lists("lost")
    async with counting(lists):
        await asyncio.sleep(600)
    assert lists.asked < 15


async def test_a_probe_whose_deletion_is_held_up_counts_as_known() -> None:
    lists = Lists("a")
    async with counting(lists) as (made, inventory_audit):
        leaving = body("a")
        leaving["metadata"]["deletionTimestamp"] = "2026-11-23T18:00:00Z"
        made.registry.observe(leaving)
        await asyncio.sleep(2)
        assert inventory_audit.complete
        lists.names = set()
        await asyncio.sleep(60)
        assert made.registry.uids() == frozenset()


async def test_other_namespaces_do_not_count() -> None:
    async with counting(Lists("a"), namespaces=("elsewhere",)) as (_, inventory_audit):
        await asyncio.sleep(2)
        assert inventory_audit.complete
