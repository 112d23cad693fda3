"""What a scrape returns, read with Prometheus's own parser."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from datapath_probe.api.reasons import Reason
from datapath_probe.api.status.path_profile import PathProfile
from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.api.vocabulary import HopName, HopVerdict, LoadBalancing, ProbeVerdict, Severity
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.run.bundle import Bundle
from datapath_probe.diagnose.run.run import PathRun, Request
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Unavailable
from datapath_probe.evidence.store import Evidence
from datapath_probe.plan.plan import CannotRun
from datapath_probe.publish.interfaces import Retry
from datapath_probe.publish.status import status as statuses
from datapath_probe.runs.run_result import NextRun, RunResult
from datapath_probe.sources.agent.map_pressure import CountedMap
from unit.publish.metrics.scrapes import REF, after, new_metrics, of, scrape
from unit.publish.samples import (
    CANNOT_RUN,
    NOW,
    REPORT,
    diverging,
    healthy,
    lost,
    plan,
    probe,
    record,
    unjudged,
    unknown,
)


@pytest.mark.parametrize(
    ("outcome", "success"),
    [
        (healthy(), 1),
        (diverging(ProbeVerdict.DEGRADED), 1),
        (diverging(), 0),
        (lost(), 0),
        (unknown(), None),
        (unknown(met=True), None),
        (unjudged(met=True), 1),
        (unjudged(met=False), 0),
        (CANNOT_RUN, None),
    ],
)
def test_success_is_absent_when_unknown(outcome: Diagnosis | CannotRun, success: int | None) -> None:
    assert of(scrape(after([outcome])), "success").get(()) == success


def test_one_verdict_is_1_and_the_others_0() -> None:
    assert of(scrape(after([healthy(), diverging()])), "verdict") == {
        ("Healthy",): 0,
        ("Degraded",): 0,
        ("Broken",): 1,
        ("Unknown",): 0,
    }


def test_paths_are_counted_by_verdict() -> None:
    none = {("Healthy",): 0, ("Degraded",): 0, ("Broken",): 0, ("Unknown",): 0}
    assert of(scrape(after([])), "paths") == {}
    assert of(scrape(after([healthy()])), "paths") == {**none, ("Healthy",): 1}
    assert of(scrape(after([healthy(), diverging()])), "paths") == {**none, ("Broken",): 1}
    assert of(scrape(after([CANNOT_RUN])), "paths") == {**none, ("Unknown",): 1}


def test_a_hop_that_cannot_be_judged_has_no_sample() -> None:
    outcome = replace(diverging(), findings=(*diverging().findings[:4], *unknown().findings[4:]))
    hops = of(scrape(after([outcome])), "hop_success")
    assert hops == {
        ("ipam",): 1,
        ("source-interface",): 1,
        ("service-lookup",): 1,
        ("ipcache-lookup",): 0,
        ("destination-response",): 1,
    }


def test_the_divergent_hop_has_a_sample_while_it_diverges() -> None:
    metrics = after([diverging()])
    assert of(scrape(metrics), "divergent_hop") == {("ipcache-lookup", "node2", "WrongTunnelEndpoint"): 1}
    assert of(scrape(after([healthy()], metrics=metrics)), "divergent_hop") == {}


def test_a_segment_has_a_sample_without_a_hop() -> None:
    samples = scrape(after([lost()]))
    assert of(samples, "divergent_hop") == {("segment", "", "LostInTransit"): 1}
    assert of(samples, "hop_failures_total") == {("segment", "LostInTransit"): 1}


@pytest.mark.parametrize("reason", [Reason.LOST_BETWEEN_NODES, Reason.CONNECTION_REFUSED])
def test_all_segments_have_the_same_reason(reason: Reason) -> None:
    samples = scrape(after([replace(lost(), reason=reason)]))
    assert of(samples, "divergent_hop") == {("segment", "", "LostInTransit"): 1}


def test_counters_grow_run_by_run() -> None:
    samples = scrape(
        after([healthy(), diverging(), diverging(), diverging(ProbeVerdict.DEGRADED), CANNOT_RUN])
    )
    assert of(samples, "runs_total") == {("Healthy",): 1, ("Broken",): 2, ("Degraded",): 1, ("Unknown",): 1}
    assert of(samples, "hop_failures_total") == {("ipcache-lookup", "WrongTunnelEndpoint"): 3}
    assert of(samples, "request_duration_seconds_count") == {(): 4}
    assert of(samples, "request_duration_seconds_bucket")[("0.01",)] == 4
    assert of(samples, "request_duration_seconds_bucket")[("0.005",)] == 0
    assert of(samples, "request_duration_seconds_sum")[()] == pytest.approx(4 * 0.0076)


def test_only_phases_that_were_reached_have_samples() -> None:
    assert of(scrape(after([healthy()])), "request_phase_seconds") == {
        ("name_lookup",): 0.0012,
        ("connect",): 0.002,
        ("first_byte",): 0.0066,
        ("total",): 0.0076,
    }
    assert of(scrape(after([healthy(), CANNOT_RUN])), "request_phase_seconds") == {}


def test_the_phase_of_tls_and_the_expiry_of_the_certificate() -> None:
    secure = replace(REPORT, timings=replace(REPORT.timings, tls=0.004), certificate_expires=NOW + 86400)
    samples = scrape(after([replace(healthy(), report=secure)]))
    assert of(samples, "request_phase_seconds")[("tls",)] == 0.004
    assert of(samples, "certificate_expiry_timestamp_seconds") == {(): NOW + 86400}
    assert of(scrape(after([healthy()])), "certificate_expiry_timestamp_seconds") == {}
    later = replace(secure, certificate_expires=NOW + 2 * 86400)
    two = RunResult(NOW, NOW + 0.1, (replace(healthy(), report=later), replace(healthy(), report=secure)), ())
    metrics = after([healthy()])
    status = statuses.suspended(ProbeStatus(), probe(), NOW)
    metrics.run_ended(REF, status, replace(record(healthy()), result=two))
    assert of(scrape(metrics), "certificate_expiry_timestamp_seconds") == {(): NOW + 86400}


def test_times_of_the_last_and_next_run() -> None:
    metrics = after([healthy()])
    assert of(scrape(metrics), "last_run_timestamp_seconds") == {(): NOW + 0.1}
    assert of(scrape(metrics), "next_run_timestamp_seconds") == {(): NOW + 60}
    resting = probe(suspend=True)
    metrics.show(resting, statuses.suspended(ProbeStatus(), resting, NOW))
    assert of(scrape(metrics), "next_run_timestamp_seconds") == {}


def test_settings_of_the_probe() -> None:
    which = probe(expect={"maxLatency": "250ms"})
    which = replace(which, meta=replace(which.meta, severity=Severity.INFO))
    samples = scrape(after([], which=which))
    assert of(samples, "latency_limit_seconds") == {(): 0.25}
    assert of(samples, "info") == {("info",): 1}


def test_path_changes_continue_to_count_after_a_restart() -> None:
    profile = PathProfile(
        last_change_time=datetime.fromtimestamp(NOW, UTC),
        last_change="routing vxlan → native",
        change_count=3,
        destination="default/deathstar:80",
        routing="native",
        load_balancing=LoadBalancing.PER_PACKET,
    )
    status = ProbeStatus(path_profile=profile)
    metrics = new_metrics()
    metrics.show(probe(), ProbeStatus.from_object(status.to_object()))
    assert of(scrape(metrics), "path_changes_total") == {(): 3}


def test_after_a_restart_gauges_show_the_stored_status() -> None:
    status = statuses.after_run(ProbeStatus(), probe(), record(diverging()), NextRun(NOW + 60))
    metrics = new_metrics()
    metrics.show(probe(), ProbeStatus.from_object(status.to_object()))
    samples = scrape(metrics)
    assert of(samples, "success") == {(): 0}
    assert of(samples, "divergent_hop") == {("ipcache-lookup", "node2", "WrongTunnelEndpoint"): 1}
    assert of(samples, "last_run_timestamp_seconds") == {(): NOW + 0.1}
    assert of(samples, "runs_total") == {}


def test_a_forgotten_probe_has_no_series_left() -> None:
    metrics = after([healthy(), diverging()])
    metrics.forget(REF)
    assert [labels for _, labels in scrape(metrics) if ("probe", "probe") in labels] == []


def test_a_recreated_probe_starts_at_0_and_is_not_removed_with_the_old_one() -> None:
    metrics = after([healthy()])
    metrics.show(probe(uid="new"), ProbeStatus())
    assert of(scrape(metrics), "runs_total") == {}
    metrics.forget(REF)
    assert of(scrape(metrics), "info") == {("",): 1}


def test_a_probe_never_has_more_than_100_series() -> None:
    everything = [
        replace(
            healthy(),
            verdict=ProbeVerdict.BROKEN,
            met=False,
            findings=tuple(
                replace(healthy().findings[0], hop=hop, verdict=HopVerdict.BROKEN, reason=reason)
                for hop in HopName
            ),
            divergence=diverging().divergence,
            map_pressure=dict.fromkeys(CountedMap, 0.1),
        )
        for reason in list(Reason)[:12]
    ]
    which = probe(expect={"maxLatency": "1s"})
    metrics = after(
        [healthy(), unknown(), diverging(ProbeVerdict.DEGRADED), diverging(), *everything], which=which
    )
    samples = [labels for _, labels in scrape(metrics) if ("probe", "probe") in labels]
    certificate, tls_phase, outage = 1, 1, 1  # not in these runs
    assert len(samples) + certificate + tls_phase + outage <= 100
    assert sum(of(scrape(metrics), "hop_failures_total").values()) == 12 * len(HopName) + 2


def test_missing_evidence_is_counted_by_tool_and_reason() -> None:
    missing = Unavailable(EvidenceError.TIMEOUT, "too slow")
    evidence = Evidence().adding([Fact(FactKind.PINNED_MAP, "node1", (("map", "cilium_lxc"),))], [missing])
    lost_evidence = Bundle(PathRun(plan(), Request(NOW, 20001, missing), evidence))
    metrics = after([])
    run = record(healthy())
    run = replace(run, result=RunResult(NOW, NOW, (healthy(),), (lost_evidence,)))
    metrics.run_ended(REF, ProbeStatus(), run)
    assert of(scrape(metrics), "evidence_errors_total") == {
        ("bpftool", "EvidenceTimeout"): 1,
        ("curl", "EvidenceTimeout"): 1,
    }


def test_unparsable_answers_are_counted() -> None:
    unread = (("bpftool", EvidenceError.UNPARSABLE), ("bpftool", EvidenceError.UNPARSABLE))
    assert of(scrape(after([replace(healthy(), unread=unread)])), "evidence_errors_total") == {
        ("bpftool", "UnparsableOutput"): 2
    }


def test_failed_status_writes_are_counted_by_response() -> None:
    metrics = after([])
    for code in (403, 403, None):
        metrics.status_not_written(Retry("why", code))
    assert of(scrape(metrics), "status_write_errors_total") == {("403",): 2, ("none",): 1}


def test_metrics_of_the_operator_itself() -> None:
    run = replace(record(healthy()), due=NOW - 2)
    metrics = after([])
    metrics.run_ended(REF, ProbeStatus(), run)
    samples = scrape(metrics)
    assert of(samples, "scheduler_heartbeat_timestamp_seconds") == {(): NOW}
    assert of(samples, "schedule_lag_seconds_bucket")[("1.0",)] == 0
    assert of(samples, "schedule_lag_seconds_bucket")[("5.0",)] == 1
    assert of(samples, "run_duration_seconds_sum")[()] == pytest.approx(0.1, abs=1e-6)
    assert len(of(samples, "build_info")) == 1
    assert ("process_resident_memory_bytes", ()) in samples


def test_there_are_no_created_series_and_openmetrics_can_be_parsed() -> None:
    metrics = after([healthy(), diverging()])
    assert not [name for name, _ in scrape(metrics) if name.endswith("_created")]
    text = metrics.scrape("application/openmetrics-text")[0].decode()
    names = {sample.name for family in parse_openmetrics(text) for sample in family.samples}  # type: ignore[no-untyped-call]
    assert {"datapath_probe_runs_total", "datapath_probe_info", "datapath_probe_build_info"} <= names


def test_times_are_read_back_as_written() -> None:
    status = statuses.after_run(ProbeStatus(), probe(), record(healthy()), NextRun(NOW + 60))
    assert status.last_run is not None
    assert datetime.fromisoformat(status.to_object()["lastRun"]["endTime"]).timestamp() == NOW + 0.1


def test_outages_are_counted_and_the_current_one_has_a_start() -> None:
    samples = scrape(after([healthy(), diverging(), healthy(), diverging()]))
    assert of(samples, "outages_total") == {(): 2}
    assert of(samples, "outage_start_timestamp_seconds") == {(): NOW}
    samples = scrape(after([healthy(), diverging(), healthy()]))
    assert of(samples, "outages_total") == {(): 1}
    assert of(samples, "outage_start_timestamp_seconds") == {}
    assert of(scrape(after([healthy()])), "outages_total") == {(): 0}


def test_the_number_of_outages_survives_a_restart() -> None:
    status = statuses.after_run(ProbeStatus(), probe(), record(diverging()), NextRun(NOW + 60))
    metrics = new_metrics()
    metrics.show(probe(), ProbeStatus.from_object(status.to_object()))
    assert of(scrape(metrics), "outages_total") == {(): 1}
    assert of(scrape(metrics), "outage_start_timestamp_seconds") == {(): NOW}


def test_skipped_runs_are_counted() -> None:
    metrics, status = new_metrics(), ProbeStatus()
    metrics.show(probe(), status)
    for _ in range(2):
        run = record(healthy())
        status = statuses.after_run(status, probe(), run, NextRun(NOW + 60, skipped=3))
        metrics.run_ended(REF, status, run)
    assert of(scrape(metrics), "runs_skipped_total") == {(): 6}


def test_the_current_outage_has_the_place_of_the_first_run_that_names_a_hop() -> None:
    metrics = after([lost()])
    assert of(scrape(metrics), "outage_info") == {("segment", "", "LostInTransit"): 1}
    elsewhere = diverging(ProbeVerdict.BROKEN, HopName.ENDPOINT_LOOKUP, Reason.ENDPOINT_ENTRY_MISSING)
    samples = scrape(after([lost(), diverging(), elsewhere, unknown(), lost()]))
    assert of(samples, "outage_info") == {("ipcache-lookup", "node2", "WrongTunnelEndpoint"): 1}
    assert of(scrape(after([diverging(), healthy()])), "outage_info") == {}


def test_an_outage_of_a_path_that_cannot_be_judged_has_no_place() -> None:
    samples = scrape(after([unjudged(met=False)]))
    assert of(samples, "outage_info") == {("", "", "UnsupportedConfiguration"): 1}
