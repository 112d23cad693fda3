"""One command in one exec: curl in a source container, and packet captures in an agent's.

In: a container, an argv, the data for stdin. Out: a `Reading`. Implements `collect.interfaces.SourceContainers`;
assembled by `kube.cluster`. Called by `agent_exec`, too.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from ...collect.cancellation import end
from ...collect.interfaces import ContainerRef
from ...evidence.errors import EvidenceError
from ...evidence.reading import LEFT_OUT, Answer, Reading, Unavailable
from .connect import ExecClient, ExecStream, open_exec
from .failure import NOT_RUN, ExecError, failed, timeout
from .protocol import Exited, Failed, Stderr, Stdout

STDERR_LIMIT = 64 * 1024
# Of longer output on standard error, the end is kept, too: curl's report comes after all else that it says.
STDERR_END = 4 * 1024
# Output beyond its limit is dropped; beyond this multiple of the limit the connection is closed.
HANG_UP_AT = 16


class SourceExec:
    """Runs commands in containers, each in an exec of its own."""

    def __init__(self, client: ExecClient, *, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._clock = clock

    async def run(
        self,
        target: ContainerRef,
        argv: Sequence[str],
        *,
        stdin: bytes | None,
        timeout_s: float,
        stdout_limit: int,
    ) -> Reading:
        """Run `argv` until it ends or `timeout_s` has passed, including the handshake. Never raises.

        A timeout closes only the connection, and the process reads end-of-file from stdin. Limit the process itself as
        well (`curl --max-time`). Output beyond its limit (bytes) is cut off; far beyond it the connection is closed and
        there is no answer.
        """
        return await self._run(
            target,
            argv,
            _FixedStdin(stdin),
            timeout_s=timeout_s,
            stdout_limit=stdout_limit,
        )

    async def attend(
        self,
        target: ContainerRef,
        argv: Sequence[str],
        *,
        started: asyncio.Event,
        stop: asyncio.Event,
        timeout_s: float,
        stdout_limit: int,
    ) -> Reading:
        """Run `argv` until `stop` is set or it ends. `started` is set when it writes to stderr, or ends. Timeouts as in
        `run`.
        """
        try:
            return await self._run(
                target,
                argv,
                _OpenStdin(started, stop),
                timeout_s=timeout_s,
                stdout_limit=stdout_limit,
            )
        finally:
            started.set()

    async def _run(
        self,
        target: ContainerRef,
        argv: Sequence[str],
        stdin: "_FixedStdin | _OpenStdin",
        *,
        timeout_s: float,
        stdout_limit: int,
    ) -> Reading:
        started_at, started = self._clock(), time.monotonic()
        stdout, stderr = Capped(argv[0], stdout_limit), Capped(argv[0], STDERR_LIMIT, STDERR_END)
        try:
            async with (
                asyncio.timeout(timeout_s),
                open_exec(
                    self._client, target, argv, stdin=stdin.is_open, half_close=stdin.half_close
                ) as stream,
                stdin.to(stream),
            ):
                exit_code = await _drain(stream, stdout, stderr, stdin)
        except TimeoutError:
            error = timeout(f"{argv[0]} did not end", timeout_s)
            return Unavailable(error.reason, error.message, started_at)
        except ExecError as error:
            return Unavailable(error.reason, error.message, started_at)
        if exit_code in NOT_RUN:
            return Unavailable(
                EvidenceError.NO_SUCH_EXECUTABLE, f"{argv[0]} can't be run in {target.container}", started_at
            )
        return Answer(
            exit_code,
            stdout.kept,
            stderr.kept,
            at=started_at,
            duration_s=time.monotonic() - started,
            truncated=stdout.truncated,
        )


class _FixedStdin:
    """All data for stdin is known in advance; None: the command has no stdin."""

    def __init__(self, data: bytes | None) -> None:
        self.is_open = self.half_close = data is not None
        self._data = data

    @asynccontextmanager
    async def to(self, stream: ExecStream) -> AsyncIterator[None]:
        if self._data is not None:
            await stream.send(self._data, last=True)
        yield

    def on_stderr(self) -> None:
        """The command has written to stderr."""


class _OpenStdin:
    """stdin stays open until `stop` is set."""

    is_open, half_close = True, False

    def __init__(self, started: asyncio.Event, stop: asyncio.Event) -> None:
        self._started = started
        self._stop = stop

    @asynccontextmanager
    async def to(self, stream: ExecStream) -> AsyncIterator[None]:
        stopper = asyncio.create_task(self._send_stop(stream))
        try:
            yield
        finally:
            await end(stopper)

    async def _send_stop(self, stream: ExecStream) -> None:
        await self._stop.wait()
        await stream.send(b"stop\n")

    def on_stderr(self) -> None:
        """The command has started."""
        self._started.set()


async def _drain(
    stream: ExecStream, stdout: "Capped", stderr: "Capped", stdin: "_FixedStdin | _OpenStdin"
) -> int:
    """Read until the end and return the exit code. Raises ExecError."""
    while True:
        for event in await stream.receive():
            match event:
                case Stdout(data):
                    stdout.add(data)
                case Stderr(data):
                    stderr.add(data)
                    stdin.on_stderr()
                case Exited(code):
                    return code
                case Failed():
                    raise failed(event)


class Capped:
    """The first `limit` bytes of a stream, and the last `end` bytes of the rest. `add` raises ExecError if far more
    arrive.
    """

    def __init__(self, program: str, limit: int, end: int = 0) -> None:
        self._begin, self._rest = bytearray(), bytearray()
        self._program = program
        self._limit = limit
        self._end = end
        self._received = 0

    @property
    def truncated(self) -> bool:
        return self._received > self._limit + len(self._rest)

    @property
    def kept(self) -> bytes:
        return bytes(self._begin + (LEFT_OUT if self._end and self.truncated else b"") + self._rest)

    def add(self, data: bytes) -> None:
        room = self._limit - len(self._begin)
        self._begin += data[:room]
        self._received += len(data)
        if self._end:
            self._rest = (self._rest + data[room:])[-self._end :]
        if self._received > HANG_UP_AT * self._limit:
            message = (
                f"{self._program} was stopped after more than {HANG_UP_AT * self._limit} bytes of output"
            )
            raise ExecError(EvidenceError.TRUNCATED, message)
