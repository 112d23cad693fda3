"""When a channel to an agent is opened, reused, checked and closed, in simulated time."""

import asyncio

import pytest

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.kube.exec.failure import ExecError, channel_lost
from datapath_probe.kube.exec.shell_pool import AgentChannels

pytestmark = pytest.mark.looptime


class Channel:
    """The part of ShellChannel that AgentChannels uses."""

    def __init__(self) -> None:
        self.lost: ExecError | None = None
        self.is_dead = False
        self.checks = 0

    async def check(self) -> None:
        self.checks += 1
        if self.is_dead:
            self.hang_up()
            raise channel_lost("dead")

    def hang_up(self) -> None:
        self.lost = self.lost or channel_lost("hung up")


class Agent:
    """Opens channels, or fails to."""

    def __init__(self) -> None:
        self.channels: list[Channel] = []
        self.attempts_s: list[float] = []
        self.refusal: ExecError | None = None

    async def open(self) -> Channel:
        self.attempts_s.append(asyncio.get_running_loop().time())
        if self.refusal:
            raise self.refusal
        self.channels.append(Channel())
        return self.channels[-1]


@pytest.fixture
def agent() -> Agent:
    return Agent()


@pytest.fixture
def channels(agent: Agent) -> AgentChannels:
    return AgentChannels(agent.open, limit=2, listeners=1, idle_s=100.0)  # type: ignore[arg-type]


async def use(channels: AgentChannels, for_s: float = 0.0) -> None:
    async with channels.turns:
        channel = await channels.take()
        await asyncio.sleep(for_s)
        channels.put_back(channel)


async def test_users_over_the_limit_wait(agent: Agent, channels: AgentChannels) -> None:
    await asyncio.gather(*(use(channels, for_s=1.0) for _ in range(3)))
    assert len(agent.channels) == 2
    assert asyncio.get_running_loop().time() == pytest.approx(2.0)


async def test_a_lost_channel_is_not_reused(agent: Agent, channels: AgentChannels) -> None:
    await use(channels)
    agent.channels[0].hang_up()
    await use(channels)
    assert len(agent.channels) == 2


async def test_a_channel_is_checked_only_after_a_long_idle_time(
    agent: Agent, channels: AgentChannels
) -> None:
    for rest_s, checks in (1.0, 0), (31.0, 1), (1.0, 1):
        await use(channels)
        await asyncio.sleep(rest_s)
        await use(channels)
        assert [channel.checks for channel in agent.channels] == [checks]


async def test_a_channel_that_died_while_idle_is_replaced(agent: Agent, channels: AgentChannels) -> None:
    await use(channels)
    agent.channels[0].is_dead = True
    await asyncio.sleep(31.0)
    await use(channels)
    assert [channel.lost is None for channel in agent.channels] == [False, True]


async def test_a_channel_is_closed_after_its_idle_time(agent: Agent, channels: AgentChannels) -> None:
    await use(channels)
    await asyncio.sleep(99.0)
    assert agent.channels[0].lost is None
    await use(channels)  # restarts the idle time
    await asyncio.sleep(99.0)
    assert agent.channels[0].lost is None
    assert not channels.is_unused
    await asyncio.sleep(2.0)
    assert agent.channels[0].lost
    assert channels.is_unused


async def test_delays_after_failures_grow_up_to_the_maximum(agent: Agent, channels: AgentChannels) -> None:
    agent.refusal = ExecError(EvidenceError.EXEC_FAILED, "not now")
    for _ in range(600):
        with pytest.raises(ExecError, match="not now"):
            await use(channels)
        await asyncio.sleep(0.1)
    waits_s = [later - sooner for sooner, later in zip(agent.attempts_s, agent.attempts_s[1:], strict=False)]
    assert waits_s == sorted(waits_s)
    assert waits_s[:5] == pytest.approx([0.5, 1, 2, 4, 8], abs=0.11)
    assert waits_s[-1] == pytest.approx(10, abs=0.11)
    assert channels.is_unused


async def test_a_success_resets_the_backoff(agent: Agent, channels: AgentChannels) -> None:
    agent.refusal = ExecError(EvidenceError.EXEC_FAILED, "not now")
    with pytest.raises(ExecError):
        await use(channels)
    agent.refusal = None
    await asyncio.sleep(0.6)
    await use(channels)
    agent.channels[0].hang_up()
    await use(channels)
    assert len(agent.channels) == 2


async def test_retired_channels_are_closed_immediately_or_on_return(
    agent: Agent, channels: AgentChannels
) -> None:
    using = asyncio.create_task(use(channels, for_s=5.0))
    await asyncio.sleep(0)
    await use(channels)
    in_use, idle = agent.channels
    channels.retire()
    assert (in_use.lost is None, idle.lost is None) == (True, False)
    await using
    assert in_use.lost
    assert channels.is_unused
