"""Saved evidence: files of the runs that are kept, within the limits; other files are not touched."""

import os
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from datapath_probe.api.status.past_runs import FAILURES_LIMIT as KEPT
from datapath_probe.api.vocabulary import ProbeVerdict
from datapath_probe.control.evidence_store.evidence_files import EvidenceFiles
from datapath_probe.diagnose.run.bundle import Bundle
from datapath_probe.diagnose.run.run import PathRun, Request
from datapath_probe.evidence.reading import Answer
from datapath_probe.evidence.store import Evidence
from datapath_probe.publish.status.saved_run import RunKind
from datapath_probe.runs.run_result import RunRecord
from datapath_probe.sources.capture import pcap
from unit.publish.samples import CANNOT_RUN, NOW, healthy, plan, record

BUNDLE = Bundle(PathRun(plan(), Request(NOW, 20001, None)))


BROKEN, HEALTHY = RunKind(ProbeVerdict.BROKEN), RunKind(ProbeVerdict.HEALTHY)


def run(number: int) -> RunRecord:
    made = record(healthy(), NOW + number, id_=f"run{number}")
    return replace(made, result=replace(made.result, bundles=(BUNDLE,)))


def test_a_saved_run_can_be_replayed(tmp_path: Path) -> None:
    EvidenceFiles(tmp_path / "new").save("default", "landing", run(0), BROKEN)
    (path,) = (tmp_path / "new").iterdir()
    assert path.name == "default.landing.1790000000000.run0.broken.json"
    assert Bundle.from_json(path.read_bytes()).run.plan == BUNDLE.run.plan


def test_captures_are_saved_and_deleted_with_their_run(tmp_path: Path) -> None:
    fact = pcap.fact("node1", [IPv4Address("10.244.1.27")], 20001, 8472, 10)
    evidence = Evidence({fact: (Answer(0, b"pcap", b"", NOW, 1.0),)})
    captured = run(0)
    bundle = Bundle(replace(BUNDLE.run, evidence=evidence))
    files = EvidenceFiles(tmp_path)
    files.save(
        "default", "landing", replace(captured, result=replace(captured.result, bundles=(bundle,))), BROKEN
    )
    capture_file = tmp_path / "default.landing.1790000000000.run0.node1.pcap"
    assert capture_file.read_bytes() == b"pcap"
    for number in range(1, KEPT + 1):
        files.save("default", "landing", run(number), BROKEN)
    assert not capture_file.exists()


def test_only_the_most_recent_runs_of_each_probe_are_kept(tmp_path: Path) -> None:
    files = EvidenceFiles(tmp_path)
    for name in ("landing", "landing.gear", "land"):
        for number in range(KEPT + 5):
            files.save("default", name, run(number), BROKEN)
    for name in ("landing", "landing.gear", "land"):
        ids = {
            path.name.split(".")[-3]
            for path in tmp_path.iterdir()
            if path.name.startswith(f"default.{name}.1")
        }
        assert ids == {f"run{number}" for number in range(5, KEPT + 5)}


def test_the_total_size_is_bounded(tmp_path: Path) -> None:
    size = len(BUNDLE.to_json())
    files = EvidenceFiles(tmp_path, directory_limit_bytes=3 * size)
    for number, name in enumerate(("gone", "landing", "landing", "far")):
        files.save("default", name, run(number), BROKEN)
    assert sorted(path.name.split(".")[-3] for path in tmp_path.iterdir()) == ["run1", "run2", "run3"]


OUTAGE = RunKind(ProbeVerdict.BROKEN, failing_since=1, outage=True)


def probes_in(directory: Path, namespace: str) -> set[str]:
    return {path.name.split(".")[1] for path in directory.glob(f"{namespace}.*")}


@pytest.mark.parametrize("restarts", [False, True])
def test_a_namespace_within_its_share_loses_nothing_to_one_that_has_more(
    tmp_path: Path, restarts: bool
) -> None:
    limit = 6 * len(BUNDLE.to_json())
    files = EvidenceFiles(tmp_path, directory_limit_bytes=limit)
    for number in range(3):
        files.save("modest", f"probe{number}", run(number), HEALTHY)
    for number in range(3, 30):
        if restarts:
            files = EvidenceFiles(tmp_path, directory_limit_bytes=limit)
        files.save("greedy", f"probe{number}", run(number), OUTAGE)
    assert probes_in(tmp_path, "modest") == {"probe0", "probe1", "probe2"}
    assert probes_in(tmp_path, "greedy") == {"probe27", "probe28", "probe29"}


def test_a_namespace_uses_what_others_leave(tmp_path: Path) -> None:
    files = EvidenceFiles(tmp_path, directory_limit_bytes=6 * len(BUNDLE.to_json()))
    files.save("modest", "probe", run(0), HEALTHY)
    for number in range(1, 10):
        files.save("default", f"probe{number}", run(number), OUTAGE)
    assert (len(probes_in(tmp_path, "modest")), len(probes_in(tmp_path, "default"))) == (1, 5)


def test_files_with_other_names_are_not_touched(tmp_path: Path) -> None:
    others = ("default.landing.old.run1.json", "default.landing.json", "notes.txt", "lost+found")
    for name in others:
        (tmp_path / name).write_text("x" * 1000)
    files = EvidenceFiles(tmp_path, directory_limit_bytes=1)
    for number in range(KEPT + 2):
        files.save("default", "landing", run(number), BROKEN)
    assert {path.name for path in tmp_path.iterdir()} == set(others)


def test_only_the_operator_can_read_the_evidence(tmp_path: Path) -> None:
    EvidenceFiles(tmp_path).save("default", "landing", run(0), BROKEN)
    assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o600]


def test_an_unfinished_file_of_a_killed_operator_is_deleted_like_others(tmp_path: Path) -> None:
    unfinished = tmp_path / "default.landing.1790000000000.dead.json.part"
    unfinished.write_text("{")
    os.utime(unfinished, (1, 1))
    EvidenceFiles(tmp_path, directory_limit_bytes=len(BUNDLE.to_json())).save(
        "default", "landing", run(0), BROKEN
    )
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]


def test_a_concurrently_deleted_file_is_ignored(
    tmp_path: Path,
) -> None:
    files = EvidenceFiles(tmp_path, directory_limit_bytes=len(BUNDLE.to_json()))
    (tmp_path / "default.landing.1.gone.json").symlink_to("nowhere")  # listed, but has no size
    with capture_logs() as logs:
        files.save("default", "landing", run(0), BROKEN)
        (tmp_path / "default.landing.1790000000000.run0.broken.json").unlink()
        files.save("default", "landing", run(1), BROKEN)
    assert logs == []
    assert (tmp_path / "default.landing.1790000001000.run1.broken.json").exists()


def test_the_directory_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        EvidenceFiles(tmp_path).save("default", "old", run(number), BROKEN)
    files = EvidenceFiles(tmp_path, directory_limit_bytes=4 * len(BUNDLE.to_json()))
    files.save("default", "landing", run(3), BROKEN)
    with monkeypatch.context() as patch:
        for method in ("iterdir", "glob"):
            patch.setattr(Path, method, lambda *_: pytest.fail("lists the directory again"))
        files.save("default", "landing", run(4), BROKEN)
    assert {path.name.split(".")[-3] for path in tmp_path.iterdir()} == {"run1", "run2", "run3", "run4"}


def test_a_bundle_over_the_limit_is_not_saved(tmp_path: Path) -> None:
    files = EvidenceFiles(tmp_path, bundle_limit_bytes=len(BUNDLE.to_json()) - 1)
    files.save("default", "landing", run(0), BROKEN)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_could_not_start_has_no_evidence(tmp_path: Path) -> None:
    EvidenceFiles(tmp_path).save("default", "landing", record(CANNOT_RUN), BROKEN)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_directory_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    EvidenceFiles(tmp_path / "file").save("default", "landing", run(0), BROKEN)


def test_each_path_of_a_run_has_its_file_and_all_go_together(tmp_path: Path) -> None:
    fact = pcap.fact("node1", [IPv4Address("10.244.1.27")], 20001, 8472, 10)
    captured = replace(BUNDLE.run, evidence=Evidence({fact: (Answer(0, b"pcap", b"", NOW, 1.0),)}))
    files, several = EvidenceFiles(tmp_path), run(0)
    bundles = (BUNDLE, BUNDLE, Bundle(captured))
    files.save(
        "default", "landing", replace(several, result=replace(several.result, bundles=bundles)), BROKEN
    )
    stem = "default.landing.1790000000000.run0"
    assert {path.name for path in tmp_path.iterdir()} == {
        *(f"{stem}.broken.json", f"{stem}-2.broken.json", f"{stem}-3.broken.json", f"{stem}-3.node1.pcap")
    }
    for number in range(1, KEPT):
        files.save("default", "landing", run(number), BROKEN)
    assert len(list(tmp_path.iterdir())) == KEPT + 3, "runs are counted, not files"
    files.save("default", "landing", run(KEPT), BROKEN)
    assert not list(tmp_path.glob(f"{stem}*"))


NAME = "a" * 253  # the longest of Kubernetes


def test_names_of_any_length_fit_into_the_name_of_a_file(tmp_path: Path) -> None:
    files, namespace = EvidenceFiles(tmp_path), "b" * 63
    fact = pcap.fact(NAME, [IPv4Address("10.244.1.27")], 20001, 8472, 10)
    bundle = Bundle(replace(BUNDLE.run, evidence=Evidence({fact: (Answer(0, b"pcap", b"", NOW, 1.0),)})))
    for number in range(KEPT + 5):
        for name in (NAME, NAME[:-1]):
            made = run(number)
            record = replace(made, id="f" * 12, result=replace(made.result, bundles=(bundle, bundle)))
            with capture_logs() as lines:
                files.save(namespace, name, record, BROKEN)
            assert lines == []
    assert len(list(tmp_path.iterdir())) == 2 * KEPT * 2 * 2  # names, runs, paths, bundle and capture


def test_files_are_for_their_owner_only_and_replace_links(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("keep me")
    name = "default.landing.1790000000000.run0.broken.json"
    (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    (tmp_path / f"{name}.part").symlink_to(tmp_path / "elsewhere")
    EvidenceFiles(tmp_path).save("default", "landing", run(0), BROKEN)
    assert (tmp_path / "elsewhere").read_text() == "keep me"
    assert not (tmp_path / name).is_symlink()
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
