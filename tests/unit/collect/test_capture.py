"""A capture runs from before the request until after it, and leaves no process behind."""

import asyncio
from ipaddress import IPv4Address

import pytest

from datapath_probe.collect.capture import READY_S, capturing
from datapath_probe.collect.interfaces import AgentContainers, ContainerRef
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.sources.capture import pcap

pytestmark = pytest.mark.looptime

FACTS = [pcap.fact(node, [IPv4Address("10.244.1.27")], 20001, 8472, 10) for node in ("node1", "node2")]
TARGETS = {
    node: ContainerRef("kube-system", f"cilium-{node}", "cilium-agent", "1") for node in ("node1", "node2")
}


class Agents:
    """Starts to capture after `delay_s`, then captures until stopped."""

    def __init__(self, delay_s: float = 0.5) -> None:
        self.delay_s = delay_s
        self.listening: set[str] = set()
        self.cancelled: set[str] = set()

    async def attend(
        self,
        target: ContainerRef,
        fact: Fact,
        *,
        started: asyncio.Event,
        stop: asyncio.Event,
        timeout_s: float,
        stdout_limit: int,
    ) -> Reading:
        try:
            await asyncio.sleep(self.delay_s)
            self.listening.add(target.pod)
            started.set()
            await stop.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.1)  # closing takes time
            self.cancelled.add(target.pod)
            raise
        return Answer(0, target.pod.encode(), b"", 0.0, 1.0)


def implements(agents: Agents) -> AgentContainers:
    return agents


async def test_all_captures_start_before_the_request_and_return_after_it() -> None:
    agents = Agents()
    async with capturing(implements(agents), FACTS, TARGETS) as capture:
        assert agents.listening == {"cilium-node1", "cilium-node2"}
        assert list(capture.readings) == []
    assert [reading.stdout for reading in capture.readings if isinstance(reading, Answer)] == [
        *(b"cilium-node1", b"cilium-node2"),
    ]


async def test_a_slow_node_delays_the_request_only_briefly() -> None:
    began = asyncio.get_running_loop().time()
    async with capturing(Agents(delay_s=60), FACTS, TARGETS):
        assert asyncio.get_running_loop().time() - began == pytest.approx(READY_S)


async def test_an_unresponsive_node_delays_the_run_only_briefly() -> None:
    agents = Agents(delay_s=60)
    async with capturing(agents, FACTS, TARGETS) as capture:
        pass
    assert [isinstance(r, Unavailable) and r.reason for r in capture.readings] == ["EvidenceTimeout"] * 2
    assert agents.cancelled == {"cilium-node1", "cilium-node2"}


async def test_a_node_without_an_agent_is_reported_immediately() -> None:
    async with capturing(Agents(), FACTS, {"node1": TARGETS["node1"]}) as capture:
        pass
    _, missing = capture.readings
    assert isinstance(missing, Unavailable)
    assert missing.reason == "AgentNotFound"


async def test_a_canceled_run_ends_its_capture() -> None:
    agents = Agents()

    async def run() -> None:
        async with capturing(agents, FACTS, TARGETS):
            await asyncio.sleep(60)

    task = asyncio.create_task(run())
    await asyncio.sleep(5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert agents.cancelled == {"cilium-node1", "cilium-node2"}
