"""Finds the programs that tests run on this machine."""

import os
import shutil
from pathlib import Path

from lab.paths import cache


def find_program(name: str) -> Path | None:
    """A program of Kubernetes: from KUBEBUILDER_ASSETS, the lab's cache (`make lab-up` fills it) or PATH."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    found = (Path(assets, name) if assets else None, newest_build("kubernetes", name), shutil.which(name))
    return next((Path(path) for path in found if path and Path(path).exists()), None)


def newest_build(module: str, name: str) -> Path | None:
    """A program of a module of the lab, from the lab's cache."""
    builds = (cache() / "bin").glob(f"{module}-{'[0-9a-f]' * 16}/{name}")
    return max(builds, key=lambda path: path.stat().st_mtime, default=None)
