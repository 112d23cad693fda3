"""Saves the evidence of runs as files, the newest few of each probe, within bounds. Called by `conductor`."""

from pathlib import Path

import structlog

from ..publish.capture import pcaps
from ..publish.run_result import RunRecord

log = structlog.get_logger(__name__)

KEPT = 20
# A bundle that was cut might be judged otherwise than its run: a larger one is not saved at all.
BUNDLE_LIMIT_BYTES = 16 * 1024 * 1024
FOLDER_LIMIT_BYTES = 1024 * 1024 * 1024


class EvidenceFiles:
    """Files `<namespace>.<name>.<start, ms>.<run id>.json` in one folder, and beside them captures, `.<node>.pcap`."""

    def __init__(
        self,
        folder: Path,
        bundle_limit_bytes: int = BUNDLE_LIMIT_BYTES,
        folder_limit_bytes: int = FOLDER_LIMIT_BYTES,
    ) -> None:
        self._folder = folder
        self._bundle_limit_bytes = bundle_limit_bytes
        self._folder_limit_bytes = folder_limit_bytes

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
            self._folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
            for node, pcap in pcaps(bundle.run):
                path.with_suffix(f".{node}.pcap").write_bytes(pcap)
            for old in self._of(stem)[:-KEPT]:
                for file in (old, *self._folder.glob(f"{old.stem}.*.pcap")):
                    file.unlink(missing_ok=True)
            self._make_room()
        except OSError as error:
            log.warning("evidence not saved", path=str(path), reason=str(error))

    def _make_room(self) -> None:
        """Drop the oldest files of all probes, also of those that are gone, until the rest fits."""
        files = [(path.stat(), path) for path in self._folder.iterdir()]
        excess = sum(stat.st_size for stat, _ in files) - self._folder_limit_bytes
        for stat, path in sorted(files, key=lambda file: file[0].st_mtime_ns):
            if excess <= 0:
                return
            path.unlink(missing_ok=True)
            excess -= stat.st_size

    def _of(self, stem: str) -> list[Path]:
        """A probe's files, oldest first; the names of others may begin with the same letters."""
        parts = stem.count(".") + 3
        found = [path for path in self._folder.glob(f"{stem}.*.json") if path.name.count(".") == parts]
        return sorted(found, key=lambda path: int(path.name.rsplit(".", 3)[1]))
