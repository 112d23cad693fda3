"""The lab's cgroups: in every hierarchy one per node, `CGROUP/NODE`, and one for the fabric.

Every process of the lab is in one of them, so cleanup needs no pid files. Supports both layouts: v1 controllers with a
v2 tree under `unified` (hybrid), and v2 only. Called by `node`, `network`, `forward` and `cleanup`.
"""

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from lab.paths import CGROUP, HERE
from lab.shell import LabError

ROOT = Path("/sys/fs/cgroup")
_LEAF = "system"
_CONTROLLERS = {"cpu", "cpuset", "hugetlb", "io", "memory", "pids"}


def is_unified(root: Path = ROOT) -> bool:
    return (root / "cgroup.controllers").exists()


def hierarchies(root: Path = ROOT) -> list[Path]:
    """Mount points of all hierarchies: the one v2 tree, or every v1 controller and `unified`."""
    if is_unified(root):
        return [root]
    return sorted(p for p in root.iterdir() if (p / "cgroup.procs").exists() and not p.is_symlink())


def create(member: str, root: Path = ROOT) -> None:
    """Create the cgroups of a node or of the fabric."""
    for hierarchy in hierarchies(root):
        lab = hierarchy / CGROUP
        for folder in (lab, lab / member):
            folder.mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):  # a new v1 cpuset is empty and accepts no process
                if not is_unified(root) and (folder / name).exists():
                    (folder / name).write_text((folder.parent / name).read_text())
        if is_unified(root):
            _delegate_controllers(hierarchy)
            _delegate_controllers(lab)


def prepare_for_pods(member: str, root: Path = ROOT) -> None:
    """Prepare a node's cgroup for pods, after its init has made it the root of a cgroup namespace.

    On v2 a cgroup whose children have controllers must contain no process: they move to a leaf.
    """
    if not is_unified(root):
        return
    folder = root / CGROUP / member
    leaf = folder / _LEAF
    leaf.mkdir()
    for pid in (folder / "cgroup.procs").read_text().split():
        (leaf / "cgroup.procs").write_text(pid)
    _delegate_controllers(folder)


def joining(member: str, *argv: str, root: Path = ROOT) -> list[str]:
    """The command line that runs `argv` in these cgroups."""
    folders = [h / CGROUP / member for h in hierarchies(root)]
    procs = [str((f / _LEAF if (f / _LEAF).exists() else f) / "cgroup.procs") for f in folders]
    return [str(HERE / "join.sh"), *procs, "--", *argv]


def _delegate_controllers(folder: Path) -> None:
    available = set((folder / "cgroup.controllers").read_text().split())
    (folder / "cgroup.subtree_control").write_text(
        " ".join(f"+{c}" for c in sorted(available & _CONTROLLERS))
    )


def pids(root: Path = ROOT) -> set[int]:
    """Every process of the lab."""
    found: set[int] = set()
    for tree in trees(root):
        for procs in tree.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                found.update(int(line) for line in procs.read_text().split())
    return found - {0, os.getpid()}


def kill_all(timeout_s: float = 20) -> None:
    """Send SIGKILL to every process of the lab until none remains."""
    deadline = time.monotonic() + timeout_s
    while alive := pids():
        if time.monotonic() > deadline:
            raise LabError(f"processes of the lab do not exit: {sorted(alive)}")
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def remove_all(timeout_s: float = 10) -> None:
    """Remove the lab's cgroups, leaves first, after their last process has exited."""
    deadline = time.monotonic() + timeout_s
    while left := trees():
        for tree in left:
            folders = [p for p in tree.rglob("*") if p.is_dir()]
            for folder in [*sorted(folders, reverse=True), tree]:
                with contextlib.suppress(OSError):
                    folder.rmdir()
        if time.monotonic() > deadline:
            raise LabError(f"cgroups of the lab are still busy: {', '.join(map(str, left))}")
        time.sleep(0.02)


def trees(root: Path = ROOT) -> Sequence[Path]:
    return [tree for h in hierarchies(root) if (tree := h / CGROUP).exists()]
