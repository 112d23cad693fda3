"""The command channels to all agent pods, by node.

In: a node's agent. Out: a channel, for the duration of a context. Called by `agents`.
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
    """At most `per_agent` channels to an agent at a time, plus `listeners`. Each is closed after it was idle for
    `idle_s`.

    A new incarnation of an agent (its pod or container restarted) gets new channels.
    """

    def __init__(
        self, client: ExecClient, *, per_agent: int = 2, listeners: int = 4, idle_s: float = 300.0
    ) -> None:
        self._client = client
        self._per_agent = per_agent
        self._listeners = listeners
        self._idle_s = idle_s
        self._by_node: dict[str, tuple[str, AgentChannels]] = {}  # with the agent's incarnation
        self._open: set[ShellChannel] = set()
        self._closed = False

    @asynccontextmanager
    async def acquire(self, agent: Agent, *, for_streaming: bool = False) -> AsyncIterator[ShellChannel]:
        """Acquire a channel to this agent; waits until one is free. For a command that listens to events
        (`for_streaming`) it does not wait but raises if all channels for listeners are in use. Raises ExecError.
        """
        if self._closed:
            raise channel_lost("the operator is shutting down")
        channels = self._channels_to(agent)
        if for_streaming and channels.listening_turns.locked():
            message = f"{self._listeners} commands already listen on {agent.node}"
            raise ExecError(EvidenceError.NOT_COLLECTED, message)
        async with channels.listening_turns if for_streaming else channels.turns:
            channel = await channels.take()
            try:
                yield channel
            finally:
                channels.put_back(channel)

    async def close(self) -> None:
        """Close all channels, including those in use."""
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
            del self._by_node[node]  # the agent no longer exists
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
