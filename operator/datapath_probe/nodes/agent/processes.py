"""Runs commands through the launcher, each for a bounded time, with bounded output.

In: an argv, where to run it, what it reads. Out: an `Ended`. Called by the modules of `nodes.agent` that collect. After
a call has ended, however it did, nothing of it runs any more.
"""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .. import limits
from .job import Job
from .launcher import MESSAGE_LIMIT

_PIECE = 64 * 1024
STDERR_LIMIT = 64 * 1024
CANT_PREPARE = 125


@dataclass(frozen=True, slots=True)
class Where:
    """What a command sees. `network`, `mounts`: file descriptors of namespaces, of which the caller remains the owner;
    None: those of the node agent. `files`, `unprivileged`: see `Job`.
    """

    network: int | None = None
    mounts: int | None = None
    files: tuple[tuple[str, str], ...] = ()
    unprivileged: bool = False


HERE = Where()


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended. `exit_code` negative: killed by this signal. `started`: by the monotonic clock."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    started: float
    duration_s: float
    truncated: bool
    overdue: bool = False


class LauncherGoneError(Exception):
    """No command can be run any more: the node agent has to be restarted."""


@dataclass(slots=True)
class _Output:
    """What a command writes to one pipe; the rest of too much is read and dropped."""

    limit: int
    kept: bytearray = field(default_factory=bytearray)
    received: int = 0

    def take(self, data: bytes) -> None:
        self.received += len(data)
        self.kept += data[: self.limit - len(self.kept)]

    @property
    def truncated(self) -> bool:
        return self.received > self.limit


class Processes:
    """Runs commands, and requests beside them; so many of each at a time."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._turns = {
            False: asyncio.Semaphore(limits.COMMANDS_AT_ONCE),
            True: asyncio.Semaphore(limits.REQUESTS_AT_ONCE),
        }
        self._ids = itertools.count(1)
        self._running: dict[int, asyncio.Future[int]] = {}
        self._on_gone: Callable[[], None] = lambda: None
        self._gone = False
        self.cpu_s = 0.0
        """The CPU time of the commands that have ended, in seconds."""

    def attach(self, on_gone: Callable[[], None]) -> None:
        """Listen to the launcher; `on_gone` is called when it has ended."""
        self._on_gone = on_gone
        self._control.setblocking(False)
        asyncio.get_running_loop().add_reader(self._control, self._on_report)

    async def run(
        self,
        argv: Sequence[str],
        *,
        where: Where = HERE,
        stdin: bytes = b"",
        timeout_s: float,
        stdout_limit: int,
        function: bool = False,
        brief: bool = False,
    ) -> Ended:
        """Run a command until it ends; it is killed after `timeout_s`. `function`, `brief`: see `Job`. Raises
        LauncherGoneError.
        """
        job = Job(
            next(self._ids),
            tuple(argv),
            function,
            where.network is not None,
            where.mounts is not None,
            where.unprivileged,
            brief,
            where.files,
        )
        async with self._turns[where.unprivileged]:
            return await self._run(job, where, stdin, timeout_s, stdout_limit)

    async def _run(self, job: Job, where: Where, stdin: bytes, timeout_s: float, stdout_limit: int) -> Ended:
        stdout, stderr = _Output(stdout_limit), _Output(STDERR_LIMIT)
        started = time.monotonic()
        with _Pipes() as pipes:
            namespaces = [each for each in (where.network, where.mounts) if each is not None]
            ended = self._start(job, [*pipes.its, *namespaces])
            pipes.close(*pipes.its)
            try:
                async with asyncio.timeout(timeout_s):
                    # all have ended when the pipes are closed, unless it left some process behind that holds them
                    await asyncio.gather(
                        _write(pipes, stdin), _read(pipes.stdout, stdout), _read(pipes.stderr, stderr)
                    )
                    code = await asyncio.shield(ended)
                overdue = False
            except TimeoutError:
                code, overdue = -signal.SIGKILL, True
            finally:
                await self._end(job.id, ended)
        duration_s = time.monotonic() - started
        truncated = stdout.truncated
        return Ended(code, bytes(stdout.kept), bytes(stderr.kept), started, duration_s, truncated, overdue)

    def _start(self, job: Job, descriptors: Sequence[int]) -> asyncio.Future[int]:
        message = job.encoded()
        if len(message) > MESSAGE_LIMIT:
            raise ValueError("the command is too long")
        ended = asyncio.get_running_loop().create_future()
        if self._gone:
            raise LauncherGoneError
        try:
            socket.send_fds(self._control, [message], descriptors)
        except BlockingIOError:
            raise LauncherGoneError from None  # it always reads at once
        self._running[job.id] = ended
        return ended

    async def _end(self, id_: int, ended: asyncio.Future[int]) -> None:
        """Kill the command, if it still runs, and wait until it is gone."""
        if id_ in self._running and not self._gone:
            with contextlib.suppress(OSError):
                self._control.send(json.dumps({"kill": id_}).encode())
            await asyncio.shield(ended)

    def _on_report(self) -> None:
        try:
            data = self._control.recv(MESSAGE_LIMIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
            return
        report = json.loads(data)
        self.cpu_s += report["cpu_s"]
        ended = self._running.pop(report["ended"], None)
        if ended and not ended.done():
            ended.set_result(report["code"])

    def _lose(self) -> None:
        self._gone = True
        asyncio.get_running_loop().remove_reader(self._control)
        for ended in self._running.values():
            if not ended.done():
                ended.set_exception(LauncherGoneError())
                ended.exception()  # perhaps nothing waits for it
        self._running.clear()
        self._on_gone()


class _Pipes:
    """The pipes to one command: our ends, and its. All that is still open is closed on exit."""

    def __init__(self) -> None:
        its_in, self.stdin = os.pipe2(os.O_CLOEXEC)
        self.stdout, its_out = os.pipe2(os.O_CLOEXEC)
        self.stderr, its_err = os.pipe2(os.O_CLOEXEC)
        self.its = its_in, its_out, its_err
        self._open = {self.stdin, self.stdout, self.stderr, *self.its}
        for ours in (self.stdin, self.stdout, self.stderr):
            os.set_blocking(ours, False)

    def __enter__(self) -> "_Pipes":
        return self

    def __exit__(self, *_: object) -> None:
        self.close(*self._open)

    def close(self, *ends: int) -> None:
        """Close these ends, once."""
        for end in self._open.intersection(ends):
            os.close(end)
        self._open.difference_update(ends)


async def _read(pipe: int, output: _Output) -> None:
    """Read until the pipe is closed."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            data = os.read(pipe, _PIECE)
        except BlockingIOError:
            await _until(pipe, loop.add_reader, loop.remove_reader)
            continue
        if not data:
            return
        output.take(data)


async def _write(pipes: _Pipes, data: bytes) -> None:
    """Write all, unless the command reads no more, and close the pipe."""
    loop, left = asyncio.get_running_loop(), memoryview(data)
    with contextlib.suppress(BrokenPipeError):
        while left:
            try:
                left = left[os.write(pipes.stdin, left) :]
            except BlockingIOError:
                await _until(pipes.stdin, loop.add_writer, loop.remove_writer)
    pipes.close(pipes.stdin)


async def _until(
    pipe: int, add: Callable[[int, Callable[[], None]], None], remove: Callable[[int], bool]
) -> None:
    """Wait until the pipe can be read or written."""
    ready = asyncio.Event()
    add(pipe, ready.set)
    try:
        await ready.wait()
    finally:
        remove(pipe)
