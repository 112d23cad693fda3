"""Removes all traces of a lab, however it ended: processes, mounts, namespaces, cgroups, state.

Called by `lifecycle`.
"""

import contextlib
import shutil
from pathlib import Path

from lab import cgroups
from lab.paths import STATE
from lab.shell import run


def remains() -> list[str]:
    """The traces of a lab, running or killed."""
    found = [f"process {pid}" for pid in sorted(cgroups.pids())]
    found += [f"cgroup {tree}" for tree in cgroups.trees()]
    found += [f"mount {mount}" for mount in _mounts()]
    return found + ([str(STATE)] if STATE.exists() else [])


def remove_everything() -> None:
    """Kill by cgroup, which also ends the namespaces and their mounts; then remove cgroups and state."""
    cgroups.kill_all()
    cgroups.remove_all()
    for mount in reversed(_mounts()):
        run("umount", "--lazy", mount)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(STATE)


def _mounts() -> list[str]:
    """Mounts below the state directory in the machine's mount namespace; normally none."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [point for line in lines if (point := line.split()[4]).startswith(f"{STATE}/")]
