"""Packet capture of one run, on request: on every node that may see the connection, from before the request is sent
until it has ended.

In: the facts of `sources.capture.pcap`, which name the nodes. Out: a reading each. Called by `runs.runner`.
What was
started ends when we hang up, when the operator dies (its stdin ends) and at the latest after its own time.
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

# How long the request waits for captures to listen; after that it is sent all the same.
READY_S = 5.0
# The last packets of a connection come after curl has its answer.
LAST_PACKETS_S = 0.3
# How long a capture may take to hand over what it has; a run waits no longer for it.
HANDING_OVER_S = 5.0
# What a capture adds to a run at most.
ADDED_S = READY_S + LAST_PACKETS_S + HANDING_OVER_S


@dataclass(slots=True)
class Capture:
    """`readings` are there when the capture has ended."""

    readings: tuple[Reading, ...] = ()


@asynccontextmanager
async def capturing(
    agents: AgentContainers, facts: Sequence[Fact], targets: Mapping[str, ContainerRef]
) -> AsyncIterator[Capture]:
    """While the context lasts, capture. `targets`: the agent's container on each node that has one."""
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
