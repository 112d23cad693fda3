"""Diagnoses large evidence in a process of its own, which can be killed: whatever a node or a pod answers, the event
loop goes on, and a diagnosis ends.

In: a function of `diagnose.engine` and a run. Out: its result, or `DiagnosisLimitError`. Called by `bounded_diagnosis`;
one for all runs. The process starts with the first large run, and ends when it is idle.
"""

import asyncio
import os
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from typing import Any, TypeVar, cast

from ..collect.fair_slots import FairSlots
from ..diagnose.run.run import PathRun
from .diagnosis_process import LENGTH

T = TypeVar("T")

LIMIT_S = 5.0
# How long a run waits for its turn. Then it is judged without its large answers.
WAIT_S = 10.0
_START_S = 30.0  # it imports everything that judges
_IDLE_S = 60.0


class DiagnosisLimitError(Exception):
    """There is no result within the limits of time and memory; the message completes "because …"."""


class DiagnosisWorker:
    """Calls one function at a time; namespaces take turns. `limit_s`: how long each call may take; after that the
    process is killed.
    """

    def __init__(self, *, limit_s: float = LIMIT_S, wait_s: float = WAIT_S, idle_s: float = _IDLE_S) -> None:
        self._limit_s = limit_s
        self._wait_s = wait_s
        self._idle_s = idle_s
        self._turns = FairSlots(1)
        self._process: Process | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def call(self, function: Callable[[PathRun], T], run: PathRun) -> T:
        """The result of the function. Raises DiagnosisLimitError, and what the function raises."""
        namespace = run.plan.source.pod.namespace
        try:
            async with asyncio.timeout(self._wait_s):
                await self._turns.acquire(namespace, begun=False)
        except TimeoutError:
            raise DiagnosisLimitError(f"others were diagnosed for {self._wait_s:g} s") from None
        try:
            return await self._call(function, run)
        except BaseException:
            await self.close()  # the result may still arrive, and must not be that of another call
            raise
        finally:
            self._turns.release(namespace)

    async def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if self._idle:
            self._idle.cancel()
        if process:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _call(self, function: Callable[[PathRun], T], run: PathRun) -> T:
        if self._process and self._process.returncode is not None:  # it was killed while it was idle
            self._process = None
        process = self._process = self._process or await _started()
        if self._idle:
            self._idle.cancel()
        try:
            async with asyncio.timeout(self._limit_s):
                result = await _exchange(process, pickle.dumps((function, run)))
        except TimeoutError:
            raise DiagnosisLimitError(f"it took more than {self._limit_s:g} s") from None
        except (EOFError, OSError):
            raise DiagnosisLimitError("it took more memory than one diagnosis may have") from None
        if isinstance(result, Exception):
            raise result
        self._idle = asyncio.get_running_loop().call_later(self._idle_s, self._end)
        return cast("T", result)

    def _end(self) -> None:
        """Let the idle process end by itself."""
        process, self._process = self._process, None
        if process and process.stdin:
            process.stdin.close()


async def _started() -> Process:
    """A process that is ready, and runs no code of the current directory (-P). Raises DiagnosisLimitError."""
    paths = os.pathsep.join(filter(None, sys.path))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", f"{__package__}.diagnosis_process"),
        stdin=PIPE,
        stdout=PIPE,
        env={**os.environ, "PYTHONPATH": paths},
        start_new_session=True,  # Ctrl-C is for the operator, which ends it
    )
    try:
        async with asyncio.timeout(_START_S):
            await _received(process)
    except BaseException as error:
        if process.returncode is None:
            process.kill()
        await process.wait()
        if isinstance(error, TimeoutError | EOFError):
            raise DiagnosisLimitError("the process for large answers could not be started") from error
        raise
    return process


async def _exchange(process: Process, call: bytes) -> Any:  # what the function returns, or an exception
    assert process.stdin
    process.stdin.write(call)
    await process.stdin.drain()
    return pickle.loads(await _received(process))  # noqa: S301  # from a process of the operator's own


async def _received(process: Process) -> bytes:
    """The next result. Raises EOFError."""
    assert process.stdout
    try:
        (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
        return await process.stdout.readexactly(length)
    except asyncio.IncompleteReadError:
        raise EOFError from None
