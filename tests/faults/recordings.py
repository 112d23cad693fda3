"""Passes of the bench, kept as test data: for each mode and version an index of results, and beside it an archive with
the evidence of each fault.

`make faults-record` puts the last pass there, fault by fault; tests replay it. Archives, because evidence is long and
repeats itself: xz makes 2 % of it. They are read as streams, one member in memory at a time.
"""

import io
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from faults.fault import Outcome
from faults.result import Result
from lab.paths import CHECKOUT

ARCHIVES = CHECKOUT / "tests/data/fault-bench"
_SUFFIX = ".tar.xz"
# What passes that were recorded earlier call a reason.
_RENAMED = {
    "QueueLoses": "QdiscDrops",
    "PacketFilterDrops": "NetfilterDrops",
    "NeighbourWrong": "NeighborMACMismatch",
    "NeighbourUnreachable": "NeighborUnreachable",
    "LostOnTheWire": "LostBetweenNodes",
    "MapNotUsed": "StaleMapInUse",
    "DenialNotWitnessed": "DenialNotObserved",
    "ImplausibleObject": "InvalidObject",
    "ForeignProgramFirst": "ForeignProgram",
    "NoEndpointRoute": "EndpointRouteMissing",
    "NoNodeRoute": "NodeRouteMissing",
    "NoRoute": "RouteMissing",
    "NameServerSilent": "DNSTimeout",
    "NameNotFound": "DNSNoAddress",
    "NameNotResolved": "DNSLookupFailed",
    "NameServerUnreachable": "DNSPathBroken",
    "NoReadyNameServer": "DNSNoReadyEndpoints",
    "NameResolvedElsewhere": "DNSUnexpectedAnswer",
    "NoClient": "CurlNotFound",
    "ClientFailed": "CurlFailed",
    "PodGone": "PodNotFound",
}
# What they call BackendMismatch, where that has several names now, by fault.
_SPLIT = {
    "affinity-that-nobody-asked-for": "AffinityMismatch",
    "frontend-taken-for-an-external-ip": "ServiceFlagsMismatch",
    "frontend-with-the-reverse-nat-of-another": "ReverseNATMismatch",
}
_OLD_REASON = re.compile(rf"\b({'|'.join(_RENAMED)})\b")


def passes() -> dict[str, Path]:
    """The archives by name, `cilium-<version>-<mode>`."""
    return {path.name.removesuffix(_SUFFIX): path for path in sorted(ARCHIVES.glob(f"*{_SUFFIX}"))}


def index(archive: Path) -> dict[str, Result]:
    """Results by the names of their faults, in the order of the archive's members. The archive is not read."""
    path = _index_path(archive)
    return {result.fault: result for result in _results(path.read_bytes())} if path.exists() else {}


def bundles(archive: Path) -> Iterator[tuple[str, bytes]]:
    """The evidence of each fault of the index, by the fault's name, in that order; read as it is asked for."""
    faults = index(archive)
    with tarfile.open(archive, "r|xz") as tar:
        for member in tar:
            fault = member.name.removesuffix(".json")
            if fault in faults:
                yield fault, _content(tar, member)


class Reader:
    """Evidence by the name of the fault, for who asks in the order of the index: going back starts the stream again."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self._ahead = bundles(archive)

    def bundle(self, fault: str) -> bytes:
        """KeyError if the archive has none of this fault."""
        for _ in range(2):
            for name, bundle in self._ahead:
                if name == fault:
                    return bundle
            self._ahead = bundles(self._archive)
        raise KeyError(f"{self._archive.name} has no evidence of {fault}")


def record(results: Path, evidence: Path, archives: Path = ARCHIVES) -> Iterator[Path]:
    """Put a pass into the archives: its `faults.json`, and the folder with the evidence of each mode. Yields them."""
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
    """Known faults keep their place, and their evidence unless there is newer; others follow."""
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
    assert file is not None, f"{member.name} is no file"
    return file.read()


def _index_path(archive: Path) -> Path:
    return archive.with_name(archive.name.removesuffix(_SUFFIX) + ".json")


def _results(text: bytes) -> list[Result]:
    return [_result(raw) for raw in json.loads(text)]


def _result(raw: dict[str, Any]) -> Result:
    named = {key: _OLD_REASON.sub(lambda old: _RENAMED[old[0]], raw[key]) for key in ("expected", "got")}
    if split := _SPLIT.get(raw["fault"]):
        named = {key: text.replace("BackendMismatch", split) for key, text in named.items()}
    return Result(**{**raw, **named, "outcome": Outcome(raw["outcome"])})


if __name__ == "__main__":
    for recorded in record(CHECKOUT / "build/faults.json", CHECKOUT / "build/faults"):
        print(f"{len(index(recorded))} faults in {recorded.relative_to(CHECKOUT)}")
