"""Statuses from run to run: their content, and that they continue the one in the API server."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from datapath_probe.api.condition import Condition, ConditionStatus
from datapath_probe.api.probe import InvalidSpec, Probe
from datapath_probe.api.reasons import Reason
from datapath_probe.api.status import PathCounts, ProbeStatus
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict, Trigger
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.plan.plan import CannotRun
from datapath_probe.publish.advice import next_step
from datapath_probe.publish.status import status as statuses
from datapath_probe.runs.run_result import NextRun
from unit.diagnose.netstack.test_netfilter import ruled
from unit.publish.samples import CANNOT_RUN, NOW, diverging, healthy, lost, probe, record, unjudged, unknown
from unit.recorded import recorded

DATA = Path(__file__).parents[3] / "data"


def after(
    outcomes: Iterable[Diagnosis | CannotRun],
    of: Probe | None = None,
    previous: ProbeStatus | None = None,
    every_s: float = 60,
) -> ProbeStatus:
    """The status after these runs."""
    current = previous or ProbeStatus()
    for number, outcome in enumerate(outcomes):
        at = NOW + number * every_s
        current = statuses.after_run(current, of or probe(), record(outcome, at), NextRun(at + every_s))
    return current


def condition(status: ProbeStatus, type_: str) -> Condition:
    return next(found for found in status.conditions if found.type == type_)


def says(status: ProbeStatus) -> dict[str, str]:
    return {found.type: found.status for found in status.conditions}


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


@pytest.mark.parametrize(
    ("outcome", "expectation_met", "path_healthy"),
    [
        (healthy(), "True", "True"),
        (diverging(ProbeVerdict.DEGRADED), "True", "False"),
        (diverging(ProbeVerdict.BROKEN), "False", "False"),
        (lost(), "False", "False"),
        (unknown(), "Unknown", "Unknown"),
        (unknown(met=True), "True", "Unknown"),
        (unjudged(met=True), "True", "Unknown"),
        (unjudged(met=False), "False", "Unknown"),
    ],
)
def test_conditions_of_the_first_run(outcome: Diagnosis, expectation_met: str, path_healthy: str) -> None:
    assert says(after([outcome])) == {
        "ExpectationMet": expectation_met,
        "PathHealthy": path_healthy,
        "Ready": "True",
    }


def test_a_failure_while_something_is_in_transition_does_not_count() -> None:
    outcome = unknown(met=False)
    assert says(after([healthy(), outcome]))["ExpectationMet"] == "Unknown"


def test_the_outcome_of_the_request_counts_if_its_path_can_not_be_judged() -> None:
    of = probe(threshold={"failures": 2, "successes": 2})
    good, bad = unjudged(met=True), unjudged(met=False)
    runs = [healthy(), bad, bad, good, good]
    seen = [says(after(runs[: count + 1], of))["ExpectationMet"] for count in range(len(runs))]
    assert seen == ["True", "True", "False", "False", "True"]
    status = after([healthy(), unjudged(met=False)])
    assert (status.counters.failures, status.counters.consecutive_failures) == (1, 1)
    condition = next(c for c in status.conditions if c.type == "ExpectationMet")
    assert (condition.reason, "Cilium runs with netkit" in condition.message) == (
        "UnsupportedConfiguration",
        True,
    )


@pytest.mark.parametrize(
    "reason",
    [
        Reason.SOURCE_NOT_FOUND,
        Reason.CONTAINER_NOT_FOUND,
        Reason.DESTINATION_NOT_FOUND,
        Reason.PORT_NOT_FOUND,
        Reason.INVALID_OBJECT,
        Reason.NO_COMMON_IP_VERSION,
        Reason.UNSUPPORTED_CONFIGURATION,
        Reason.UNSUPPORTED_DESTINATION,
    ],
)
def test_a_probe_that_needs_a_change_to_run_is_stalled(reason: Reason) -> None:
    assert says(after([CannotRun(reason, "IPv6 only")])) == {
        "ExpectationMet": "Unknown",
        "PathHealthy": "Unknown",
        "Ready": "False",
        "Stalled": "True",
    }
    assert says(after([CannotRun(reason, "IPv6 only"), unjudged(met=True)]))["Ready"] == "True"


@pytest.mark.parametrize(
    "reason",
    [
        Reason.SOURCE_NOT_RUNNING,
        Reason.CONTAINER_NOT_RUNNING,
        Reason.DESTINATION_NOT_RUNNING,
        Reason.IN_TRANSITION,
        Reason.RUN_TIMEOUT,
        Reason.INTERNAL_ERROR,
    ],
)
def test_a_temporary_problem_does_not_stall_a_probe(reason: Reason) -> None:
    seen = says(after([CannotRun(reason, "it starts")]))
    assert seen == {"ExpectationMet": "Unknown", "PathHealthy": "Unknown", "Ready": "True"}


def test_conditions_change_after_as_many_runs_as_the_threshold() -> None:
    of = probe(threshold={"failures": 3, "successes": 2})
    good, bad = [healthy()], [diverging()]
    seen = [says(after(good + bad * count, of)) for count in range(4)]
    assert [(each["ExpectationMet"], each["PathHealthy"]) for each in seen] == [("True", "True")] * 3 + [
        ("False", "False")
    ]
    seen = [says(after(bad * 3 + good * count, of)) for count in range(3)]
    assert [(each["ExpectationMet"], each["PathHealthy"]) for each in seen] == [("False", "False")] * 2 + [
        ("True", "True")
    ]


def test_a_successful_run_between_failures_resets_the_count() -> None:
    of = probe(threshold={"failures": 2})
    assert says(after([healthy(), diverging(), healthy(), diverging()], of))["ExpectationMet"] == "True"


def test_a_stale_hop_counts_only_for_the_path() -> None:
    of = probe(threshold={"failures": 2})
    degraded = diverging(ProbeVerdict.DEGRADED)
    assert says(after([healthy(), degraded], of)) == {
        "ExpectationMet": "True",
        "PathHealthy": "True",
        "Ready": "True",
    }
    assert says(after([healthy(), degraded, degraded], of))["PathHealthy"] == "False"


def test_a_segment_with_an_exact_reason_counts_for_the_path() -> None:
    of = probe(threshold={"failures": 3})
    refused = ruled("[3:180] -A INPUT -p tcp -m connlimit --connlimit-above 0 -j REJECT")  # recorded
    assert refused.segment is not None
    assert refused.reason is Reason.CONNECTION_REFUSED
    seen = [says(after([healthy()] + [refused] * count, of))["PathHealthy"] for count in range(4)]
    assert seen == ["True", "True", "True", "False"]


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


@pytest.mark.parametrize("limit", [0, 2, 50])
def test_the_threshold_does_not_depend_on_the_history_limit(limit: int) -> None:
    of = probe(threshold={"failures": 20, "successes": 5}, history={"limit": limit})
    broken, well = (
        diagnose(recorded("ipcache-wrong-tunnel-endpoint")),
        diagnose(recorded("healthy-service-cross-node")),
    )
    status = after([well], of)
    seen = []
    for outcome in [broken] * 20 + [well] * 5:
        status = after([outcome], of, ProbeStatus.from_object(status.to_object()))
        seen.append((says(status)["ExpectationMet"], says(status)["PathHealthy"]))
    assert seen == [("True", "True")] * 19 + [("False", "False")] * 5 + [("True", "True")]


def test_runs_with_unknown_path_health_reset_the_count() -> None:
    runs = [diverging(ProbeVerdict.DEGRADED), diverging()]
    counters = after(runs).counters
    assert (counters.consecutive_path_failures, counters.consecutive_path_successes) == (2, 0)
    counters = after([*runs, unknown(met=True)]).counters
    assert (counters.consecutive_path_failures, counters.consecutive_path_successes) == (0, 0)
    counters = after([*runs, unknown(met=True), healthy()]).counters
    assert (counters.consecutive_path_failures, counters.consecutive_path_successes) == (0, 1)


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


def test_the_first_run_of_a_changed_spec_sets_conditions_at_once() -> None:
    before = after([healthy()], probe(threshold={"failures": 3}))
    changed = probe(generation=2, threshold={"failures": 3})
    assert says(after([diverging()], changed, before))["ExpectationMet"] == "False"


def test_the_transition_time_only_changes_with_the_status() -> None:
    first = condition(after([healthy()]), "ExpectationMet")
    second = condition(after([healthy(), healthy()]), "ExpectationMet")
    third = condition(after([healthy(), healthy(), diverging()]), "ExpectationMet")
    assert first.last_transition_time == second.last_transition_time
    assert third.last_transition_time == datetime.fromtimestamp(NOW + 120.1, UTC)


def test_the_most_important_conditions_come_first() -> None:
    status = after([diverging()])
    assert [found.type for found in status.conditions] == ["ExpectationMet", "PathHealthy", "Ready"]
    assert "ipcache-lookup on node2" in status.conditions[0].message
    assert "Next: " not in status.conditions[0].message


def test_an_unsupported_destination_stalls_the_probe() -> None:
    status = after([CannotRun(Reason.UNSUPPORTED_DESTINATION, "Service default/deathstar is headless")])
    assert says(status)["Ready"] == "False"
    assert condition(status, "Stalled").reason == "UnsupportedDestination"
    assert "Stalled" not in says(after([healthy()], previous=status))


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
    of = InvalidSpec(probe().meta, ProbeStatus(), "spec.schedule.interval: must be a duration")
    status = statuses.invalid(after([healthy()]), of, NOW)
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


def test_conditions_have_values_that_the_api_server_accepts() -> None:
    assert {found.status for found in after([unknown()]).conditions} <= set(ConditionStatus)
    assert HopVerdict.OK in {hop.verdict for hop in after([healthy()]).paths[0].hops}
    assert after([healthy()]).paths[0].hops[0].name is HopName.IPAM
