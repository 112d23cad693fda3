"""kopf in this process, against a real API server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from kubernetes.aio.client import ApiClient

from datapath_probe.control import handlers
from datapath_probe.control.schedule.inventory_audit import InventoryAudit
from datapath_probe.kube import client as client_module
from datapath_probe.kube.client import connect, load_configuration
from datapath_probe.kube.writes.probes import Probes
from integration.apiserver import ApiServer
from integration.control.probe import Probe
from integration.kube.cluster import eventually
from unit.control.harness import Harness


@asynccontextmanager
async def watching(served: ApiServer) -> AsyncIterator[Harness]:
    """A registry to which kopf passes the probes."""
    async with connect(await load_configuration(str(served.kubeconfig))) as client:
        harness = Harness()
        task = asyncio.create_task(_watch(harness, client))
        try:
            yield harness
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await harness.status_writer.close(1)


async def _watch(harness: Harness, client: ApiClient) -> None:
    audit = InventoryAudit(Probes(client), harness.registry, ())
    await handlers.watch(handlers.handlers(harness.registry, audit, client), (), lambda: None)


def workers() -> set[str]:
    """kopf's task for each probe, which holds its last object."""
    return {name for task in asyncio.all_tasks() if (name := task.get_name()).startswith("worker for ")}


async def test_kopf_soon_drops_the_object_of_a_probe(served: ApiServer, probe: Probe) -> None:
    async with watching(served) as harness:
        probe.apply()
        await eventually(lambda: len(harness.registry.uids()) == 1)
        await eventually(lambda: not workers(), within_s=3)  # kopf's default is 5 s
        probe.delete()
        await eventually(lambda: len(harness.registry.uids()) == 0)


async def test_kopf_lists_in_pages(monkeypatch: pytest.MonkeyPatch, served: ApiServer, probe: Probe) -> None:
    limits: list[str | None] = []

    def recording(client: ApiClient) -> aiohttp.ClientSession:
        session = client_module.session(client)
        session.trace_configs.append(_records(limits))
        return session

    monkeypatch.setattr(handlers, "session", recording)
    monkeypatch.setattr(handlers, "PAGE_OBJECTS", 2)
    for number in range(5):
        Probe(served, f"{probe.name}-{number}").apply()
    async with watching(served) as harness:
        await eventually(lambda: len(harness.registry.uids()) == 5)
    assert limits == ["2", "2", "2"]


def _records(limits: list[str | None]) -> aiohttp.TraceConfig:
    """Records the limit of each list of probes."""

    async def started(_session: object, _context: object, sent: aiohttp.TraceRequestStartParams) -> None:
        if sent.url.path.endswith("/datapathprobes") and "watch" not in sent.url.query:
            limits.append(sent.url.query.get("limit"))

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(started)
    trace.freeze()
    return trace
