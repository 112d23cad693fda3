"""Saves the evidence of runs as files: the most recent runs of each probe, within size limits.

In: finished runs. Out: bundles and pcap files. Called by `evidence_saver`.
"""

import hashlib
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import structlog

from ...diagnose.run.bundle import Bundle
from ...private_file import write_private
from ...publish.status.capture import numbered, pcaps
from ...runs.run_result import RunRecord

log = structlog.get_logger(__name__)

KEPT = 20
# Of the 255 bytes of a file's name, the start and the id of the run and the suffixes need up to 50.
STEM_LIMIT, NODE_LIMIT = 120, 80
_DIGEST_LENGTH = 12
# A truncated bundle could give another verdict than its run: a larger one is not saved at all.
BUNDLE_LIMIT_BYTES = 16 * 1024 * 1024
DIRECTORY_LIMIT_BYTES = 1024 * 1024 * 1024

_BUNDLE = re.compile(r"(?P<run>(?P<stem>.+)\.(?P<started_ms>[0-9]+)\.[^.-]+)(-[0-9]+)?\.json")
_OURS = re.compile(
    r".+\.[0-9]+\.[^.]+\.(json|.+\.pcap)(\.part)?"
)  # .part: left by an operator that was killed while writing


class EvidenceFiles:
    """Files `<namespace>.<name>.<start, ms>.<run id>.json` in one directory, with captures beside them, `.<node>.pcap`.
    Of a run with several paths the second is `<run id>-2`, and so on.

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
        """Write the bundles of the run's paths; delete the oldest runs of this probe beyond `KEPT`, then the oldest
        files of all probes. Blocks; errors are logged.
        """
        if not record.result.bundles:
            return
        stem = _short(f"{namespace}.{name}", STEM_LIMIT)
        run = self._directory / f"{stem}.{round(record.result.started * 1000)}.{record.id}"
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            sizes = self._sizes = self._found() if self._sizes is None else self._sizes
            for number, bundle in enumerate(record.result.bundles, 1):
                self._add_path(sizes, run.with_name(numbered(run.name, number)), bundle)
            for old in _runs_of(sizes, stem)[:-KEPT]:
                for file in [file for file in sizes if file.startswith((f"{old}.", f"{old}-"))]:
                    self._drop(sizes, file)
            self._make_room(sizes)
        except OSError as error:
            log.warning("evidence not saved", path=f"{run}.json", reason=str(error))

    def _add_path(self, sizes: dict[str, int], path: Path, bundle: Bundle) -> None:
        """The bundle of one path, with its captures beside it. Raises OSError."""
        text = bundle.to_json()
        if len(text) > self._bundle_limit_bytes:
            reason = f"{len(text)} bytes exceed the limit"
            log.warning("evidence not saved", path=f"{path}.json", reason=reason)
            return
        self._add(sizes, path.with_name(f"{path.name}.json"), text)
        for node, pcap in pcaps(bundle.run):
            self._add(sizes, path.with_name(f"{path.name}.{_short(node, NODE_LIMIT)}.pcap"), pcap)

    def _add(self, sizes: dict[str, int], path: Path, data: bytes) -> None:
        write_private(path, data)
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


def _short(name: str, limit: int) -> str:
    """The name, or its beginning and a digest: the name of a file has at most 255 bytes."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{name[: limit - _DIGEST_LENGTH - 1]}_{digest}"


def _runs_of(names: Iterable[str], stem: str) -> list[str]:
    """A probe's runs, oldest first; names of other probes may have the same prefix."""
    bundles = (_BUNDLE.fullmatch(name) for name in names if name.startswith(stem))
    found = [bundle for bundle in bundles if bundle and bundle["stem"] == stem]
    by_age = sorted(found, key=lambda bundle: int(bundle["started_ms"]))
    return list(dict.fromkeys(bundle["run"] for bundle in by_age))
