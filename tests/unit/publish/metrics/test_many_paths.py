"""Metrics of a probe with several paths."""

from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.status.probe_status import PATHS_LIMIT, ProbeStatus
from datapath_probe.api.vocabulary import HopName, ProbeVerdict
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.run.bundle import Bundle
from datapath_probe.diagnose.run.run import PathRun, Request
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.evidence.store import Evidence
from datapath_probe.plan.plan import CannotRun
from datapath_probe.publish.metrics.metrics import Metrics
from datapath_probe.publish.status import status as statuses
from datapath_probe.runs.run_result import NextRun
from unit.publish.metrics.scrapes import REF, new_metrics, of, scrape
from unit.publish.samples import (
    CANNOT_RUN,
    HOPS,
    NOW,
    diverging,
    from_pod,
    healthy,
    lost,
    plan,
    probe,
    record_of,
    unknown,
)


def many(*outcomes: Diagnosis | CannotRun) -> Metrics:
    """The samples after one run with these paths."""
    metrics, run = new_metrics(), record_of(*outcomes)
    metrics.show(probe(), ProbeStatus())
    status = statuses.after_run(ProbeStatus(), probe(), run, NextRun(NOW + 60))
    metrics.run_ended(REF, status, run)
    return metrics


def test_of_several_paths_the_worst_counts_and_of_each_hop_the_worst_verdict() -> None:
    stale = diverging(ProbeVerdict.DEGRADED, HopName.ENDPOINT_LOOKUP, Reason.STALE_MAP_IN_USE)
    samples = scrape(
        many(*(from_pod(healthy(), number) for number in range(9)), stale, diverging(), diverging())
    )
    assert of(samples, "success") == {(): 0}
    assert of(samples, "verdict")[("Broken",)] == 1
    assert of(samples, "divergent_hop") == {("ipcache-lookup", "node2", "WrongTunnelEndpoint"): 1}
    hops = of(samples, "hop_success")
    assert {hop for (hop,), good in hops.items() if not good} == {"ipcache-lookup", "endpoint-lookup"}
    assert len(hops) == len(HOPS)
    assert of(samples, "hop_failures_total") == {
        ("ipcache-lookup", "WrongTunnelEndpoint"): 1,
        ("endpoint-lookup", "StaleMapInUse"): 1,
    }
    assert of(samples, "runs_total") == {("Broken",): 1}
    assert of(samples, "request_duration_seconds_count") == {(): 12}


def test_many_paths_have_no_more_series_than_one() -> None:
    paths = [from_pod(diverging() if number % 2 else lost(), number) for number in range(64)]
    assert len(scrape(many(*paths))) <= len(scrape(many(diverging(), lost()))) + 1


def test_a_hop_counts_even_if_its_path_does_not_fit_into_the_status() -> None:
    broken = [from_pod(diverging(), number) for number in range(PATHS_LIMIT)]
    stale = diverging(ProbeVerdict.DEGRADED, HopName.ENDPOINT_LOOKUP, Reason.STALE_MAP_IN_USE)
    samples = scrape(many(*broken, stale))
    assert of(samples, "hop_success")[("endpoint-lookup",)] == 0
    assert of(samples, "hop_failures_total")[("endpoint-lookup", "StaleMapInUse")] == 1


@pytest.mark.parametrize(
    ("others", "success"),
    [([healthy()], {(): 1}), ([CANNOT_RUN], {}), ([unknown()], {}), ([CANNOT_RUN, diverging()], {(): 0})],
)
def test_success_requires_all_paths(
    others: list[Diagnosis | CannotRun], success: dict[tuple[str, ...], float]
) -> None:
    assert of(scrape(many(healthy(), *others)), "success") == success


def test_missing_evidence_of_several_paths_counts_once() -> None:
    fact = Fact(FactKind.PINNED_MAP, "node1", (("map", "cilium_lxc"),))
    missing = Unavailable(EvidenceError.TIMEOUT, "no answer", NOW)
    answer = Answer(0, b"", b"", NOW, 0.1)
    bundles = tuple(
        Bundle(PathRun(plan(), Request(NOW, port, answer), Evidence({fact: (missing, missing)})))
        for port in (20001, 20002)
    )
    metrics, run = new_metrics(), record_of(healthy(), healthy())
    metrics.show(probe(), ProbeStatus())
    metrics.run_ended(REF, ProbeStatus(), replace(run, result=replace(run.result, bundles=bundles)))
    assert of(scrape(metrics), "evidence_errors_total") == {("bpftool", "EvidenceTimeout"): 2}
