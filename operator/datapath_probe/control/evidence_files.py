"""Saves the evidence of runs as files, the newest few of each probe. Called by `conductor`."""

from pathlib import Path

import structlog

from ..publish.capture import pcaps
from ..publish.run_result import RunRecord

log = structlog.get_logger(__name__)

KEPT = 20


class EvidenceFiles:
    """Files `<namespace>.<name>.<start, ms>.<run id>.json` in one folder, and beside them captures, `.<node>.pcap`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, namespace: str, name: str, record: RunRecord) -> None:
        """Write the run's bundle and drop the oldest beyond `KEPT`. Blocks; trouble is logged."""
        if record.result.bundle is None:
            return
        stem = f"{namespace}.{name}"
        path = self._folder / f"{stem}.{round(record.result.started * 1000)}.{record.id}.json"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(record.result.bundle.to_json())
            for node, pcap in pcaps(record.result.bundle.run):
                path.with_suffix(f".{node}.pcap").write_bytes(pcap)
            for old in self._of(stem)[:-KEPT]:
                for file in (old, *self._folder.glob(f"{old.stem}.*.pcap")):
                    file.unlink(missing_ok=True)
        except OSError as error:
            log.warning("evidence not saved", path=str(path), reason=str(error))

    def _of(self, stem: str) -> list[Path]:
        """A probe's files, oldest first; the names of others may begin with the same letters."""
        parts = stem.count(".") + 3
        found = [path for path in self._folder.glob(f"{stem}.*.json") if path.name.count(".") == parts]
        return sorted(found, key=lambda path: int(path.name.rsplit(".", 3)[1]))
