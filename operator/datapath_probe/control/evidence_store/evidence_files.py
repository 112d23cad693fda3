"""Saves the evidence of runs as files: the most recent runs of each probe, within size limits.

In: finished runs. Out: bundles and pcap files. Called by `evidence_saver`.
"""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import structlog

from ...publish.status.capture import pcaps
from ...runs.run_result import RunRecord

log = structlog.get_logger(__name__)

KEPT = 20
# A truncated bundle could give another verdict than its run: a larger one is not saved at all.
BUNDLE_LIMIT_BYTES = 16 * 1024 * 1024
DIRECTORY_LIMIT_BYTES = 1024 * 1024 * 1024

_BUNDLE = re.compile(r"(?P<stem>.+)\.(?P<started_ms>[0-9]+)\.[^.]+\.json")
_OURS = re.compile(
    r".+\.[0-9]+\.[^.]+\.(json|.+\.pcap)(\.part)?"
)  # .part: left by an operator that was killed while writing


class EvidenceFiles:
    """Files `<namespace>.<name>.<start, ms>.<run id>.json` in one directory, with captures beside them, `.<node>.pcap`.

    Files with other names are not touched. The directory is listed once; after that the file sizes are kept in memory,
    and no other process is expected to write there.
    """

    def __init__(
        self,
        directory: Path,
        bundle_limit_bytes: int = BUNDLE_LIMIT_BYTES,
        directory_limit_bytes: int = DIRECTORY_LIMIT_BYTES,
    ) -> None:
        self._directory = directory
        self._bundle_limit_bytes = bundle_limit_bytes
        self._directory_limit_bytes = directory_limit_bytes
        self._sizes: dict[str, int] | None = None  # of our files by name, oldest first

    def save(self, namespace: str, name: str, record: RunRecord) -> None:
        """Write the run's bundle; delete the oldest of this probe beyond `KEPT`, then the oldest of all probes. Blocks;
        errors are logged.
        """
        bundle = record.result.bundle
        if bundle is None:
            return
        stem = f"{namespace}.{name}"
        path = self._directory / f"{stem}.{round(record.result.started * 1000)}.{record.id}.json"
        text = bundle.to_json()
        if len(text) > self._bundle_limit_bytes:
            log.warning("evidence not saved", path=str(path), reason=f"{len(text)} bytes exceed the limit")
            return
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            sizes = self._sizes = self._found() if self._sizes is None else self._sizes
            self._add(sizes, path, text)
            for node, pcap in pcaps(bundle.run):
                self._add(sizes, path.with_suffix(f".{node}.pcap"), pcap)
            for old in _of(sizes, stem)[:-KEPT]:
                run = old.removesuffix("json")
                for file in [file for file in sizes if file.startswith(run)]:  # including its captures
                    self._drop(sizes, file)
            self._make_room(sizes)
        except OSError as error:
            log.warning("evidence not saved", path=str(path), reason=str(error))

    def _add(self, sizes: dict[str, int], path: Path, data: bytes) -> None:
        _write(path, data)
        sizes.pop(path.name, None)
        sizes[path.name] = len(data)

    def _drop(self, sizes: dict[str, int], name: str) -> None:
        (self._directory / name).unlink(missing_ok=True)
        del sizes[name]

    def _make_room(self, sizes: dict[str, int]) -> None:
        """Delete the oldest files of all probes, including deleted probes, until the rest fits."""
        excess = sum(sizes.values()) - self._directory_limit_bytes
        for name, size in tuple(sizes.items()):
            if excess <= 0:
                return
            self._drop(sizes, name)
            excess -= size

    def _found(self) -> dict[str, int]:
        """The sizes of our files; files that are deleted concurrently are skipped."""
        stats = {}
        for path in self._directory.iterdir():
            if _OURS.fullmatch(path.name):
                with suppress(FileNotFoundError):
                    stats[path.name] = path.stat()
        by_age = sorted(stats.items(), key=lambda file: file[1].st_mtime_ns)
        return {name: stat.st_size for name, stat in by_age}


def _of(names: Iterable[str], stem: str) -> list[str]:
    """A probe's bundles, oldest first; names of other probes may have the same prefix."""
    bundles = (_BUNDLE.fullmatch(name) for name in names if name.startswith(stem))
    found = [bundle for bundle in bundles if bundle and bundle["stem"] == stem]
    return [bundle[0] for bundle in sorted(found, key=lambda bundle: int(bundle["started_ms"]))]


def _write(path: Path, data: bytes) -> None:
    """Write the file atomically and readable by the owner only. Raises OSError."""
    part = path.with_name(f"{path.name}.part")
    try:
        with open(part, "wb", opener=_open_private) as file:
            file.write(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)
