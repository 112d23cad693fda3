"""Packet capture of one run, on request: on every node that may see the connection, from before the request until after
its end.

In: facts of `sources.capture.pcap`, which name the nodes. Out: one reading each. Called by `runs.path_runner`. A
capture process ends when its stdin is closed, which also happens if the operator dies, and at the latest when its own
time limit is reached.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from ..evidence.delivery import delivery
from ..evidence.errors import EvidenceError
from ..evidence.fact import Fact
from ..evidence.reading import Reading, Unavailable
from ..sources.capture.pcap import PCAP_LIMIT_BYTES
from .cancellation import end
from .interfaces import AgentContainers, ContainerRef

# How long the request waits for captures to start. After that it is sent anyway.
READY_S = 5.0
# The last packets of a connection follow curl's report.
LAST_PACKETS_S = 0.3
# How long the run waits for a capture to return its packets.
HANDING_OVER_S = 5.0
# The most that a capture adds to the duration of a run.
ADDED_S = READY_S + LAST_PACKETS_S + HANDING_OVER_S


@dataclass(slots=True)
class Capture:
    """`readings` is set when the captures have ended."""

    readings: tuple[Reading, ...] = ()


@asynccontextmanager
async def capturing(
    agents: AgentContainers, facts: Sequence[Fact], targets: Mapping[str, ContainerRef]
) -> AsyncIterator[Capture]:
    """Capture packets while the context lasts. `targets`: the agent's container on each node that has one."""
    capture, stop = Capture(), asyncio.Event()
    started = [asyncio.Event() for _ in facts]
    tasks = [
        asyncio.create_task(_attend(agents, fact, targets.get(fact.node), listening, stop))
        for fact, listening in zip(facts, started, strict=True)
    ]
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_S):
                for listening in started:
                    await listening.wait()
        yield capture
        await asyncio.sleep(LAST_PACKETS_S)
        stop.set()
        done, _ = await asyncio.wait(tasks, timeout=HANDING_OVER_S) if tasks else ((), ())
        capture.readings = tuple(
            task.result() if task in done else _late(fact) for fact, task in zip(facts, tasks, strict=True)
        )
    finally:
        await end(*tasks)


def _late(fact: Fact) -> Unavailable:
    message = f"the capture on {fact.node} did not end within {HANDING_OVER_S:g} s"
    return Unavailable(EvidenceError.TIMEOUT, message)


async def _attend(
    agents: AgentContainers,
    fact: Fact,
    target: ContainerRef | None,
    started: asyncio.Event,
    stop: asyncio.Event,
) -> Reading:
    if target is None:
        started.set()
        return Unavailable(EvidenceError.AGENT_NOT_FOUND, f"there is no cilium-agent pod on {fact.node}")
    return await agents.attend(
        target,
        fact,
        started=started,
        stop=stop,
        timeout_s=delivery(fact).timeout_s,
        stdout_limit=PCAP_LIMIT_BYTES,
    )
