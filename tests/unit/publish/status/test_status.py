"""Statuses from run to run: their content, and that they continue the one in the API server."""

import json

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.status.probe_status import PathCounts, ProbeStatus
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict, Trigger
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.plan.plan import CannotRun
from datapath_probe.publish.advice import next_step
from datapath_probe.publish.status import status as statuses
from datapath_probe.runs.run_result import NextRun
from unit.publish.samples import CANNOT_RUN, NOW, diverging, healthy, lost, probe, record, unjudged, unknown
from unit.publish.status.after_runs import after, condition, says


def test_a_healthy_run_is_summarized_in_one_sentence() -> None:
    status = after([healthy()])
    assert status.summary == (
        "default/xwing@node2 → default/deathstar:80 → 10.244.0.172@node1: 6/6 hops ok, 7.6ms"
    )
    assert (status.verdict, status.reason, status.divergent_hop) == (ProbeVerdict.HEALTHY, None, None)
    assert (status.source, status.destination) == ("default/xwing@node2", "default/deathstar:80")


def test_the_summary_of_a_broken_run_has_the_hop_then_the_reason_then_the_path() -> None:
    assert after([diverging()]).summary == (
        "Broken at ipcache-lookup on node2: WrongTunnelEndpoint: ipcache-lookup says so "
        "(default/xwing@node2 → default/deathstar:80 → 10.244.0.172@node1)"
    )


def test_the_divergent_hop_has_a_next_step() -> None:
    hop = after([diverging()]).divergent_hop
    assert hop is not None
    assert (hop.name, hop.node, hop.reason) == ("ipcache-lookup", "node2", "WrongTunnelEndpoint")
    assert hop.message == "ipcache-lookup says so"
    assert (hop.next or "").startswith("Compare cilium-dbg bpf ipcache get")
    assert (hop.next or "").endswith(".")


def test_each_hop_that_is_not_ok_has_a_next_step() -> None:
    status = after([diverging()])
    hops = {hop.name: hop.next for hop in status.paths[0].hops}
    assert status.divergent_hop
    assert hops.pop(HopName.IPCACHE_LOOKUP) == status.divergent_hop.next
    assert set(hops.values()) == {None}
    [blind] = [hop for hop in after([unknown()]).paths[0].hops if hop.verdict is HopVerdict.UNKNOWN]
    assert blind.next


@pytest.mark.parametrize("outcome", [lost(), unknown(), CANNOT_RUN, unjudged(met=True)])
def test_there_is_a_next_step_without_a_hop(outcome: Diagnosis | CannotRun) -> None:
    status = after([outcome])
    assert status.next == next_step(Reason(status.reason or ""))
    assert after([healthy()], previous=status).next is None


def test_a_loss_without_a_known_cause_names_a_segment_and_no_hop() -> None:
    status = after([lost()])
    assert status.divergent_hop is None
    assert status.segment is not None
    assert (status.segment.after, status.segment.before) == ("ipcache-lookup", "endpoint-lookup")
    assert (status.summary or "").startswith(
        "Broken between ipcache-lookup and endpoint-lookup: LostInTransit: "
    )


def test_a_run_that_could_not_start_is_unknown_with_a_reason() -> None:
    status = after([CANNOT_RUN])
    assert (status.verdict, status.reason, status.paths) == ("Unknown", "SourceNotFound", ())
    assert (status.source, status.destination) == ("default/xwing", "default/deathstar:80")
    assert status.path_counts == PathCounts(total=1, unknown=1)
    assert status.summary == (
        "Unknown: SourceNotFound: there is no pod default/xwing (default/xwing → default/deathstar:80)"
    )


def test_a_path_has_both_ends_the_request_and_each_hop_with_its_evidence() -> None:
    (path,) = after([diverging()]).to_object()["paths"]
    assert path["source"] == {"pod": "xwing", "node": "node2", "ip": "10.244.1.27", "identity": 27728}
    assert path["destination"] == {
        "name": "deathstar-0",
        "node": "node1",
        "ip": "10.244.0.172",
        "port": 80,
        "identity": 57017,
        "serviceIP": "10.96.57.217",
    }
    assert path["request"] == {
        "exitCode": 0,
        "httpStatus": 200,
        "localPort": 20001,
        "remoteIP": "10.96.57.217",
        "remotePort": 80,
        "timings": {"nameLookup": "1.2ms", "connect": "2ms", "firstByte": "6.6ms", "total": "7.6ms"},
    }
    hops = {hop["name"]: hop for hop in path["hops"]}
    assert "reason" not in hops["ipam"]
    assert hops["ipcache-lookup"]["reason"] == "WrongTunnelEndpoint"
    assert hops["ipcache-lookup"]["evidence"]["programmed"] == {
        "stance": "Contradicts",
        "summary": "as the map has it",
        "facts": {"identity": "57017"},
    }
    assert "observed" not in hops["ipcache-lookup"]["evidence"]


def test_a_run_has_its_times_and_its_trigger() -> None:
    status = statuses.after_run(
        ProbeStatus(),
        probe(run_now="now!"),
        record(healthy(), trigger=Trigger.RUN_NOW, id_="abc"),
        NextRun(NOW + 60),
    )
    assert status.to_object()["lastRun"] == {
        "id": "abc",
        "startTime": "2026-09-21T14:13:20.000Z",
        "endTime": "2026-09-21T14:13:20.100Z",
        "trigger": "RunNow",
    }
    assert status.to_object()["nextRunTime"] == "2026-09-21T14:14:20.000Z"
    assert status.last_handled_run_now == "now!"
    assert after([healthy()], previous=status).last_handled_run_now == "now!"


def test_a_restart_continues_from_the_api_server() -> None:
    before = after([healthy(), diverging()])
    restarted = ProbeStatus.from_object(json.loads(json.dumps(before.to_object())))
    assert after([healthy()], previous=restarted) == after([healthy()], previous=before)


def test_suspending_keeps_the_results_and_removes_the_next_run() -> None:
    before = after([diverging()])
    status = statuses.suspended(before, probe(generation=2, suspend=True), NOW)
    assert status.next_run_time is None
    assert (status.verdict, status.summary, status.counters) == (
        before.verdict,
        before.summary,
        before.counters,
    )
    assert condition(status, "Ready").reason == "Suspended"
    assert condition(status, "ExpectationMet") == condition(before, "ExpectationMet")
    assert status.observed_generation == 2


def test_suspending_twice_changes_nothing() -> None:
    of = probe(suspend=True)
    once = statuses.suspended(ProbeStatus(), of, NOW)
    assert statuses.suspended(once, of, NOW + 60) == once


def test_an_invalid_spec_is_stalled_and_its_path_unknown() -> None:
    message = "spec.schedule.interval: must be a duration"
    status = statuses.stalled(after([healthy()]), probe().meta, Reason.INVALID_SPEC, message, NOW)
    assert says(status) == {
        "ExpectationMet": "Unknown",
        "PathHealthy": "Unknown",
        "Ready": "False",
        "Stalled": "True",
    }
    assert (status.verdict, status.reason, status.paths) == ("Unknown", "InvalidSpec", ())
    assert "spec.schedule.interval: must be a duration" in condition(status, "Ready").message
    assert status.counters.runs == 1


def test_a_status_of_a_long_path_stays_small() -> None:
    assert len(json.dumps(after([healthy()] * 12).to_object())) < 32 * 1024
