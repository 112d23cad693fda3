"""The channels to one incarnation of one agent: how many at once, which are idle, when to try again.

In: a way to open a channel. Out: channels, taken and put back. Called by `pool`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ...backoff import Backoff
from .failure import ExecError
from .shell import ShellChannel

_CHECK_AFTER_S = 30.0  # a channel that was idle for so long gives a sign of life before it is used
_FIRST_RETRY_S = 0.5
_LAST_RETRY_S = 10.0


@dataclass(frozen=True, slots=True)
class _Idle:
    channel: ShellChannel
    since_s: float
    expiry: asyncio.TimerHandle


class AgentChannels:
    """Take a channel only while holding one of `turns`, or of `hearings` to listen for seconds; put it back before
    letting go.
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
        self.hearings = asyncio.Semaphore(listeners)
        self._open_channel = open_channel
        self._idle_s = idle_s
        self._idle: list[_Idle] = []
        self._lent = 0
        self._retired = False
        self._failure: ExecError | None = None
        self._backoff = Backoff(_FIRST_RETRY_S, _LAST_RETRY_S)
        self._retry_at_s = 0.0

    @property
    def is_unused(self) -> bool:
        """Nobody has or waits for a channel, and none is open."""
        return not (self._idle or self._lent or self.turns.locked() or self.hearings.locked())

    async def take(self) -> ShellChannel:
        """An idle channel that lives, or a new one. Raises ExecError; for a while after a failure at once."""
        self._lent += 1
        try:
            return await self._take_idle() or await self._take_new()
        except BaseException:
            self._lent -= 1
            raise

    def put_back(self, channel: ShellChannel) -> None:
        """The channel is idle, or lost."""
        self._lent -= 1
        if self._retired:
            channel.hang_up()
        elif not channel.lost:
            loop = asyncio.get_running_loop()
            expiry = loop.call_later(self._idle_s, self._expire, channel)
            self._idle.append(_Idle(channel, loop.time(), expiry))

    def retire(self) -> None:
        """Hang up what is idle, and what is lent when it comes back."""
        self._retired = True
        for idle in self._idle:
            idle.expiry.cancel()
            idle.channel.hang_up()
        self._idle.clear()

    async def _take_idle(self) -> ShellChannel | None:
        while self._idle:
            idle = self._idle.pop()  # the one used last: the others get a chance to expire
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
