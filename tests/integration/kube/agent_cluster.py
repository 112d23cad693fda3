"""A cluster with one agent behind an exec server, for tests of the command channels."""

import asyncio
import os
import time
from pathlib import Path

from datapath_probe.evidence.reading import Answer, Reading
from datapath_probe.kube.exec.agents import ShellAgents
from datapath_probe.kube.exec.connect import ExecClient
from datapath_probe.kube.exec.pool import ChannelPool
from datapath_probe.plan.objects import Agent
from datapath_probe.tools.command import Command
from integration.kube.exec_server import ExecServer

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


def stdouts(readings: list[Reading]) -> list[bytes | str]:
    """The outputs, or the reasons why there are none."""
    return [reading.stdout if isinstance(reading, Answer) else reading.reason for reading in readings]


HI = ("echo", "hi")
