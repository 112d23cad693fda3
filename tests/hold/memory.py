"""Probes and connections in such a number that the operator runs out of memory or CPU."""

import asyncio
import resource
import time
from contextlib import ExitStack

from bench import probe_memory
from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.control.web import metrics_handlers, serving
from datapath_probe.publish.metrics.metrics import Metrics
from hold.attack import Attack, Bar
from unit.control.test_web import half_sent, is_closed
from unit.publish.metrics.test_scrape import Scraped
from unit.publish.samples import NOW, healthy, probe

PROBES = CONNECTIONS = 1_000


def memory_kb() -> float:
    return probe_memory.measured_alone().bytes / 1000


def scrape_ms() -> float:
    """CPU time of the fastest of three scrapes that are not cached."""
    scraped, taken_s = Scraped(), []
    for number in range(PROBES):
        scraped.run(f"probe-{number}", healthy())
    for _ in range(3):
        scraped.clock.now += 3600
        began = time.process_time()
        scraped.metrics.scrape()
        taken_s.append(time.process_time() - began)
    return 1000 * min(taken_s)


def open_connections() -> float:
    """Connections that are open as soon as all have been made. Both ends are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * CONNECTIONS), hard))
    try:
        return asyncio.run(_open_connections())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def _open_connections() -> int:
    metrics = Metrics(lambda: NOW)
    metrics.show(probe(), ProbeStatus())
    with ExitStack() as sockets:
        async with serving("127.0.0.1", 0, metrics_handlers(metrics)) as address:
            clients = [await half_sent(address, sockets) for _ in range(CONNECTIONS)]
            return sum([not await is_closed(client, within_s=0.01) for client in clients])


ATTACKS = (
    Attack("many probes: memory of each after two runs", "231 kB", Bar("kB", at_most=40), memory_kb),
    Attack(
        "a client that scrapes 1,000 probes in a loop: CPU time of a scrape",
        "500 ms",
        Bar("ms", at_most=20),
        scrape_ms,
    ),
    Attack(
        "1,000 connections with a half-sent request: open afterwards",
        "1,000, still after 20 s",
        Bar("connections", at_most=32),
        open_connections,
    ),
)
