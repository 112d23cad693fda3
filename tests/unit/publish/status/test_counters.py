"""Counters and history in the status."""

from dataclasses import replace

from datapath_probe.api.reasons import Reason
from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.api.vocabulary import ProbeVerdict
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.plan.plan import CannotRun
from datapath_probe.publish.status import status as statuses
from datapath_probe.runs.run_result import NextRun
from unit.publish.samples import CANNOT_RUN, NOW, diverging, healthy, lost, probe, record, unknown
from unit.publish.status.after_runs import after


def test_history_keeps_the_path_health_of_each_run() -> None:
    late = replace(healthy(), verdict=ProbeVerdict.DEGRADED, reason=Reason.TOO_SLOW)
    runs: list[Diagnosis | CannotRun] = [
        healthy(),
        lost(),
        diverging(ProbeVerdict.DEGRADED),
        late,
        unknown(met=True),
        CANNOT_RUN,
    ]
    history = after(runs).to_object()["history"]
    kept = [entry["pathHealthy"] for entry in reversed(history)]
    assert kept == ["True", "False", "False", "True", "Unknown", "Unknown"]


def test_counters_distinguish_failures_from_unknown_results() -> None:
    counters = after(
        [healthy(), diverging(), diverging(), unknown(), diverging(ProbeVerdict.DEGRADED)]
    ).counters
    assert (counters.runs, counters.failures) == (5, 2)
    assert (counters.consecutive_failures, counters.consecutive_successes) == (0, 1)


def test_skipped_runs_add_up() -> None:
    status = statuses.after_run(ProbeStatus(), probe(), record(healthy()), NextRun(NOW + 60, skipped=3))
    status = statuses.after_run(status, probe(), record(healthy()), NextRun(NOW + 60, skipped=2))
    assert status.counters.skipped == 5


def test_history_keeps_the_newest_runs_first_up_to_its_limit() -> None:
    status = after([healthy(), lost(), diverging(), CANNOT_RUN], probe(history={"limit": 3}))
    assert [(entry.verdict, entry.hop, entry.reason) for entry in status.history] == [
        ("Unknown", None, "SourceNotFound"),
        ("Broken", "ipcache-lookup", "WrongTunnelEndpoint"),
        ("Broken", None, "LostInTransit"),
    ]
    assert status.history[1].latency == "7.6ms"
    assert after([healthy(), healthy()], probe(history={"limit": 0})).history == ()
