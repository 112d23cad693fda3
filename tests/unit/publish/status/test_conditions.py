"""The conditions of a probe: their values, thresholds and reasons."""

from datetime import UTC, datetime

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.status.condition import ConditionStatus
from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.plan.plan import CannotRun
from unit.diagnose.netstack.test_netfilter import ruled
from unit.publish.samples import NOW, diverging, healthy, lost, probe, unjudged, unknown
from unit.publish.status.after_runs import after, condition, says
from unit.recorded import recorded


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


def test_conditions_have_values_that_the_api_server_accepts() -> None:
    assert {found.status for found in after([unknown()]).conditions} <= set(ConditionStatus)
    assert HopVerdict.OK in {hop.verdict for hop in after([healthy()]).paths[0].hops}
    assert after([healthy()]).paths[0].hops[0].name is HopName.IPAM
