"""Passes of the bench, kept as test data: an archive per mode and version, with results and each fault's evidence.

`make faults-record` puts the last pass there, fault by fault; tests replay it. Archives, because evidence is long and
repeats itself: xz makes 2 % of it.
"""

import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from faults.fault import Outcome
from faults.result import Result
from lab.paths import CHECKOUT

ARCHIVES = CHECKOUT / "tests/data/fault-bench"
_RESULTS = "faults.json"
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
_OLD_REASON = re.compile(rf"\b({'|'.join(_RENAMED)})\b")


@dataclass(frozen=True, slots=True)
class Recording:
    """The answer to a fault, and the run that gave it."""

    result: Result
    bundle: bytes


def read(archive: Path) -> dict[str, Recording]:
    """Recordings by the names of their faults, in the order in which they were tried."""
    with tarfile.open(archive) as tar:
        results = {result.fault: result for result in _results(_member(tar, _RESULTS))}
        return {fault: Recording(result, _member(tar, f"{fault}.json")) for fault, result in results.items()}


def record(results: Path, evidence: Path) -> Iterator[Path]:
    """Put a pass into the archives: its `faults.json`, and the folder with the evidence of each mode. Yields them."""
    passed = _results(results.read_bytes())
    for mode, version in dict.fromkeys((result.mode, result.version) for result in passed):
        archive = ARCHIVES / f"cilium-{version}-{mode}.tar.xz"
        known = read(archive) if archive.exists() else {}
        new = {
            result.fault: Recording(result, (evidence / mode / f"{result.fault}.json").read_bytes())
            for result in passed
            if (result.mode, result.version) == (mode, version) and result.outcome is not Outcome.UNDONE
        }
        _write(known | new, archive)
        yield archive


def _write(recordings: Mapping[str, Recording], archive: Path) -> None:
    archive.parent.mkdir(exist_ok=True)
    results = json.dumps([asdict(recording.result) for recording in recordings.values()], indent=1)
    with tarfile.open(archive, "w:xz") as tar:
        _add(tar, _RESULTS, results.encode())
        for fault, recording in recordings.items():
            _add(tar, f"{fault}.json", recording.bundle)


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None, f"{name} is no file"
    return file.read()


def _results(text: bytes) -> list[Result]:
    return [_result(raw) for raw in json.loads(text)]


def _result(raw: dict[str, Any]) -> Result:
    named = {key: _OLD_REASON.sub(lambda old: _RENAMED[old[0]], raw[key]) for key in ("expected", "got")}
    return Result(**{**raw, **named, "outcome": Outcome(raw["outcome"])})


if __name__ == "__main__":
    for written in record(CHECKOUT / "build/faults.json", CHECKOUT / "build/faults"):
        print(f"{len(read(written))} faults in {written.relative_to(CHECKOUT)}")
