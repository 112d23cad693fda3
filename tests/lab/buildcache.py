"""The build cache: directories named by a hash of their inputs.

In: inputs and a build function. Out: a directory. Called by all modules that build.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from lab.paths import cache
from lab.shell import step

_KEY_LENGTH = 16
_KEPT = 3
"""Number of builds per name that stay in the cache, so that switching between checkouts builds nothing."""


def digest(*parts: str | bytes | Path) -> str:
    """Hash of strings, files, and all files below directories (names and contents), except bytecode."""
    whole = hashlib.sha256()
    for part in parts:
        for blob in _blobs(part):
            whole.update(hashlib.sha256(blob).digest())
    return whole.hexdigest()[:_KEY_LENGTH]


def _blobs(part: str | bytes | Path) -> Iterable[bytes]:
    match part:
        case str():
            yield part.encode()
        case bytes():
            yield part
        case Path() if part.is_dir():
            for file in sorted(p for p in part.rglob("*") if p.is_file() and p.suffix != ".pyc"):
                yield str(file.relative_to(part)).encode()
                yield file.read_bytes()
        case Path():
            yield part.read_bytes()


def cached(kind: str, name: str, key: str, make: Callable[[Path], None]) -> Path:
    """The directory `kind/name-key` of the cache; if it is missing, `make` fills it.

    A `make` that fails or is killed leaves no complete entry. Of two concurrent callers, one builds and the other
    waits.
    """
    folder = cache() / kind / f"{name}-{key}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = folder.with_name(f"{name}.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            with step(f"building {kind} of {name}"):
                make(unfinished)
            unfinished.rename(folder)
        os.utime(folder)
        _prune(folder.parent, name)
    return folder


def _prune(folder: Path, name: str) -> None:
    """Remove all but the most recently used builds of `name`."""
    builds = [p for p in folder.iterdir() if p.name[:-_KEY_LENGTH] == f"{name}-"]
    for build in sorted(builds, key=lambda p: p.stat().st_mtime, reverse=True)[_KEPT:]:
        shutil.rmtree(build)
