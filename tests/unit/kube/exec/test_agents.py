"""When commands to one agent start, over fake channels, in simulated time."""

import asyncio
from collections.abc import Sequence

import pytest

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.kube.exec.agents import LARGE_REPLY_LIMIT, REPLY_LIMIT, ShellAgents
from datapath_probe.kube.exec.failure import ExecError
from datapath_probe.kube.exec.framing import Batch, Cut, Reply, Result
from datapath_probe.kube.exec.pool import ChannelPool
from datapath_probe.plan.objects import Agent
from datapath_probe.sources.netfilter import iptables, nftables
from datapath_probe.tools.command import Command
from datapath_probe.tools.commands import command_of

pytestmark = pytest.mark.looptime

WINDOW_S = 4


def listening(*words: str) -> Command:
    return Command("node1", ("cilium-dbg", "monitor", *words), timeout_s=WINDOW_S + 2.0, repeatable=False)


DROPS, TRACES = listening("-t", "drop"), listening("-t", "trace")
LOOK_UP = Command("node1", ("ip", "route"))


class Channel:
    """A shell that runs the commands of a batch in sequence: event listeners take the window, others 10 ms."""

    lost: ExecError | None = None

    def __init__(self, started_s: dict[Command, list[float]], limits: dict[Command, int]) -> None:
        self._started_s = started_s
        self._limits = limits

    async def run(self, batch: Batch) -> Reply:
        now = asyncio.get_running_loop().time
        ends_s, results = now() + batch.limit_s, list[Result]()
        for command in batch.commands:
            self._limits[command] = batch.reply_limit
            self._started_s.setdefault(command, []).append(now())
            takes_s = 0.01 if command.repeatable else WINDOW_S
            if now() + takes_s > ends_s:
                ran_s = ends_s - now()
                await asyncio.sleep(ran_s)
                return Reply(tuple(results), Cut(EvidenceError.TIMEOUT, "killed", ran_s))
            await asyncio.sleep(takes_s)
            results.append(Result(0, b"", b"", takes_s, takes_s))
        return Reply(tuple(results), None)

    def hang_up(self) -> None:
        """No resources to release."""


class Pool(ChannelPool):
    """Opens fake channels."""

    def __init__(self) -> None:
        super().__init__(client=None)  # type: ignore[arg-type]
        self.started_s: dict[Command, list[float]] = {}
        self.limits: dict[Command, int] = {}

    async def _open_channel(self, agent: Agent) -> Channel:  # type: ignore[override]
        return Channel(self.started_s, self.limits)


async def ask(pool: Pool, commands: Sequence[Command]) -> Sequence[Reading]:
    agent = Agent("node1", "kube-system", "cilium-a", "cilium-agent", ready=True, incarnation="1")
    return await ShellAgents(pool, lambda _: agent).run("node1", commands)


async def test_event_listeners_start_immediately_and_once() -> None:
    pool = Pool()
    readings = await ask(pool, (DROPS, LOOK_UP, TRACES))
    assert pool.started_s == {DROPS: [0.0], TRACES: [0.0], LOOK_UP: [0.0]}
    assert all(isinstance(reading, Answer) for reading in readings)
    assert asyncio.get_running_loop().time() == pytest.approx(WINDOW_S)


async def test_event_listeners_do_not_delay_other_commands() -> None:
    pool = Pool()
    listening = asyncio.create_task(ask(pool, (DROPS, TRACES)))
    await asyncio.sleep(1)
    await ask(pool, (LOOK_UP,))
    assert pool.started_s[LOOK_UP] == [1.0]
    await listening


async def test_a_listener_does_not_wait_for_a_window_that_will_have_ended() -> None:
    pool = Pool()
    many = [listening("--related-to", str(endpoint)) for endpoint in range(6)]
    readings = await ask(pool, (*many, LOOK_UP))
    refused = [reading for reading in readings if isinstance(reading, Unavailable)]
    assert {reading.reason for reading in refused} == {EvidenceError.NOT_COLLECTED}
    assert len(refused) == 2
    assert asyncio.get_running_loop().time() == pytest.approx(WINDOW_S)


async def test_only_packet_filters_may_be_large_and_they_take_no_room_from_others() -> None:
    pool = Pool()
    rules = [command_of(fact) for fact in (iptables.fact("node1"), nftables.fact("node1"))]
    assert len(await ask(pool, [LOOK_UP, *rules])) == 3
    assert pool.limits == {LOOK_UP: REPLY_LIMIT} | dict.fromkeys(rules, LARGE_REPLY_LIMIT)
    assert REPLY_LIMIT < LARGE_REPLY_LIMIT
