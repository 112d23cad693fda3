"""A week of runs: what is still there of last night, and of the nights before."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from datapath_probe.api.status.past_runs import FAILURES_LIMIT, OUTAGES_LIMIT
from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.api.vocabulary import ProbeVerdict, Trigger
from datapath_probe.control.evidence_store.evidence_files import EvidenceFiles
from datapath_probe.control.evidence_store.retention import CHANGES_LIMIT, REQUESTED_LIMIT
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.run.bundle import Bundle
from datapath_probe.publish.status import status as statuses
from datapath_probe.publish.status.path_profile_tracker import ProfileUpdate
from datapath_probe.publish.status.saved_run import RunKind, kind_of
from datapath_probe.runs.run_result import NextRun, verdict_of
from unit.control.evidence_store.test_evidence_files import BUNDLE
from unit.publish.samples import NOW, diverging, healthy, probe, record, unknown

EVERY_S, HOUR, DAY = 30, 3600, 86_400
BROKEN, DEGRADED, HEALTHY, UNKNOWN = diverging(), diverging(ProbeVerdict.DEGRADED), healthy(), unknown()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bundle, "to_json", lambda _: b"x" * 100)


class Nights:
    """One probe whose runs are published and saved. `status`: the last one."""

    def __init__(self, directory: Path, name: str = "probe", **limits: int) -> None:
        self.status = ProbeStatus()
        self.of = probe(threshold={"failures": 2, "successes": 1})
        self._directory = directory
        self._name = name
        self._limits = limits
        self.restart()

    def restart(self) -> None:
        """A new operator finds the directory and the status."""
        self.files = EvidenceFiles(self._directory, **self._limits)
        self.status = ProbeStatus.from_object(self.status.to_object())

    def run(
        self, at: float, outcome: Diagnosis, trigger: Trigger = Trigger.SCHEDULE, change: bool = False
    ) -> None:
        made = record(outcome, NOW + at, trigger, f"r{at:.0f}")
        made = replace(made, result=replace(made.result, bundles=(BUNDLE,)))
        kind = RunKind(verdict_of(outcome), change, trigger is Trigger.RUN_NOW)
        if self.status.verdict is ProbeVerdict.HEALTHY and str(kind) == "healthy":
            self.files.save("default", self._name, made, kind)  # the status of a week would take a minute
            return
        update = ProfileUpdate(None, "routing vxlan → native" if change else None)
        following = NextRun(NOW + at + EVERY_S)
        self.status = statuses.after_run(self.status, self.of, made, following, update, self.files.is_kept)
        kind = kind_of(verdict_of(outcome), made, change, self.status.counters, self.status.outages)
        self.files.save("default", self._name, made, kind)

    def kept(self) -> dict[int, str]:
        """Start of each run that is kept, and its kind without times."""
        names = (path.name.split(".") for path in self._directory.glob(f"default.{self._name}.*.json"))
        found = {
            round(int(started) / 1000 - NOW): kind.rstrip("0123456789") for _, _, started, _, kind, _ in names
        }
        return dict(sorted(found.items()))


def outage(begin: float, runs: int) -> Iterator[float]:
    return (begin + EVERY_S * number for number in range(runs))


def test_a_week_of_runs_every_30_s_leaves_each_night_in_its_place(tmp_path: Path, small: None) -> None:
    nights = Nights(tmp_path)
    failing = {at: day for day in range(7) for at in outage(day * DAY + 2 * HOUR, 40)}
    changes, requested = {3 * DAY + 12 * HOUR}, {2 * DAY + 9 * HOUR}
    for at in range(0, 7 * DAY, EVERY_S):
        if at % DAY == 15 * HOUR:
            nights.restart()
        nights.run(
            at,
            BROKEN if at in failing else HEALTHY,
            Trigger.RUN_NOW if at in requested else Trigger.SCHEDULE,
            at in changes,
        )
    first = {day * DAY + 2 * HOUR: "broken_failing" for day in range(7)}
    last = {day * DAY + 2 * HOUR + 39 * EVERY_S: "broken_outage" for day in range(7)}
    newest = dict.fromkeys(list(failing)[-FAILURES_LIMIT:], "broken_outage")
    others = {
        2 * DAY + 9 * HOUR: "healthy_requested",
        3 * DAY + 12 * HOUR: "healthy_changed",
        7 * DAY - EVERY_S: "healthy",
    }
    assert nights.kept() == dict(sorted((first | last | newest | others).items()))
    assert [each.runs for each in nights.status.outages] == [40] * 7
    assert len(nights.status.failures) == FAILURES_LIMIT
    for failed in nights.status.failures:
        assert failed.evidence
        assert (tmp_path / failed.evidence).exists()


def test_a_flapping_probe_keeps_its_newest_outages(tmp_path: Path, small: None) -> None:
    nights = Nights(tmp_path)
    for number in range(OUTAGES_LIMIT + 5):
        for step, outcome in enumerate((BROKEN, BROKEN, UNKNOWN, BROKEN, HEALTHY)):
            nights.run(number * HOUR + step * EVERY_S, outcome)
    starts = [number * HOUR for number in range(5, OUTAGES_LIMIT + 5)]
    assert [each.start_time.timestamp() - NOW for each in nights.status.outages] == starts[::-1]
    assert [at for at, kind in nights.kept().items() if kind == "broken_failing"] == starts
    assert {at + 3 * EVERY_S for at in starts} <= nights.kept().keys(), "the newest failed run of each"


def test_a_latent_fault_and_missing_evidence_keep_their_newest_runs(tmp_path: Path, small: None) -> None:
    nights = Nights(tmp_path)
    for number in range(100):
        nights.run(number * EVERY_S, (DEGRADED, UNKNOWN)[number % 2])
    assert list(nights.kept()) == [number * EVERY_S for number in range(95, 100)]


def test_changes_and_requested_runs_are_bounded(tmp_path: Path, small: None) -> None:
    nights = Nights(tmp_path)
    for number in range(40):
        nights.run(
            number * EVERY_S, HEALTHY, Trigger.RUN_NOW if number % 2 else Trigger.SCHEDULE, number % 2 == 0
        )
    assert list(nights.kept().values()).count("healthy_requested") == REQUESTED_LIMIT
    assert list(nights.kept().values()).count("healthy_changed") == CHANGES_LIMIT


def test_if_space_is_short_healthy_runs_go_first_and_outages_last(tmp_path: Path, small: None) -> None:
    limits = {"directory_limit_bytes": 700}
    night = Nights(tmp_path, "night", **limits)
    for at in outage(0, 3):
        night.run(at, BROKEN)
    everyone = EvidenceFiles(tmp_path, **limits)
    for number in range(50):
        made = record(HEALTHY, NOW + HOUR + number, id_=f"h{number}")
        made = replace(made, result=replace(made.result, bundles=(BUNDLE,)))
        everyone.save("default", f"probe-{number}", made, RunKind(ProbeVerdict.HEALTHY))
    assert list(night.kept().values()) == ["broken_outage"] * 3
    assert len(list(tmp_path.iterdir())) == 7


def test_evidence_that_is_gone_is_no_longer_named(tmp_path: Path, small: None) -> None:
    nights = Nights(tmp_path)
    nights.run(0, BROKEN)
    nights.run(EVERY_S, BROKEN)
    assert [failed.evidence is not None for failed in nights.status.failures] == [True, True]
    for path in tmp_path.iterdir():
        path.unlink()
    nights.restart()
    nights.files.save("default", "other", record(BROKEN), RunKind())
    nights.run(2 * EVERY_S, BROKEN)  # lists the directory
    nights.run(3 * EVERY_S, HEALTHY)
    assert [failed.evidence is not None for failed in nights.status.failures] == [True, False, False]


def test_without_saved_evidence_none_is_named() -> None:
    made = record(BROKEN)
    made = replace(made, result=replace(made.result, bundles=(BUNDLE,)))
    (failed,) = statuses.after_run(ProbeStatus(), probe(), made, NextRun(None)).failures
    assert failed.evidence is None


@pytest.mark.parametrize(
    "kind",
    [
        RunKind(),
        RunKind(ProbeVerdict.HEALTHY, changed=True, requested=True),
        RunKind(ProbeVerdict.BROKEN, failing_since=1_790_000_000_123, outage=True),
        RunKind(ProbeVerdict.DEGRADED, changed=True, failing_since=0),
    ],
)
def test_a_kind_is_read_back_from_its_text(kind: RunKind) -> None:
    assert RunKind.parsed(str(kind)) == kind


def test_files_of_an_earlier_version_make_room_for_newer_failures(tmp_path: Path, small: None) -> None:
    for number in range(20):
        (tmp_path / f"default.probe.{round((NOW - HOUR + number) * 1000)}.{number:012d}.json").write_text(
            "{}"
        )
    nights = Nights(tmp_path)
    for number in range(FAILURES_LIMIT):
        nights.run(number * EVERY_S, BROKEN)
    assert len(list(tmp_path.iterdir())) == FAILURES_LIMIT
