"""Facts that are collected over a period of time: a packet capture, in an exec of its own.

In: a fact. Out: a `Reading`. Implements `collect.interfaces.AgentContainers`; assembled by `kube.cluster`.
"""

import asyncio

from ...collect.interfaces import ContainerRef
from ...evidence.fact import Fact
from ...evidence.reading import Reading
from ...tools.commands import argv_of
from .one_shot import SourceExec


class AgentExec:
    """Runs commands in agent containers, each in an exec of its own."""

    def __init__(self, containers: SourceExec) -> None:
        self._containers = containers

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
        """See `AgentContainers`. The command has started when it writes to stderr; a line on its stdin stops it."""
        return await self._containers.attend(
            target,
            argv_of(fact),
            started=started,
            stop=stop,
            timeout_s=timeout_s,
            stdout_limit=stdout_limit,
        )
