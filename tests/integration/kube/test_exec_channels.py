"""Commands to an agent over command channels, end to end: real shells behind a server that can misbehave."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.kube.exec import agents as agents_module
from datapath_probe.kube.exec import connect
from datapath_probe.kube.exec.agents import ShellAgents
from datapath_probe.kube.exec.command import Command
from datapath_probe.kube.exec.connect import ExecClient
from datapath_probe.kube.exec.pool import ChannelPool
from datapath_probe.plan.objects import Agent
from integration.kube.exec_server import V4, ExecServer, exec_server

AGENT = Agent("node1", "kube-system", "cilium-x", "cilium-agent", ready=True, incarnation="1")


class Cluster:
    """An exec server, the inventory's view of its only agent, and the component under test."""

    def __init__(self, server: ExecServer) -> None:
        self.server = server
        self.agent: Agent | None = AGENT
        self.client = ExecClient(server.configuration())
        self.pool = ChannelPool(self.client, idle_s=60.0)

    async def ask_by_agent(self, agents: ShellAgents, argv: tuple[str, ...]) -> tuple[Reading, float]:
        """The answer to a command for the agent's process, and its duration in seconds."""
        command = Command("node1", argv, timeout_s=1.0, by_agent=True)
        began = time.monotonic()
        (reading,) = await agents.run("node1", [command])
        return reading, time.monotonic() - began

    async def ask(
        self, *argvs: tuple[str, ...], budget_s: float = 10.0, reply_limit: int = 100_000
    ) -> list[Reading]:
        agents = ShellAgents(self.pool, lambda _: self.agent, budget_s=budget_s, reply_limit=reply_limit)
        return list(await agents.run("node1", [Command("node1", argv) for argv in argvs]))

    async def shells_ended(self) -> None:
        """Wait until all remote shells have exited by themselves."""
        async with asyncio.timeout(20):
            assert {await process.wait() for process in self.server.processes} <= {0}


class Signal:
    """How a command signals that it runs: `send` is the command line for that."""

    def __init__(self, folder: Path) -> None:
        os.mkfifo(folder / "signal")
        self.send = f"echo >{folder}/signal"
        self._pipe = os.open(folder / "signal", os.O_RDWR | os.O_NONBLOCK)

    async def received(self) -> None:
        received = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._pipe, received.set)
        await asyncio.wait_for(received.wait(), 45)
        asyncio.get_running_loop().remove_reader(self._pipe)
        os.close(self._pipe)


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with exec_server() as server:
        cluster = Cluster(server)
        yield cluster
        await cluster.pool.close()
        await cluster.client.close()


def stdouts(readings: list[Reading]) -> list[bytes | str]:
    """The outputs, or the reasons why there are none."""
    return [reading.stdout if isinstance(reading, Answer) else reading.reason for reading in readings]


HI = ("echo", "hi")


async def test_a_batch_is_one_exec_and_each_command_has_its_answer(cluster: Cluster) -> None:
    readings = await cluster.ask(HI, ("sh", "-c", "echo err >&2; exit 254"), ("nothing",), ("printf", "null"))
    assert stdouts(readings) == [b"hi\n", b"", EvidenceError.NO_SUCH_EXECUTABLE, b"null"]
    assert isinstance(readings[1], Answer)
    assert (readings[1].exit_code, readings[1].stderr) == (254, b"err\n")
    assert len(cluster.server.requests) == 1


async def test_the_shell_is_reused_for_the_next_batch(cluster: Cluster) -> None:
    for _ in range(3):
        assert stdouts(await cluster.ask(HI)) == [b"hi\n"]
    assert len(cluster.server.processes) == 1


async def test_without_commands_no_channel_is_opened(cluster: Cluster) -> None:
    assert await cluster.ask() == []
    assert cluster.server.requests == []


async def test_an_agent_has_at_most_two_channels(cluster: Cluster) -> None:
    readings = await asyncio.gather(*(cluster.ask(("echo", str(number))) for number in range(8)))
    assert [stdouts(each) for each in readings] == [[f"{number}\n".encode()] for number in range(8)]
    assert len(cluster.server.processes) == 2


async def test_v4_is_sufficient(cluster: Cluster) -> None:
    cluster.server.protocols = (V4,)
    assert stdouts(await cluster.ask(HI)) == [b"hi\n"]
    await cluster.pool.close()
    await cluster.shells_ended()


async def test_any_frame_size_is_accepted(cluster: Cluster) -> None:
    cluster.server.frame_size = 7
    assert stdouts(await cluster.ask(("printf", "→ ✓ é"), HI)) == ["→ ✓ é".encode(), b"hi\n"]


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


async def test_a_canceled_request_does_not_affect_the_next(cluster: Cluster) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(cluster.ask(("sh", "-c", "sleep 0.5; echo old")), 0.3)
    await cluster.shells_ended()
    assert stdouts(await cluster.ask(("echo", "new"))) == [b"new\n"]


async def test_huge_output_is_truncated_and_the_others_are_answered(cluster: Cluster) -> None:
    readings = await cluster.ask(
        HI, ("head", "-c", "50000000", "/dev/zero"), ("head", "-c", "90000", "/dev/zero"), HI
    )
    assert stdouts(readings) == [b"hi\n", EvidenceError.TRUNCATED, bytes(90_000), b"hi\n"]


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (403, 'pods "cilium-x" is forbidden', EvidenceError.EXEC_FORBIDDEN),
        (404, 'pods "cilium-x" not found', EvidenceError.POD_NOT_FOUND),
        (500, "error dialing backend: EOF", EvidenceError.EXEC_FAILED),
    ],
)
async def test_a_refusal_is_the_result_of_each_command_and_is_not_retried_immediately(
    cluster: Cluster, status: int, message: str, expected: str
) -> None:
    cluster.server.refusal = (status, message)
    assert stdouts(await cluster.ask(HI, HI)) == [expected] * 2
    assert stdouts(await cluster.ask(HI)) == [expected]
    assert len(cluster.server.requests) == 1


async def test_a_container_without_a_shell_is_no_such_executable(cluster: Cluster) -> None:
    message = 'OCI runtime exec failed: exec failed: exec: "sh": executable file not found in $PATH: unknown'
    cluster.server.failure = {"status": "Failure", "reason": "InternalError", "message": message, "code": 500}
    assert stdouts(await cluster.ask(HI)) == [EvidenceError.NO_SUCH_EXECUTABLE]


async def test_a_missing_agent_and_an_agent_that_is_not_ready_have_reasons(cluster: Cluster) -> None:
    cluster.agent = None
    assert stdouts(await cluster.ask(HI)) == [EvidenceError.AGENT_NOT_FOUND]
    cluster.agent = replace(AGENT, ready=False)
    assert stdouts(await cluster.ask(HI)) == [EvidenceError.AGENT_NOT_READY]
    assert cluster.server.requests == []


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
from datapath_probe.kube.exec.command import Command
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


async def test_an_unresponsive_agent_is_not_asked_for_a_while(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents_module, "_REST_S", 60.0)
    agents = ShellAgents(cluster.pool, lambda _: cluster.agent)
    silent, _ = await cluster.ask_by_agent(agents, ("sleep", "60"))
    refused, refused_s = await cluster.ask_by_agent(agents, HI)
    assert isinstance(silent, Unavailable)
    assert isinstance(refused, Unavailable)
    assert silent.reason == EvidenceError.AGENT_NOT_RESPONDING
    assert refused.message == silent.message
    assert refused_s < 1.0
    assert isinstance((await agents.run("node1", [Command("node1", HI)]))[0], Answer), "its tools work"
    cluster.agent = replace(AGENT, incarnation="2")
    assert isinstance((await cluster.ask_by_agent(agents, HI))[0], Answer), "it was restarted"
