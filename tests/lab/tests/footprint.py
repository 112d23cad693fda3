"""The traces of a lab on the machine, found independently of the lab's own records. Used by the tests of the lab."""

import contextlib
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "uts")


@dataclass(frozen=True, slots=True)
class Machine:
    """The state of the machine's own namespaces: equal before and after a lab."""

    mounts: tuple[str, ...]
    links: tuple[str, ...]
    routes: tuple[str, ...]
    named_namespaces: tuple[str, ...]

    @classmethod
    def now(cls) -> "Machine":
        mounts = (
            " ".join(line.split()[3:]) for line in Path("/proc/self/mountinfo").read_text().splitlines()
        )
        links = (line.split(":")[1] for line in _lines("ip", "-o", "link"))
        return cls(
            mounts=tuple(sorted(mounts)),
            links=tuple(sorted(links)),
            routes=tuple(sorted(_lines("ip", "route", "show", "table", "all"))),
            named_namespaces=tuple(sorted(_lines("ip", "netns"))),
        )


@dataclass(slots=True)
class Footprint:
    """The processes and namespaces of a lab, found by the name of its cgroup."""

    cgroup: str
    processes: set[tuple[int, int]] = field(default_factory=set)
    namespaces: set[str] = field(default_factory=set)
    last_start: int = 0

    def observe(self) -> None:
        """Add the current processes of the lab's cgroups, and those that share a namespace with one."""
        foreign = {str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in _NAMESPACES}
        for _ in range(2):
            for process in _processes():
                if f"/{self.cgroup}/" in process.cgroups or process.namespaces & self.namespaces:
                    self.processes.add((process.pid, process.start))
                    self.namespaces |= process.namespaces - foreign
                self.last_start = max(self.last_start, process.start)

    def survivors(self) -> list[str]:
        """Observed processes that still run, and processes that hold an observed namespace.

        The kernel reuses namespace numbers: a process that started after the last observation holds a new one.
        """
        found = []
        for process in _processes():
            if (process.pid, process.start) in self.processes:
                found.append(f"process {process.pid}")
            if process.start <= self.last_start:
                found += [f"{ns} held by {process.pid}" for ns in process.namespaces & self.namespaces]
        return found

    def left(self) -> list[str]:
        """Survivors, and remaining cgroups with the lab's name and their processes."""
        named = [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{self.cgroup}")]
        members = [f"process {p.pid}" for p in _processes() if f"/{self.cgroup}/" in p.cgroups]
        return [*self.survivors(), *named, *members]


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    start: int
    cgroups: str
    namespaces: set[str]


def _processes() -> list[_Process]:
    """Every process of the machine; `start` in clock ticks since boot."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            start = int((proc / "stat").read_text().rpartition(")")[2].split()[19])
            namespaces = {str((proc / "ns" / kind).readlink()) for kind in _NAMESPACES}
            found.append(_Process(int(proc.name), start, (proc / "cgroup").read_text(), namespaces))
    return found


def _lines(*argv: str) -> list[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
