"""Statuses that an earlier version wrote are continued."""

import json
from pathlib import Path
from typing import Any

import pytest

from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.api.vocabulary import ProbeVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from unit.publish.samples import diverging, healthy, lost, probe, unknown
from unit.publish.status.after_runs import after, condition, says
from unit.recorded import recorded

DATA = Path(__file__).parents[3] / "data"


def written_by_an_earlier_version(status: ProbeStatus) -> dict[str, Any]:
    """The status without the fields that version did not have."""
    written = status.to_object()
    del written["counters"]["consecutivePathFailures"], written["counters"]["consecutivePathSuccesses"]
    for entry in written["history"]:
        del entry["pathHealthy"]
    return written


@pytest.mark.parametrize(
    "runs",
    [
        [healthy()],
        [healthy(), diverging(), diverging()],
        [healthy(), lost()],
        [diverging(ProbeVerdict.DEGRADED), healthy(), healthy()],
        [healthy(), unknown()],
        [],
    ],
)
def test_a_status_of_an_earlier_version_is_continued(runs: list[Diagnosis]) -> None:
    before = after(runs, probe(threshold={"failures": 3}))
    read = ProbeStatus.from_object(written_by_an_earlier_version(before))
    assert (read.counters, read.conditions) == (before.counters, before.conditions)


def test_runs_of_an_earlier_version_are_counted_once() -> None:
    of = probe(threshold={"failures": 4})
    before = after([healthy(), diverging(), diverging()], of)
    status = after([diverging()], of, ProbeStatus.from_object(written_by_an_earlier_version(before)))
    assert (status.counters.consecutive_path_failures, says(status)["PathHealthy"]) == (3, "True")
    status = after([diverging()], of, ProbeStatus.from_object(status.to_object()))
    assert (status.counters.consecutive_path_failures, says(status)["PathHealthy"]) == (4, "False")


def test_a_recorded_status_of_an_earlier_version_is_continued() -> None:
    of = probe(threshold={"failures": 3, "successes": 2})
    recorded_status = json.loads((DATA / "status/2026-11-29.json").read_bytes())
    before = ProbeStatus.from_object(recorded_status)
    status = after([diagnose(recorded("ipcache-wrong-tunnel-endpoint"))], of, before)
    assert says(before)["ExpectationMet"] == "True"
    assert says(status) == {"ExpectationMet": "False", "PathHealthy": "False", "Ready": "True"}
    ready, before_ready = condition(status, "Ready"), condition(before, "Ready")
    assert ready.last_transition_time == before_ready.last_transition_time
    assert (status.counters.runs, status.counters.consecutive_failures) == (6, 3)
    assert status.path_profile == before.path_profile
    assert len(status.history) == 6
