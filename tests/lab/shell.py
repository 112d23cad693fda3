"""Runs programs and prints progress. Used by all modules of the lab and by the tests on it."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


class LabError(Exception):
    """An error, in one sentence for the user."""


def run(
    *argv: str | Path,
    check: bool = True,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | BinaryIO | None = None,
    timeout_s: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program, wait for it and capture its output.

    Raises LabError with the end of its output if it fails and `check` is set.
    """
    done = subprocess.run(
        [str(a) for a in argv],
        cwd=cwd,
        env=env,
        **({"input": stdin} if isinstance(stdin, str) else {"stdin": stdin or subprocess.DEVNULL}),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
    )
    if check and done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise LabError(f"`{' '.join(str(a) for a in argv)}` failed ({done.returncode}):\n{tail}")
    return done


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Announce a step, then the seconds it took."""
    began = time.monotonic()
    say(f"· {what} …")
    yield
    say(f"  {what}: {time.monotonic() - began:.1f} s")


def wait_until(what: str, ready: Callable[[], bool], timeout_s: float, interval_s: float = 0.2) -> None:
    """Poll `ready`. Raises LabError if it is still False after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {timeout_s:.0f} s")
        time.sleep(interval_s)
