"""Saves the evidence of runs as files: by kind of run for each probe, within size limits.

In: finished runs. Out: bundles and pcap files. Called by `evidence_saver`.
"""

from datetime import UTC, datetime
from pathlib import Path

import structlog

from ...diagnose.run.bundle import Bundle
from ...private_file import write_private
from ...publish.status.capture import numbered, pcaps
from ...publish.status.saved_run import RunKind, bundle_name, epoch_ms, run_name, short, stem
from ...runs.run_result import RunRecord
from .retention import SavedRun, kept
from .saved_runs import SavedRuns, found_in

log = structlog.get_logger(__name__)

NODE_LIMIT = 80
# A truncated bundle could give another verdict than its run: a larger one is not saved at all.
BUNDLE_LIMIT_BYTES = 16 * 1024 * 1024
DIRECTORY_LIMIT_BYTES = 1024 * 1024 * 1024


class EvidenceFiles:
    """Files `<namespace>.<name>.<start, ms>.<run id>.<kind>.json` in one directory, with captures beside them,
    `.<node>.pcap`. Of a run with several paths the second is `<run id>-2`, and so on.

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
        self._saved: SavedRuns | None = None

    def is_kept(self, name: str) -> bool:
        """Whether there is a file of this name, as far as is known. May be called while another thread saves."""
        return self._saved is None or self._saved.has(name)

    def save(self, namespace: str, name: str, record: RunRecord, kind: RunKind) -> None:
        """Write the bundles of the run's paths, and delete what is no longer wanted. Blocks; errors are logged."""
        if not record.result.bundles:
            return
        probe = stem(namespace, name)
        started_ms = epoch_ms(datetime.fromtimestamp(record.result.started, UTC))
        run = SavedRun(probe, run_name(probe, record), started_ms, kind)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            saved = self._saved = found_in(self._directory) if self._saved is None else self._saved
            saved.add(run)
            for number, bundle in enumerate(record.result.bundles, 1):
                self._add_path(saved, run, number, bundle)
            self._make_room(saved, probe)
        except OSError as error:
            log.warning("evidence not saved", path=str(self._directory / run.name), reason=str(error))

    def _make_room(self, saved: SavedRuns, probe: str) -> None:
        """Delete runs of this probe that are not wanted, then of the namespace that has the most what is worth least.
        Raises OSError.
        """
        runs = saved.of_probe(probe)
        wanted = kept(runs)
        for run in runs:
            if run.name not in wanted or not run.files:
                self._drop(saved, run)
        while saved.total_bytes > self._directory_limit_bytes and (least := saved.worth_least()):
            self._drop(saved, least)

    def _add_path(self, saved: SavedRuns, run: SavedRun, number: int, bundle: Bundle) -> None:
        """The bundle of one path, with its captures beside it. Raises OSError."""
        text, name = bundle.to_json(), bundle_name(run.name, number, run.kind)
        if len(text) > self._bundle_limit_bytes:
            reason = f"{len(text)} bytes exceed the limit"
            log.warning("evidence not saved", path=str(self._directory / name), reason=reason)
            return
        self._add(saved, run, name, text)
        for node, pcap in pcaps(bundle.run):
            self._add(saved, run, f"{numbered(run.name, number)}.{short(node, NODE_LIMIT)}.pcap", pcap)

    def _add(self, saved: SavedRuns, run: SavedRun, name: str, data: bytes) -> None:
        write_private(self._directory / name, data)
        saved.add_file(run, name, len(data))

    def _drop(self, saved: SavedRuns, run: SavedRun) -> None:
        for name in tuple(run.files):
            (self._directory / name).unlink(missing_ok=True)
            saved.remove_file(run, name)
        saved.remove(run)
