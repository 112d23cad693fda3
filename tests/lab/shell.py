"""Runs programs and tells what is being done."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


class LabError(Exception):
    """What went wrong, in one sentence for the person at the terminal."""


def run(
    *argv: str | Path,
    check: bool = True,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | BinaryIO | None = None,
    timeout_s: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and capture what it says.

    Raises LabError with the tail of its output when it fails and `check` is set.
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
    """Poll `ready`. Raises LabError when it stays False for `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {timeout_s:.0f} s")
        time.sleep(interval_s)
