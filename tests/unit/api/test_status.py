"""What the operator writes into the status, and that it always fits."""

import json
from datetime import datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from datapath_probe.api.bounds import SIZE_LIMIT_BYTES, fitted
from datapath_probe.api.status.capture import Capture, CapturedPacket
from datapath_probe.api.status.hop_result import HopEvidence, Segment
from datapath_probe.api.status.probe_status import HistoryEntry, LastRun, ProbeStatus
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict, Trigger
from unit.api.statuses import LONG, NOW, largest_status


def size(status: ProbeStatus) -> int:
    return len(json.dumps(status.to_object()).encode())


def test_long_values_are_clipped() -> None:
    status = largest_status()
    assert status.summary == "星" * 1023 + "…"
    assert len(status.paths[0].hops) == 32
    assert len(status.history) == 50
    witness = status.paths[0].hops[0].evidence.intent
    assert witness
    assert list(witness.facts) == [f"fact number {n}" for n in range(32)]


def test_short_values_are_not_changed() -> None:
    assert ProbeStatus(summary="ok", last_handled_run_now="").summary == "ok"
    assert Segment(after=HopName.IPAM, before=HopName.NODE_ROUTING).node is None


def test_a_status_is_the_same_after_writing_and_reading() -> None:
    status = largest_status()
    written = status.to_object()
    assert json.loads(json.dumps(written)) == written
    assert ProbeStatus.from_object(written).to_object() == written


def test_times_are_written_in_utc_to_the_millisecond() -> None:
    start = datetime(2026, 1, 1, 9, 0, 0, 1999, timezone(timedelta(hours=9)))
    run = LastRun(id="a", start_time=start, end_time=start, trigger=Trigger.START)
    assert run.model_dump(mode="json")["startTime"] == "2026-01-01T00:00:00.001Z"


def test_times_without_a_time_zone_are_rejected() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        HistoryEntry(time=datetime(2026, 1, 1), verdict=ProbeVerdict.HEALTHY)  # noqa: DTZ001


def test_fields_have_their_names_of_the_api() -> None:
    written = largest_status().to_object()
    assert set(written) == {
        *(
            "observedGeneration",
            "source",
            "destination",
            "verdict",
            "reason",
            "summary",
            "next",
            "divergentHop",
        ),
        *(
            "segment",
            "conditions",
            "lastRun",
            "nextRunTime",
            "lastHandledRunNow",
            "counters",
            "pathCounts",
            "paths",
            "pathProfile",
            "history",
            "outages",
            "failures",
        ),
    }
    path = written["paths"][0]
    assert set(path["destination"]) == {"name", "node", "ip", "port", "identity", "serviceIP"}
    assert set(path["request"]) == {
        *("exitCode", "httpStatus", "localPort", "remoteIP", "remotePort", "error", "timings"),
    }
    assert set(path["request"]["timings"]) == {"nameLookup", "connect", "tls", "firstByte", "total"}
    assert set(path["hops"][0]["evidence"]) == {"intent", "programmed", "observed"}


def test_unknown_values_are_left_out() -> None:
    assert ProbeStatus(verdict=ProbeVerdict.UNKNOWN).to_object() == {
        "verdict": "Unknown",
        "conditions": [],
        "counters": {
            "runs": 0,
            "failures": 0,
            "consecutiveFailures": 0,
            "consecutiveSuccesses": 0,
            "consecutivePathFailures": 0,
            "consecutivePathSuccesses": 0,
            "outages": 0,
            "skipped": 0,
        },
        "paths": [],
        "history": [],
        "outages": [],
        "failures": [],
    }


def test_captured_packets_are_removed_first() -> None:
    packet = CapturedPacket(
        offset=LONG,
        node=LONG,
        interface=LONG,
        direction=LONG,
        source=LONG,
        destination=LONG,
        flags=LONG,
        length=1,
        payload=1,
    )
    capture = Capture(time=NOW, packets=(packet,) * 200)
    assert len(capture.packets) == 96
    smaller = fitted(largest_status().model_copy(update={"capture": capture}))
    assert smaller.capture == Capture(time=NOW, omitted_packets=96)
    assert smaller.paths


@pytest.mark.parametrize("paths", [1, 2, 32])
def test_the_largest_status_is_cut_to_fit(paths: int) -> None:
    status = largest_status(paths)
    assert size(status) > SIZE_LIMIT_BYTES
    smaller = fitted(status)
    assert size(smaller) <= SIZE_LIMIT_BYTES
    without = {"paths": (), "outages": (), "failures": ()}
    assert smaller.model_copy(update=without) == status.model_copy(update=without)
    assert smaller.outages == status.outages[:1]
    assert smaller.paths


def test_outages_and_failed_runs_stay_if_hops_can_go() -> None:
    status = largest_status(paths=1)
    smaller = fitted(status, size(status.model_copy(update={"paths": ()})) + 64 * 1024)
    assert (smaller.outages, smaller.failures) == (status.outages, status.failures)
    assert [len(path.hops) for path in smaller.paths] == [0]


def test_a_status_that_fits_is_not_changed() -> None:
    status = ProbeStatus(summary="ok")
    assert fitted(status) == status


def test_evidence_of_ok_hops_is_removed_first() -> None:
    status = largest_status()
    one_byte_less = fitted(status, size(status) - 1)
    bad, *good = one_byte_less.paths[0].hops
    assert bad == status.paths[0].hops[0]
    assert bad.verdict is HopVerdict.STALE
    assert {hop.evidence for hop in good} == {HopEvidence()}


def test_the_worst_path_keeps_its_evidence_longest() -> None:
    status = largest_status(paths=2)
    worst, other = fitted(status, size(status) - 1).paths
    assert worst == status.paths[0]
    assert other != status.paths[1]


def test_the_verdict_is_kept_when_nothing_else_fits() -> None:
    smallest = fitted(largest_status(), 0)
    assert smallest.verdict is ProbeVerdict.DEGRADED
    assert smallest.paths == ()
