"""However a node agent ends, nothing of it runs on; however it hangs, a call ends."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.nodes.certificates.authority import new_authority
from datapath_probe.nodes.client.node_agents import NodeAgents
from e2e.waiting import until
from integration.nodes.program import NODE, Program, children, connected, issued, running

CA = new_authority(datetime.now(UTC))
UPTIME = Fact.of(FactKind.UPTIME, NODE)
SLOW = Fact.of(FactKind.CGROUP_PROGRAMS, NODE, root="/proc", pod="no-such-pod")
"""Takes seconds: `find` looks at every thread of the machine."""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    with running(tmp_path, CA) as program:
        yield program


async def gone(pid: int) -> None:
    """Wait until this process has ended."""
    await asyncio.to_thread(until, f"process {pid} ends", lambda: _state(pid) == "Z", 5.0)


def _state(pid: int) -> str:
    with suppress(OSError):
        return Path("/proc", str(pid), "stat").read_text().rpartition(") ")[2][0]
    return "Z"


async def busy(program: Program) -> tuple[asyncio.Task[Sequence[Reading]], int]:
    """A call in progress, and the process that works on it."""
    await program.wait_ready()

    async def ask() -> Sequence[Reading]:
        async with connected(issued(CA)) as connections:
            return await NodeAgents(connections, lambda _: program.address).ask(NODE, [SLOW])

    asking = asyncio.create_task(ask())
    working = partial(children, program.launcher)
    await asyncio.to_thread(until, "a command runs", working, 5.0)
    return asking, working()[0]


@pytest.mark.parametrize("who", ["agent", "launcher"])
async def test_a_killed_agent_leaves_nothing_behind(program: Program, who: str) -> None:
    asking, working = await busy(program)
    launcher = program.launcher
    os.kill(program.process.pid if who == "agent" else launcher, signal.SIGKILL)
    for pid in (working, launcher, program.process.pid):
        await gone(pid)
    [reading] = await asking
    assert isinstance(reading, Unavailable)
    assert program.process.wait(5) == (-signal.SIGKILL if who == "agent" else 1)


async def test_it_stops_in_an_orderly_way(program: Program) -> None:
    asking, working = await busy(program)
    launcher = program.launcher
    program.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(program.process.wait, 10) == 0
    for pid in (working, launcher):
        await gone(pid)
    await asking


async def test_a_call_that_is_given_up_ends_its_command(program: Program) -> None:
    asking, working = await busy(program)
    asking.cancel()
    await gone(working)
    assert program.process.poll() is None


async def test_an_agent_that_hangs_costs_one_bounded_wait(program: Program) -> None:
    await program.wait_ready()
    async with connected(issued(CA)) as connections:
        agents = NodeAgents(connections, lambda _: program.address)
        assert isinstance((await agents.ask(NODE, [UPTIME]))[0], Answer)
        program.process.send_signal(signal.SIGSTOP)
        waits = []
        for _ in range(2):
            started = time.monotonic()
            [reading] = await agents.ask(NODE, [UPTIME])
            waits.append(time.monotonic() - started)
            assert isinstance(reading, Unavailable)
            assert reading.reason is EvidenceError.NODE_AGENT_UNAVAILABLE
        assert waits[0] < 10
        assert waits[1] < 0.5
        assert not agents.serves(NODE)
        program.process.send_signal(signal.SIGCONT)


async def test_a_hundred_calls_at_once_are_answered_or_refused(program: Program) -> None:
    await program.wait_ready()
    facts = [UPTIME, Fact.of(FactKind.ROUTES, NODE), Fact.of(FactKind.KERNEL_COUNTERS, NODE)]
    before = _memory(program.process.pid)
    async with connected(issued(CA)) as connections:

        async def ask() -> list[bool]:
            readings = await NodeAgents(connections, lambda _: program.address).ask(NODE, facts)
            return [isinstance(reading, Answer) for reading in readings]

        answered = await asyncio.gather(*(ask() for _ in range(100)))
        assert sum(map(all, answered)) >= 64
        assert all(all(one) or not any(one) for one in answered)
        assert all(await ask())
    assert _memory(program.process.pid) - before < 32 * 1024 * 1024
    assert not children(program.launcher)


def _memory(pid: int) -> int:
    """Bytes in memory."""
    return int(Path("/proc", str(pid), "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
