"""Finds the programs that tests run on this machine."""

import os
import shutil
from pathlib import Path

from lab.paths import cache


def find_program(name: str) -> Path | None:
    """A program of Kubernetes: from KUBEBUILDER_ASSETS, the lab's cache (`make lab-up` fills it) or PATH."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    built = (cache() / "bin").glob(f"kubernetes-{'[0-9a-f]' * 16}/{name}")
    newest_first = sorted(built, key=lambda path: path.stat().st_mtime, reverse=True)
    found = (Path(assets, name) if assets else None, *newest_first, shutil.which(name))
    return next((Path(path) for path in found if path and Path(path).exists()), None)
