"""Processes that outlive the command that started them: identified by pid, start time and boot id, never by name.

A record on disk that no longer matches the process with that pid (reused pid, or a reboot) counts as "not running".
Called by `node`, `network`, `forward` and `imagestore`.
"""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from lab.shell import LabError, wait_until

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Process:
    """pid as the machine sees it; start_time in clock ticks since boot (`/proc/PID/stat`, field 22)."""

    pid: int
    start_time: int
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> Self:
        """Raises LabError if there is no such process."""
        start_time = _start_time(pid)
        if start_time is None:
            raise LabError(f"process {pid} ended before it could be recorded")
        return cls(pid, start_time, _BOOT_ID.read_text().strip())

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """The recorded process, if it is still running."""
        try:
            process = cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            return None
        return process if process.alive() else None

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self)))

    def alive(self) -> bool:
        return self.boot_id == _BOOT_ID.read_text().strip() and _start_time(self.pid) == self.start_time

    def signal(self, signum: signal.Signals) -> None:
        """Send a signal to exactly this process; no effect if it has exited."""
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(self.pid)  # from here on the pid cannot be reused
            try:
                if self.alive():
                    signal.pidfd_send_signal(handle, signum)
            finally:
                os.close(handle)

    def stop(self, timeout_s: float = 20) -> None:
        """Send SIGTERM, then SIGKILL if it does not exit in time."""
        self.signal(signal.SIGTERM)
        try:
            wait_until(f"process {self.pid} ends", lambda: not self.alive(), timeout_s, 0.05)
        except LabError:
            self.signal(signal.SIGKILL)
            wait_until(f"killed process {self.pid} ends", lambda: not self.alive(), timeout_s, 0.05)


def _start_time(pid: int) -> int | None:
    """None if there is no such process, or if it is a zombie.

    A killed process whose first thread has exited keeps its sockets until its last thread exits.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    state, threads, start_time = fields[0], int(fields[17]), int(fields[19])
    return None if state in "ZX" and threads <= 1 else start_time


def from_namespace(init: Process, inner_pid: int) -> Process:
    """The process with `inner_pid` in the pid namespace of `init`."""
    namespace = Path(f"/proc/{init.pid}/ns/pid").readlink()
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            ids = next(x for x in status.read_text().splitlines() if x.startswith("NSpid:")).split()[1:]
            if ids[-1] == str(inner_pid) and (status.parent / "ns/pid").readlink() == namespace:
                return Process.of(int(ids[0]))
    raise LabError(f"process {inner_pid} exited immediately")


def start_detached(argv: Sequence[str], log: Path, pass_fds: Sequence[int] = ()) -> Process:
    """Start a program of the machine's own namespaces in a session of its own."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        child = subprocess.Popen(  # outlives this process on purpose
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            pass_fds=pass_fds,
            cwd="/",
        )
    return Process.of(child.pid)
