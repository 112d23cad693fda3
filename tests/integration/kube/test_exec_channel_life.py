"""When command channels are opened, replaced and closed: lost connections, restarts, shutdown."""

import asyncio
import os
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.kube.exec import connect
from datapath_probe.kube.exec.pool import ChannelPool
from integration.kube.agent_cluster import AGENT, HI, Cluster, Signal, stdouts


async def test_a_batch_whose_channel_is_lost_is_run_again_on_a_new_one(
    cluster: Cluster, tmp_path: Path
) -> None:
    signal = Signal(tmp_path)
    first_time = f"mkdir {tmp_path}/seen && {signal.send} && exec sleep 0.3"
    asking = asyncio.create_task(cluster.ask(("sh", "-c", f"{first_time}; echo hi")))
    await signal.received()
    await cluster.server.restart()
    assert stdouts(await asking) == [b"hi\n"]


async def test_a_batch_whose_channel_is_lost_twice_fails(cluster: Cluster) -> None:
    await cluster.ask(HI)
    cluster.server.cut_after = 50
    assert stdouts(await cluster.ask(HI)) == [EvidenceError.CHANNEL_LOST]
    assert len(cluster.server.requests) == 2


async def test_an_idle_connection_without_pong_is_replaced(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "_PING_EVERY_S", 0.5)
    cluster.server.answers_pings = False
    await cluster.ask(HI)
    await cluster.shells_ended()
    monkeypatch.undo()
    cluster.server.answers_pings = True
    assert stdouts(await cluster.ask(HI)) == [b"hi\n"]


async def test_channels_closed_by_the_server_are_replaced(cluster: Cluster) -> None:
    await asyncio.gather(cluster.ask(HI), cluster.ask(HI))
    await cluster.server.restart()
    readings = await asyncio.gather(cluster.ask(HI), cluster.ask(HI))
    assert [stdouts(each) for each in readings] == [[b"hi\n"], [b"hi\n"]]
    await cluster.pool.close()
    await cluster.shells_ended()


async def test_all_channels_in_use_are_closed_concurrently(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = aiohttp.ClientWebSocketResponse.close

    async def slow_close(websocket: aiohttp.ClientWebSocketResponse) -> bool:
        await asyncio.sleep(0.5)
        return await close(websocket)

    agents = [replace(AGENT, node=f"node{number}") for number in range(5)]
    async with AsyncExitStack() as on_loan:
        for agent in agents:
            await on_loan.enter_async_context(cluster.pool.acquire(agent))
        monkeypatch.setattr(aiohttp.ClientWebSocketResponse, "close", slow_close)
        began = time.monotonic()
        await cluster.pool.close()
        assert time.monotonic() - began < 2


async def test_an_unresponsive_server_is_a_timeout_and_the_next_request_gets_a_new_channel(
    cluster: Cluster,
) -> None:
    await cluster.ask(HI)
    cluster.server.is_mute = True
    assert stdouts(await cluster.ask(HI, HI, budget_s=0.3)) == [EvidenceError.AGENT_NOT_RESPONDING] * 2
    cluster.server.is_mute = False
    assert stdouts(await cluster.ask(("echo", "new"))) == [b"new\n"]


async def test_a_restarted_agent_gets_a_new_channel(cluster: Cluster) -> None:
    await cluster.ask(HI)
    cluster.agent = replace(AGENT, incarnation="2")
    assert stdouts(await cluster.ask(HI)) == [b"hi\n"]
    old, new = cluster.server.processes
    assert await asyncio.wait_for(old.wait(), 20) == 0
    assert new.returncode is None


async def test_an_unused_channel_is_closed(cluster: Cluster) -> None:
    cluster.pool = ChannelPool(cluster.client, idle_s=0.01)
    await cluster.ask(HI)
    await cluster.shells_ended()
    assert stdouts(await cluster.ask(HI)) == [b"hi\n"]


async def test_a_closed_pool_ends_its_shells_and_opens_no_others(cluster: Cluster, tmp_path: Path) -> None:
    signal = Signal(tmp_path)
    asking = asyncio.create_task(cluster.ask(("sh", "-c", f"{signal.send}; sleep 0.3")))
    await signal.received()
    await cluster.ask(HI)
    await cluster.pool.close()
    assert stdouts(await asking) == [EvidenceError.CHANNEL_LOST]
    assert stdouts(await cluster.ask(HI)) == [EvidenceError.CHANNEL_LOST]
    await cluster.shells_ended()


OPERATOR = """
import asyncio, sys
from kubernetes.aio.client import Configuration
from datapath_probe.tools.command import Command
from datapath_probe.kube.exec import agents as agents_module
from datapath_probe.kube.exec import connect
from datapath_probe.kube.exec.agents import ShellAgents
from datapath_probe.kube.exec.connect import ExecClient
from datapath_probe.kube.exec.pool import ChannelPool
from datapath_probe.plan.objects import Agent

async def main():
    agent = Agent("node1", "kube-system", "cilium-x", "cilium-agent", True, "1")
    agents = ShellAgents(ChannelPool(ExecClient(Configuration(host=sys.argv[1]))), lambda node: agent)
    await asyncio.gather(*(agents.run("node1", [Command("node1", ("true",))]) for _ in range(2)))
    await agents.run("node1", [Command("node1", ("sh", "-c", sys.argv[2]))])

asyncio.run(main())
"""


async def test_no_shell_outlives_a_killed_operator(cluster: Cluster, tmp_path: Path) -> None:
    signal = Signal(tmp_path)
    operator = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", OPERATOR, cluster.server.configuration().host, f"{signal.send}; sleep 0.3"),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    await signal.received()
    operator.kill()
    await operator.wait()
    assert len(cluster.server.processes) == 2  # one is idle, one runs a command
    await cluster.shells_ended()
