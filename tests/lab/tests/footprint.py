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
    processes: set[tuple[int, str]] = field(default_factory=set)
    namespaces: set[str] = field(default_factory=set)

    def look(self) -> None:
        """Add what runs now: every process of the lab's cgroups or of a namespace of theirs."""
        foreign = {str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in _NAMESPACES}
        for _ in range(2):  # namespaces of the cgroups' processes first, then whoever shares them
            for pid, start, cgroups, namespaces in _processes():
                if f"/{self.cgroup}/" in cgroups or namespaces & self.namespaces:
                    self.processes.add((pid, start))
                    self.namespaces |= namespaces - foreign

    def survivors(self) -> list[str]:
        """What still runs, or holds a namespace, of all that was looked at."""
        found = []
        for pid, start, _, namespaces in _processes():
            if (pid, start) in self.processes:
                found.append(f"process {pid}")
            found += [f"{namespace} held by {pid}" for namespace in namespaces & self.namespaces]
        return found

    def left(self) -> list[str]:
        """Survivors, and whatever else goes by the lab's name."""
        named = [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{self.cgroup}")]
        members = [f"process {pid}" for pid, _, cgroups, _ in _processes() if f"/{self.cgroup}/" in cgroups]
        return [*self.survivors(), *named, *members]


def _processes() -> list[tuple[int, str, str, set[str]]]:
    """pid, start time, cgroups, namespaces of every process of the machine."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            start = (proc / "stat").read_text().rpartition(")")[2].split()[19]
            namespaces = {str((proc / "ns" / kind).readlink()) for kind in _NAMESPACES}
            found.append((int(proc.name), start, (proc / "cgroup").read_text(), namespaces))
    return found


def _lines(*argv: str) -> list[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
