"""The command channels to all agent pods, by node.

In: a node's agent. Out: a channel on loan. Called by `agents`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from ...collect.interfaces import ContainerRef
from ...evidence.errors import EvidenceError
from ...plan.objects import Agent
from .connect import ExecClient
from .failure import ExecError, channel_lost
from .shell import ShellChannel
from .shell_pool import AgentChannels


class ChannelPool:
    """At most `per_agent` channels to an agent at a time, and `listeners` more, each closed after `idle_s` without use.

    A new incarnation of an agent (pod or container restarted) gets new channels.
    """

    def __init__(
        self, client: ExecClient, *, per_agent: int = 2, listeners: int = 4, idle_s: float = 300.0
    ) -> None:
        self._client = client
        self._per_agent = per_agent
        self._listeners = listeners
        self._idle_s = idle_s
        self._by_node: dict[str, tuple[str, AgentChannels]] = {}  # with the incarnation
        self._open: set[ShellChannel] = set()
        self._closed = False

    @asynccontextmanager
    async def acquire(self, agent: Agent, *, for_streaming: bool = False) -> AsyncIterator[ShellChannel]:
        """A channel to this agent, after waiting for a free one; but who wants `for_streaming`, to what happens now, is
        refused where all others listen. Raises ExecError.
        """
        if self._closed:
            raise channel_lost("the operator is shutting down")
        channels = self._channels_to(agent)
        if for_streaming and channels.hearings.locked():
            message = f"{self._listeners} others listen on {agent.node} already"
            raise ExecError(EvidenceError.NOT_COLLECTED, message)
        async with channels.hearings if for_streaming else channels.turns:
            channel = await channels.take()
            try:
                yield channel
            finally:
                channels.put_back(channel)

    async def close(self) -> None:
        """Hang up all channels, also those on loan."""
        self._closed = True
        for _, channels in self._by_node.values():
            channels.retire()
        hung_up = tuple(self._open)
        for channel in hung_up:
            channel.hang_up()
        await asyncio.gather(*(channel.closed() for channel in hung_up))

    def _channels_to(self, agent: Agent) -> AgentChannels:
        incarnation, channels = self._by_node.get(agent.node, ("", None))
        if channels and incarnation == agent.incarnation:
            return channels
        if channels:
            channels.retire()
        for node in [node for node, (_, others) in self._by_node.items() if others.is_unused]:
            del self._by_node[node]  # its agent is gone
        channels = AgentChannels(
            partial(self._open_channel, agent),
            limit=self._per_agent,
            listeners=self._listeners,
            idle_s=self._idle_s,
        )
        self._by_node[agent.node] = (agent.incarnation, channels)
        return channels

    async def _open_channel(self, agent: Agent) -> ShellChannel:
        target = ContainerRef(agent.namespace, agent.pod, agent.container, uid=agent.incarnation)
        channel = ShellChannel(self._client, target)
        self._open.add(channel)
        channel.on_closed(self._open.discard)
        await channel.opened()
        return channel
