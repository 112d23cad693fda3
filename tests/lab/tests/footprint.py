"""What a lab leaves on the machine, counted without the lab's own book-keeping."""

import contextlib
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "uts")


@dataclass(frozen=True, slots=True)
class Machine:
    """What the machine's own namespaces see: equal before and after a lab."""

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
    """Processes and namespaces that were seen to belong to a lab, found by its cgroup's name."""

    cgroup: str
    processes: set[tuple[int, int]] = field(default_factory=set)
    namespaces: set[str] = field(default_factory=set)
    looked_at: int = 0

    def look(self) -> None:
        """Add what runs now: every process of the lab's cgroups, and whoever shares a namespace with one."""
        foreign = {str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in _NAMESPACES}
        for _ in range(2):
            for process in _processes():
                if f"/{self.cgroup}/" in process.cgroups or process.namespaces & self.namespaces:
                    self.processes.add((process.pid, process.start))
                    self.namespaces |= process.namespaces - foreign
                self.looked_at = max(self.looked_at, process.start)

    def survivors(self) -> list[str]:
        """What still runs, or holds a namespace, of all that was seen.

        The kernel gives a namespace's number to a new one: who started after the last look holds a new one.
        """
        found = []
        for process in _processes():
            if (process.pid, process.start) in self.processes:
                found.append(f"process {process.pid}")
            if process.start <= self.looked_at:
                found += [f"{ns} held by {process.pid}" for ns in process.namespaces & self.namespaces]
        return found

    def left(self) -> list[str]:
        """Survivors, and whatever else goes by the lab's name."""
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
