"""How the operator reads objects of the API server."""

from typing import Any

import pytest

from datapath_probe.api.probe import InvalidSpec, Probe
from datapath_probe.api.status.probe_status import Counters
from datapath_probe.api.vocabulary import ProbeVerdict
from unit.api.spec_parts import Refused, Spec, spec
from unit.api.specs import EVERYTHING, INVALID, VALID

METADATA: dict[str, Any] = {"namespace": "rebels", "name": "landing", "uid": "b7c1", "generation": 3}


def read(spec: Any, **fields: Any) -> Probe | InvalidSpec:
    return Probe.from_object({"metadata": METADATA, "spec": spec, **fields})


@pytest.mark.parametrize("spec", VALID.values(), ids=VALID.keys())
def test_valid_specs_are_accepted(spec: Spec) -> None:
    assert isinstance(read(spec), Probe)


@pytest.mark.parametrize("refused", INVALID.values(), ids=INVALID.keys())
def test_a_stored_spec_that_is_no_longer_valid_is_reported_with_its_field(refused: Refused) -> None:
    probe = read(refused.spec)
    assert isinstance(probe, InvalidSpec)
    assert probe.message.startswith("spec")
    assert "Value error" not in probe.message


@pytest.mark.parametrize("spec", [None, [], "", 7, {"source": None}, {"source": [{}]}])
def test_an_object_that_is_not_a_spec_raises_no_exception(spec: Any) -> None:
    assert isinstance(read(spec), InvalidSpec)


def test_the_message_names_each_field_and_its_valid_values() -> None:
    probe = read(spec(schedule={"interval": "0s"}, request={"path": "v1"}))
    assert isinstance(probe, InvalidSpec)
    assert probe.message == (
        "spec.schedule.interval: must be a duration from 1s to 24h, such as 30s, 1m30s or 250ms; "
        "spec.request.path: must start with '/' and contain only visible ASCII characters except '#'; "
        "percent-encode all others"
    )


def test_durations_are_available_in_seconds() -> None:
    probe = read(EVERYTHING)
    assert isinstance(probe, Probe)
    assert probe.spec.schedule.recurrence == 90
    assert probe.spec.request.timeout_s == 2.5
    assert probe.spec.expect.max_latency_s == 0.25


def test_annotations_and_labels_are_read() -> None:
    metadata = {
        **METADATA,
        "annotations": {"datapath-probe.dev/run-now": "2026-01-01"},
        "labels": {"datapath-probe.dev/severity": "critical"},
    }
    probe = Probe.from_object({"metadata": metadata, "spec": spec()})
    assert (probe.meta.run_now, probe.meta.severity) == ("2026-01-01", "critical")
    assert (read(spec()).meta.run_now, read(spec()).meta.severity) == (None, None)


@pytest.mark.parametrize("label", ["page", "", "CRITICAL", "critical ", 7, None, ["critical"]])
def test_a_severity_is_one_of_a_closed_list(label: object) -> None:
    metadata = {**METADATA, "labels": {"datapath-probe.dev/severity": label}}
    assert Probe.from_object({"metadata": metadata, "spec": spec()}).meta.severity is None


def test_a_status_of_another_version_is_used_as_far_as_possible() -> None:
    status = {
        "verdict": "Degraded",
        "counters": {"runs": 7, "failures": 2, "naps": 1},
        "lastRun": {"id": "a", "startTime": "yesterday"},
        "outages": [],
    }
    probe = read(spec(), status=status)
    assert probe.status.verdict is ProbeVerdict.DEGRADED
    assert probe.status.counters == Counters(runs=7, failures=2)
    assert probe.status.last_run is None


@pytest.mark.parametrize("status", [None, "", []])
def test_a_missing_status_counts_as_an_empty_one(status: Any) -> None:
    assert read(spec(), status=status).status.counters == Counters()
