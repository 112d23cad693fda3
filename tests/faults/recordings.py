"""Runs of the bench as test data: for each mode and version an index of results and an archive of evidence.

In: the results and evidence of the last run, saved by `make faults-record`. Out: indexes and bundles, which tests
replay. xz reduces the evidence to 2 %; archives are streamed, one member in memory at a time.
"""

import io
import json
import tarfile
from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path

from faults.fault import Outcome
from faults.result import Result
from lab.paths import CHECKOUT

ARCHIVES = CHECKOUT / "tests/data/fault-bench"
_SUFFIX = ".tar.xz"


def passes() -> dict[str, Path]:
    """The archives by name, `cilium-<version>-<mode>`."""
    return {path.name.removesuffix(_SUFFIX): path for path in sorted(ARCHIVES.glob(f"*{_SUFFIX}"))}


def index(archive: Path) -> dict[str, Result]:
    """Results by fault name, in the order of the archive's members. Does not read the archive."""
    path = _index_path(archive)
    return {result.fault: result for result in _results(path.read_bytes())} if path.exists() else {}


def bundles(archive: Path) -> Generator[tuple[str, bytes]]:
    """Stream the evidence of each fault in the index, in its order."""
    faults = index(archive)
    with tarfile.open(archive, "r|xz") as tar:
        for member in tar:
            fault = member.name.removesuffix(".json")
            if fault in faults:
                yield fault, _content(tar, member)


class Reader:
    """Evidence by fault name, efficient in the order of the index: going back restarts the stream."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self._ahead = bundles(archive)

    def bundle(self, fault: str) -> bytes:
        """The evidence of a fault. Raises KeyError if the archive has none."""
        for _ in range(2):
            for name, bundle in self._ahead:
                if name == fault:
                    return bundle
            self._ahead = bundles(self._archive)
        raise KeyError(f"{self._archive.name} has no evidence of {fault}")

    def close(self) -> None:
        """Close the archive."""
        self._ahead.close()


def record(results: Path, evidence: Path, archives: Path = ARCHIVES) -> Iterator[Path]:
    """Add a run to the archives: its `faults.json` and the evidence of each mode. Yields the archives."""
    passed = _results(results.read_bytes())
    for mode, version in dict.fromkeys((result.mode, result.version) for result in passed):
        new = {
            result.fault: result
            for result in passed
            if (result.mode, result.version) == (mode, version) and result.outcome is not Outcome.UNDONE
        }
        archive = archives / f"cilium-{version}-{mode}{_SUFFIX}"
        _write(new, evidence / mode, archive)
        yield archive


def _write(new: dict[str, Result], evidence: Path, archive: Path) -> None:
    """Known faults keep their position, and their evidence unless there is newer; new ones are appended."""
    known = index(archive)
    archive.parent.mkdir(parents=True, exist_ok=True)
    written = archive.with_suffix(".new")
    with tarfile.open(written, "w:xz") as tar:
        for fault, old in bundles(archive) if known else ():
            _add(tar, fault, _evidence(evidence, fault) if fault in new else old)
        for fault in new:
            if fault not in known:
                _add(tar, fault, _evidence(evidence, fault))
    written.replace(archive)
    lines = ",\n".join(json.dumps(asdict(result)) for result in (known | new).values())
    _index_path(archive).write_text(f"[\n{lines}\n]\n")


def _evidence(folder: Path, fault: str) -> bytes:
    return (folder / f"{fault}.json").read_bytes()


def _add(tar: tarfile.TarFile, fault: str, bundle: bytes) -> None:
    member = tarfile.TarInfo(f"{fault}.json")
    member.size = len(bundle)
    tar.addfile(member, io.BytesIO(bundle))


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None, f"{member.name} is not a file"
    return file.read()


def _index_path(archive: Path) -> Path:
    return archive.with_name(archive.name.removesuffix(_SUFFIX) + ".json")


def _results(text: bytes) -> list[Result]:
    return [Result(**{**raw, "outcome": Outcome(raw["outcome"])}) for raw in json.loads(text)]


if __name__ == "__main__":
    for recorded in record(CHECKOUT / "build/faults.json", CHECKOUT / "build/faults"):
        print(f"{len(index(recorded))} faults in {recorded.relative_to(CHECKOUT)}")
