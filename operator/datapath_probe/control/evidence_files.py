"""Saves the evidence of runs as files, the newest few of each probe, within bounds. Called by `conductor`."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

import structlog

from ..publish.capture import pcaps
from ..publish.run_result import RunRecord

log = structlog.get_logger(__name__)

KEPT = 20
# A bundle that was cut might be judged otherwise than its run: a larger one is not saved at all.
BUNDLE_LIMIT_BYTES = 16 * 1024 * 1024
FOLDER_LIMIT_BYTES = 1024 * 1024 * 1024

_BUNDLE = re.compile(r"(?P<stem>.+)\.(?P<started_ms>[0-9]+)\.[^.]+\.json")
_OURS = re.compile(r".+\.[0-9]+\.[^.]+\.(json|.+\.pcap)(\.part)?")  # .part: the operator died while it wrote


class EvidenceFiles:
    """Files `<namespace>.<name>.<start, ms>.<run id>.json` in one folder, and beside them captures, `.<node>.pcap`.

    Files of other names are left alone.
    """

    def __init__(
        self,
        folder: Path,
        bundle_limit_bytes: int = BUNDLE_LIMIT_BYTES,
        folder_limit_bytes: int = FOLDER_LIMIT_BYTES,
    ) -> None:
        self._folder = folder
        self._bundle_limit_bytes = bundle_limit_bytes
        self._folder_limit_bytes = folder_limit_bytes
        self._lock = Lock()  # runs end, and are saved, in several threads

    def save(self, namespace: str, name: str, record: RunRecord) -> None:
        """Write the run's bundle; of this probe the oldest beyond `KEPT` go, then the oldest of all. Blocks; trouble is
        logged.
        """
        bundle = record.result.bundle
        if bundle is None:
            return
        stem = f"{namespace}.{name}"
        path = self._folder / f"{stem}.{round(record.result.started * 1000)}.{record.id}.json"
        text = bundle.to_json()
        if len(text) > self._bundle_limit_bytes:
            log.warning("evidence not saved", path=str(path), reason=f"{len(text)} bytes are too many")
            return
        try:
            with self._lock:
                self._folder.mkdir(parents=True, exist_ok=True)
                _write(path, text)
                for node, pcap in pcaps(bundle.run):
                    _write(path.with_suffix(f".{node}.pcap"), pcap)
                for old in self._of(stem)[:-KEPT]:
                    for file in (old, *self._folder.glob(f"{old.stem}.*.pcap")):
                        file.unlink(missing_ok=True)
                self._make_room()
        except OSError as error:
            log.warning("evidence not saved", path=str(path), reason=str(error))

    def _make_room(self) -> None:
        """Drop the oldest files of all probes, also of those that are gone, until the rest fits."""
        files = list(self._sizes())
        excess = sum(stat.st_size for stat, _ in files) - self._folder_limit_bytes
        for stat, path in sorted(files, key=lambda file: file[0].st_mtime_ns):
            if excess <= 0:
                return
            path.unlink(missing_ok=True)
            excess -= stat.st_size

    def _sizes(self) -> Iterator[tuple[os.stat_result, Path]]:
        """Our files, but those that somebody removes meanwhile."""
        for path in self._folder.iterdir():
            if _OURS.fullmatch(path.name):
                try:
                    yield path.stat(), path
                except FileNotFoundError:
                    continue

    def _of(self, stem: str) -> list[Path]:
        """A probe's bundles, oldest first; the names of others may begin with the same letters."""
        names = (_BUNDLE.fullmatch(path.name) for path in self._folder.iterdir())
        found = [name for name in names if name and name["stem"] == stem]
        return [self._folder / name[0] for name in sorted(found, key=lambda name: int(name["started_ms"]))]


def _write(path: Path, data: bytes) -> None:
    """The whole file or none, for nobody else to read. Raises OSError."""
    part = path.with_name(f"{path.name}.part")
    try:
        with open(part, "wb", opener=_open_private) as file:
            file.write(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)
