"""A command channel: one `sh` in an agent pod that stays open and runs one batch at a time.

In: batches. Out: replies, or an `ExecError`, after which the channel is lost. Called by `pool` and `agents`.

The remote shell exits when its stdin is closed: when the channel hangs up, and when the operator was killed and the
connection is lost (the kubelet then closes stdin). Commands that are still running are ended by the `timeout` of their
batch.
"""

import asyncio
from collections.abc import Callable
from typing import Self

from ...collect.interfaces import ContainerRef
from ...evidence.errors import EvidenceError
from .connect import ExecClient, ExecStream, open_exec
from .failure import NOT_RUN, ExecError, channel_lost, failed, timeout
from .framing import Batch, FramingError, Reply
from .protocol import Event, Exited, Failed, Stderr, Stdout

_OPEN_TIMEOUT_S = 10.0
_GRACE_S = 2.0  # for the round trip, in addition to the time limit of the batch
_SIGN_OF_LIFE_LIMIT = 4096
_LAST_WORDS_LIMIT = 500


class ShellChannel:
    """Opens itself; `opened` waits for it. `lost`: why the channel is unusable; None while it is usable."""

    def __init__(self, client: ExecClient, target: ContainerRef) -> None:
        self.lost: ExecError | None = None
        self._target = target
        self._stream: ExecStream | None = None
        self._opened = asyncio.Event()
        self._batch: Batch | None = None
        self._reply = bytearray()
        self._replied = asyncio.Event()
        self._last_words = b""
        self._reader = asyncio.create_task(self._read(client), name=f"shell in {target.pod}")

    async def opened(self) -> None:
        """Wait for the first response. Raises ExecError; then, or when canceled, the channel is lost."""
        await self._run(Batch((), _SIGN_OF_LIFE_LIMIT), _OPEN_TIMEOUT_S)

    async def check(self) -> None:
        """Check that the shell responds. Raises like `opened`."""
        await self._run(Batch((), _SIGN_OF_LIFE_LIMIT), _GRACE_S)

    async def run(self, batch: Batch) -> Reply:
        """Run one batch. Raises like `opened`."""
        return await self._run(batch, batch.limit_s + _GRACE_S)

    def hang_up(self) -> None:
        """Close the stdin of the remote shell, which makes it exit. Returns at once; `closed` waits for the end."""
        self._lose(channel_lost("hung up"))
        self._reader.cancel()

    async def closed(self) -> None:
        """Wait until the connection is closed."""
        await asyncio.wait((self._reader,))

    def on_closed(self, call: Callable[[Self], object]) -> None:
        """Call this function with the channel when the connection is closed."""
        self._reader.add_done_callback(lambda _: call(self))

    async def _run(self, batch: Batch, timeout_s: float) -> Reply:
        if self._batch is not None:
            raise RuntimeError("a channel runs one batch at a time")
        self._batch = batch
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(batch)
        except BaseException as error:
            self.hang_up()  # the rest of this reply may still arrive, and must not reach another batch
            if isinstance(error, TimeoutError):
                raise timeout(f"the shell in {self._target.pod} did not answer", timeout_s) from None
            raise
        finally:
            self._batch = None

    async def _exchange(self, batch: Batch) -> Reply:
        await self._opened.wait()
        if self._stream and not self.lost:
            await self._stream.send(batch.script())
            await self._replied.wait()
        if self.lost:
            raise self.lost
        try:
            return batch.decode(bytes(self._reply))
        except FramingError as error:
            raise channel_lost(f"{error}, in {self._target.pod}") from error
        finally:
            self._reply.clear()
            self._replied.clear()

    async def _read(self, client: ExecClient) -> None:
        """Read until the end. The connection lives as long as this task."""
        try:
            async with open_exec(client, self._target, ("sh",), stdin=True) as stream:
                self._stream = stream
                self._opened.set()
                while True:
                    for event in await stream.receive():
                        self._take(event)
        except ExecError as error:
            self._lose(error)
        finally:
            self._lose(channel_lost("the reader was stopped"))

    def _take(self, event: Event) -> None:
        """Process an event. Raises ExecError if the shell has exited."""
        match event:
            case Stdout(data):
                if self._batch is None:
                    raise channel_lost(f"the shell in {self._target.pod} printed output without a batch")
                self._reply += data
                if self._batch.is_whole(self._reply):
                    self._replied.set()
            case Stderr(data):
                self._last_words = (self._last_words + data)[-_LAST_WORDS_LIMIT:]
            case Failed():
                raise failed(event)
            case Exited(code) if code in NOT_RUN:
                where = f"{self._target.pod}/{self._target.container}"
                raise ExecError(EvidenceError.NO_SUCH_EXECUTABLE, f"sh can't be run in {where}")
            case Exited(code):
                last_words = self._last_words.decode(errors="replace").strip() or "no message"
                raise channel_lost(f"the shell in {self._target.pod} exited with {code}: {last_words}")

    def _lose(self, error: ExecError) -> None:
        if self.lost is None:
            self.lost = error
            self._opened.set()
            self._replied.set()
