"""The test data that a run of the bench leaves: an index and an archive that agree."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pytest

from faults import recordings
from faults.fault import Outcome
from faults.result import Result

RIGHT, UNDONE = Outcome.RIGHT, Outcome.UNDONE


def recorded(folder: Path, evidence: Mapping[str, str], **outcomes: Outcome) -> Path:
    """The archive after a run with these outcomes; `evidence`: the evidence of each fault."""
    results = [Result(fault, "vxlan", "1.18.5", "", "", outcome, 1.0) for fault, outcome in outcomes.items()]
    (folder / "faults.json").write_text(json.dumps([asdict(result) for result in results]))
    (folder / "vxlan").mkdir(exist_ok=True)
    for fault, seen in evidence.items():
        (folder / "vxlan" / f"{fault}.json").write_text(seen)
    [archive] = recordings.record(folder / "faults.json", folder, folder / "archives")
    return archive


def test_index_and_archive_have_the_same_faults_in_the_same_order(tmp_path: Path) -> None:
    archive = recorded(tmp_path, {"b": "1", "a": "2"}, b=RIGHT, a=RIGHT, c=UNDONE)
    assert list(recordings.index(archive)) == ["b", "a"]
    assert list(recordings.bundles(archive)) == [("b", b"1"), ("a", b"2")]


def test_a_later_run_replaces_its_faults_and_keeps_the_rest(tmp_path: Path) -> None:
    recorded(tmp_path, {"b": "1", "a": "2"}, b=RIGHT, a=RIGHT)
    archive = recorded(tmp_path, {"b": "old", "a": "3", "d": "4"}, d=RIGHT, a=Outcome.HONEST, b=UNDONE)
    assert [(r.fault, r.outcome) for r in recordings.index(archive).values()] == [
        ("b", RIGHT),
        ("a", Outcome.HONEST),
        ("d", RIGHT),
    ]
    assert list(recordings.bundles(archive)) == [("b", b"1"), ("a", b"3"), ("d", b"4")]


def test_evidence_is_found_in_any_order(tmp_path: Path) -> None:
    reader = recordings.Reader(recorded(tmp_path, {"b": "1", "a": "2"}, b=RIGHT, a=RIGHT))
    assert [reader.bundle(fault) for fault in ("a", "b", "b", "a")] == [b"2", b"1", b"1", b"2"]
    with pytest.raises(KeyError):
        reader.bundle("c")


@pytest.mark.parametrize("name", recordings.passes())
def test_every_archive_has_its_index(name: str) -> None:
    assert len(recordings.index(recordings.passes()[name])) > 100
