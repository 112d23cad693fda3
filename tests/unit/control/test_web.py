"""The operator's web server."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Gauge, Metric
from prometheus_client.registry import Collector

from datapath_probe.control.web import PortError, serving


class Server:
    """A server with controllable health checks."""

    def __init__(self) -> None:
        self.unhealthy: dict[str, str] = {}
        self.unready: dict[str, str] = {}
        self.address = ""

    async def get(self, path: str, accept: str = "*/*") -> tuple[int, str, str]:
        """Status, content type and body."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{self.address}{path}", headers={"Accept": accept}) as response,
        ):
            return response.status, response.headers["Content-Type"], await response.text()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    registry = CollectorRegistry()
    Gauge("answer", "To everything.", registry=registry).set(42)
    async with serving(
        "127.0.0.1", 0, registry, lambda: made.unhealthy, lambda: made.unready
    ) as made.address:
        yield made


async def test_metrics_are_served_in_the_accepted_format(server: Server) -> None:
    status, kind, text = await server.get("/metrics")
    assert (status, kind.split(";")[0]) == (200, "text/plain")
    assert "answer 42.0" in text
    status, kind, text = await server.get("/metrics", "application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")


async def test_a_slow_scrape_does_not_block_other_requests() -> None:
    class Slow(Collector):
        """A scrape that ends only after another response."""

        held = True

        def collect(self) -> Iterator[Metric]:
            self.held = not served.wait(timeout=10)
            yield from ()

    served, registry, slow = threading.Event(), CollectorRegistry(), Slow()
    registry.register(slow)
    slow.held = True
    server = Server()
    async with serving("127.0.0.1", 0, registry, dict, dict) as server.address:
        scrape = asyncio.create_task(server.get("/metrics"))
        await asyncio.sleep(0.1)
        assert (await server.get("/healthz"))[0] == 200
        served.set()
        assert (await scrape)[0] == 200
    assert not slow.held


async def test_health_and_readiness_list_the_problems(server: Server) -> None:
    assert (await server.get("/healthz"))[0] == 200
    assert (await server.get("/readyz"))[0] == 200
    server.unhealthy = {"scheduler": "no heartbeat for 42 s"}
    server.unready = {"pods": "not listed yet", "nodes": "forbidden"}
    assert (await server.get("/healthz"))[::2] == (503, "scheduler: no heartbeat for 42 s\n")
    assert (await server.get("/readyz"))[::2] == (503, "pods: not listed yet\nnodes: forbidden\n")


async def test_a_port_in_use_is_reported_in_one_line(server: Server) -> None:
    port = int(server.address.rpartition(":")[2])
    with pytest.raises(PortError, match=f"cannot listen on port {port}: .*in use"):
        async with serving("127.0.0.1", port, CollectorRegistry(), dict, dict):
            pass
