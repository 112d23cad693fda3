"""The prerequisites of the lab, checked before any change; a missing one is reported in one sentence.

Called by `lifecycle`, `cli` and the tests that need the lab.
"""

import os
import sys
from pathlib import Path

from lab import packages, toolchain
from lab.cgroups import ROOT
from lab.shell import LabError


def check() -> None:
    """Raises LabError with the first missing prerequisite."""
    if reason := unmet():
        raise LabError(f"the lab cannot run here: {reason}")


def unmet() -> str | None:
    """The reason why the lab cannot run on this machine; None if it can."""
    if sys.platform != "linux":
        return f"it needs Linux, this is {sys.platform}"
    if os.geteuid() != 0:
        return "it creates namespaces and mounts, so it must run as root"
    if not bpf_in_kernel():
        return "the kernel has no BPF file system (CONFIG_BPF_SYSCALL)"
    if not supported_cgroups(ROOT):
        return f"cgroups must be mounted at {ROOT}, either v2 or v1 controllers with v2 at {ROOT}/unified"
    if not packages.obtainable():
        return f"there is no apt-get to install what is missing: {', '.join(packages.missing())}"
    if not toolchain.obtainable():
        return "there is neither a Go toolchain nor Python's venv module to install one with"
    return None


def bpf_in_kernel(filesystems: Path = Path("/proc/filesystems")) -> bool:
    return "bpf" in filesystems.read_text().split()


def supported_cgroups(root: Path) -> bool:
    return (root / "cgroup.controllers").exists() or (
        (root / "unified/cgroup.procs").exists() and (root / "memory/cgroup.procs").exists()
    )
