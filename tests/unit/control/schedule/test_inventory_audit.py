"""Which probes are forgotten without an event from kopf, and when all are registered. Simulated time."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from datapath_probe.control.schedule.inventory_audit import InventoryAudit
from datapath_probe.publish.interfaces import Gone, ProbeRef, Retry
from unit.control.harness import Harness, body

pytestmark = pytest.mark.looptime


class Lists:
    """The probes that the API server lists."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.failing = False
        self.requests = self.reads = 0
        self.unreadable: dict[str, Mapping[str, object] | Gone | Retry] = {}

    async def list_refs(self) -> frozenset[ProbeRef] | Retry:
        self.requests += 1
        found = frozenset(ProbeRef("default", name, f"uid-{name}") for name in self.names)
        await asyncio.sleep(0.5)
        return Retry("no route") if self.failing else found

    async def read(self, namespace: str, name: str) -> Mapping[str, object] | Gone | Retry:
        self.reads += 1
        if name in self.unreadable:
            return self.unreadable[name]
        return body(name)


@asynccontextmanager
async def auditing(
    lists: Lists, *known: str, namespaces: tuple[str, ...] = ()
) -> AsyncIterator[tuple[Harness, InventoryAudit]]:
    harness = Harness()
    for name in known:
        harness.registry.observe(body(name))
    inventory_audit = InventoryAudit(lists, harness.registry, namespaces)
    task = asyncio.create_task(inventory_audit.serve())
    try:
        yield harness, inventory_audit
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def serving(harness: Harness) -> AsyncIterator[None]:
    """Runs the probes."""
    task = asyncio.create_task(harness.scheduler.serve(harness.run_executor))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_deletion_without_an_event_is_detected_within_a_minute() -> None:
    lists = Lists("a", "b")
    async with auditing(lists, "a", "b") as (harness, _):
        await asyncio.sleep(5)
        lists.names = {"a"}
        await asyncio.sleep(60)
        assert harness.registry.uids() == {"uid-a"}
        assert not harness.has_series("b")


async def test_a_relist_triggers_an_audit_within_seconds() -> None:
    lists = Lists("a", "b")
    async with auditing(lists, "a", "b") as (harness, inventory_audit):
        await asyncio.sleep(5)
        lists.names = {"a"}
        for _ in range(1000):
            inventory_audit.relisted()
        await asyncio.sleep(3)
        assert harness.registry.uids() == {"uid-a"}
        assert lists.requests == 2


async def test_a_probe_created_during_the_audit_is_not_forgotten() -> None:
    lists = Lists("a")
    async with auditing(lists, "a") as (harness, _):
        await asyncio.sleep(0.2)
        harness.registry.observe(body("new"))
        await asyncio.sleep(2)
        assert harness.registry.uids() == {"uid-a", "uid-new"}


async def test_a_failed_list_is_not_an_empty_list() -> None:
    lists = Lists("a")
    lists.failing = True
    async with auditing(lists, "a") as (harness, inventory_audit):
        await asyncio.sleep(200)
        assert harness.registry.uids() == {"uid-a"}
        assert not inventory_audit.complete


async def test_complete_means_that_every_existing_probe_is_registered() -> None:
    lists = Lists("a", "b")
    async with auditing(lists, "a") as (harness, inventory_audit):
        await asyncio.sleep(2)
        assert not inventory_audit.complete
        harness.registry.observe(body("b"))
        await asyncio.sleep(7)
        assert inventory_audit.complete


async def test_a_probe_that_the_watch_missed_is_registered_and_runs() -> None:
    lists = Lists("a", "missed")
    async with auditing(lists, "a") as (harness, inventory_audit), serving(harness):
        await asyncio.sleep(2)
        assert not inventory_audit.complete
        assert lists.reads == 0, "kopf may still send it"
        await asyncio.sleep(12)
        assert inventory_audit.complete
        assert harness.registry.uids() == {"uid-a", "uid-missed"}
        assert {probe.meta.name for _, probe in harness.runs} == {"a", "missed"}


@pytest.mark.parametrize("found", [Retry("no route"), Gone(), {"metadata": {}}])
async def test_a_probe_that_cannot_be_registered_is_logged_and_does_not_shorten_the_interval(
    found: Mapping[str, object] | Gone | Retry,
) -> None:
    lists = Lists("lost", "missed")
    lists.unreadable["lost"] = found
    with capture_logs() as logs:
        async with auditing(lists) as (harness, inventory_audit):
            await asyncio.sleep(600)
            assert harness.registry.uids() == {"uid-missed"}
            assert not inventory_audit.complete
            lists.unreadable.clear()
            await asyncio.sleep(60)
            assert inventory_audit.complete
    assert lists.requests < 15
    assert ("probe not registered", "default/lost") in {(line["event"], line.get("probe")) for line in logs}


async def test_a_terminating_probe_counts_as_registered() -> None:
    lists = Lists("a")
    async with auditing(lists) as (harness, inventory_audit):
        terminating = body("a")
        terminating["metadata"]["deletionTimestamp"] = "2026-11-23T18:00:00Z"
        harness.registry.observe(terminating)
        await asyncio.sleep(2)
        assert inventory_audit.complete
        lists.names = set()
        await asyncio.sleep(60)
        assert harness.registry.uids() == frozenset()


async def test_other_namespaces_are_ignored() -> None:
    async with auditing(Lists("a"), namespaces=("elsewhere",)) as (_, inventory_audit):
        await asyncio.sleep(2)
        assert inventory_audit.complete
