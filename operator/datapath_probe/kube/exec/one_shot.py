"""One command, one exec: how curl runs in a source container, and a packet capture in an agent's.

In: a container, an argv, what goes to stdin. Out: a `Reading`. Implements
`collect.interfaces.SourceContainers`; put together by `control`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from ...collect.cancellation import end
from ...collect.interfaces import ContainerRef
from ...evidence.errors import EvidenceError
from ...evidence.reading import Answer, Reading, Unavailable
from .connect import ExecClient, ExecStream, open_exec
from .failure import NOT_RUN, ExecError, failed, timeout
from .protocol import Exited, Failed, Stderr, Stdout

STDERR_LIMIT = 64 * 1024
# Beyond its limit output is dropped as it comes; beyond so many times its limit nobody carries it any more.
HANG_UP_AT = 16


class SourceExec:
    """Runs commands in source containers, each in an exec of its own."""

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
        """Run `argv` to its end, or for `timeout_s`, handshake included; never raises.

        A timeout ends our side alone, and gives the process end-of-file on stdin: bound the process itself
        too (`curl --max-time`). Of output beyond its limit (bytes) the beginning is kept; far beyond it the process is
        hung up, and there is no answer.
        """
        return await self._run(
            target,
            argv,
            _Given(stdin),
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
        """Run `argv` until `stop` is set, or to its end; `started` is set when it says something on stderr, or ends. A
        timeout as in `run`.
        """
        try:
            return await self._run(
                target,
                argv,
                _Attended(started, stop),
                timeout_s=timeout_s,
                stdout_limit=stdout_limit,
            )
        finally:
            started.set()

    async def _run(
        self,
        target: ContainerRef,
        argv: Sequence[str],
        talk: "_Given | _Attended",
        *,
        timeout_s: float,
        stdout_limit: int,
    ) -> Reading:
        started_at, started = self._clock(), time.monotonic()
        stdout, stderr = _Capped(argv[0], stdout_limit), _Capped(argv[0], STDERR_LIMIT)
        try:
            async with (
                asyncio.timeout(timeout_s),
                open_exec(self._client, target, argv, stdin=talk.stdin, half_close=talk.half_close) as stream,
                talk.to(stream),
            ):
                exit_code = await _drain(stream, stdout, stderr, talk)
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
            bytes(stdout.data),
            bytes(stderr.data),
            at=started_at,
            duration_s=time.monotonic() - started,
            truncated=stdout.truncated or stderr.truncated,
        )


class _Given:
    """All of stdin is known beforehand; None: the command has none."""

    def __init__(self, data: bytes | None) -> None:
        self.stdin = self.half_close = data is not None
        self._data = data

    @asynccontextmanager
    async def to(self, stream: ExecStream) -> AsyncIterator[None]:
        if self._data is not None:
            await stream.send(self._data, last=True)
        yield

    def heard(self) -> None:
        """It says something on stderr."""


class _Attended:
    """stdin stays open until `stop` is set."""

    stdin, half_close = True, False

    def __init__(self, started: asyncio.Event, stop: asyncio.Event) -> None:
        self._started = started
        self._stop = stop

    @asynccontextmanager
    async def to(self, stream: ExecStream) -> AsyncIterator[None]:
        stopper = asyncio.create_task(self._when_told(stream))
        try:
            yield
        finally:
            await end(stopper)

    async def _when_told(self, stream: ExecStream) -> None:
        await self._stop.wait()
        await stream.send(b"stop\n")

    def heard(self) -> None:
        """It has begun."""
        self._started.set()


async def _drain(stream: ExecStream, stdout: "_Capped", stderr: "_Capped", talk: "_Given | _Attended") -> int:
    """Read to the end: the exit code. Raises ExecError."""
    while True:
        for event in await stream.receive():
            match event:
                case Stdout(data):
                    stdout.add(data)
                case Stderr(data):
                    stderr.add(data)
                    talk.heard()
                case Exited(code):
                    return code
                case Failed():
                    raise failed(event)


class _Capped:
    """The first `limit` bytes of a program's stream. `add` raises ExecError when far too much has come."""

    def __init__(self, program: str, limit: int) -> None:
        self.data = bytearray()
        self.truncated = False
        self._program = program
        self._limit = limit
        self._came = 0

    def add(self, data: bytes) -> None:
        room = self._limit - len(self.data)
        self.data += data[:room]
        self.truncated |= len(data) > room
        self._came += len(data)
        if self._came > HANG_UP_AT * self._limit:
            said = f"{self._program} was stopped after more than {HANG_UP_AT * self._limit} bytes of output"
            raise ExecError(EvidenceError.TRUNCATED, said)
