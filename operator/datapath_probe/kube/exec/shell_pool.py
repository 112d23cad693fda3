"""The channels to one incarnation of one agent: the number in use, the idle ones, and when to retry.

In: a function that opens a channel. Out: channels, taken and put back. Called by `pool`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ...backoff import Backoff
from .failure import ExecError
from .shell import ShellChannel

_CHECK_AFTER_S = 30.0  # a channel that was idle for longer is checked before it is used
_FIRST_RETRY_S = 0.5
_LAST_RETRY_S = 10.0


@dataclass(frozen=True, slots=True)
class _Idle:
    channel: ShellChannel
    since_s: float
    expiry: asyncio.TimerHandle


class AgentChannels:
    """Hold one of `turns` while using a channel, or one of `listening_turns` to listen to events for seconds. Put the
    channel back before releasing it.
    """

    def __init__(
        self,
        open_channel: Callable[[], Awaitable[ShellChannel]],
        *,
        limit: int,
        listeners: int,
        idle_s: float,
    ) -> None:
        self.turns = asyncio.Semaphore(limit)
        self.listening_turns = asyncio.Semaphore(listeners)
        self._open_channel = open_channel
        self._idle_s = idle_s
        self._idle: list[_Idle] = []
        self._in_use = 0
        self._retired = False
        self._failure: ExecError | None = None
        self._backoff = Backoff(_FIRST_RETRY_S, _LAST_RETRY_S)
        self._retry_at_s = 0.0

    @property
    def is_unused(self) -> bool:
        """Whether no channel is open, in use or waited for."""
        return not (self._idle or self._in_use or self.turns.locked() or self.listening_turns.locked())

    async def take(self) -> ShellChannel:
        """An idle channel that responds, or a new one. Raises ExecError; for a while after a failure immediately."""
        self._in_use += 1
        try:
            return await self._take_idle() or await self._take_new()
        except BaseException:
            self._in_use -= 1
            raise

    def put_back(self, channel: ShellChannel) -> None:
        """Return a channel. It is idle, or lost."""
        self._in_use -= 1
        if self._retired:
            channel.hang_up()
        elif not channel.lost:
            loop = asyncio.get_running_loop()
            expiry = loop.call_later(self._idle_s, self._expire, channel)
            self._idle.append(_Idle(channel, loop.time(), expiry))

    def retire(self) -> None:
        """Close the idle channels now, and those in use when they are put back."""
        self._retired = True
        for idle in self._idle:
            idle.expiry.cancel()
            idle.channel.hang_up()
        self._idle.clear()

    async def _take_idle(self) -> ShellChannel | None:
        while self._idle:
            idle = self._idle.pop()  # most recently used first, so that the others can expire
            idle.expiry.cancel()
            try:
                if idle.channel.lost is None:
                    if asyncio.get_running_loop().time() - idle.since_s > _CHECK_AFTER_S:
                        await idle.channel.check()
                    return idle.channel
            except ExecError:
                continue
        return None

    async def _take_new(self) -> ShellChannel:
        loop = asyncio.get_running_loop()
        if self._failure and loop.time() < self._retry_at_s:
            raise ExecError(self._failure.reason, self._failure.message)
        try:
            channel = await self._open_channel()
        except ExecError as error:
            self._failure = error
            self._retry_at_s = loop.time() + self._backoff.failed()
            raise
        self._failure = None
        self._backoff.succeeded()
        return channel

    def _expire(self, channel: ShellChannel) -> None:
        self._idle = [idle for idle in self._idle if idle.channel is not channel]
        channel.hang_up()
