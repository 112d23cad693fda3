"""The status of a run with several paths: their counts, the one that decides, and the size limit."""

import json
from dataclasses import replace

import pytest

from datapath_probe.api.bounds import SIZE_LIMIT_BYTES
from datapath_probe.api.reasons import Reason
from datapath_probe.api.status.condition import Condition
from datapath_probe.api.status.probe_status import PATHS_LIMIT, PathCounts, ProbeStatus
from datapath_probe.api.vocabulary import HopName, ProbeVerdict
from datapath_probe.plan.plan import CannotRun
from datapath_probe.publish.status import status as statuses
from datapath_probe.publish.status.counts import path_counts
from datapath_probe.publish.status.many_paths import paths_text
from datapath_probe.runs.run_result import NextRun, Outcome
from unit.publish.samples import (
    CANNOT_RUN,
    HOPS,
    NOW,
    REPORT,
    diverging,
    finding,
    from_pod,
    healthy,
    lost,
    probe,
    record_of,
    unknown,
)

BROKEN, STALE = diverging(), diverging(ProbeVerdict.DEGRADED)
BROKEN_FAR = diverging(hop=HopName.ENDPOINT_LOOKUP, reason=Reason.STALE_MAP_IN_USE)
PENDING = CannotRun(
    Reason.SOURCE_NOT_RUNNING, "source pod default/xwing-9 is Pending", source="default/xwing-9"
)


def after(*outcomes: Outcome, previous: ProbeStatus | None = None) -> ProbeStatus:
    return statuses.after_run(previous or ProbeStatus(), probe(), record_of(*outcomes), NextRun(NOW + 60))


def fleet(broken: int, of: int, bad: Outcome = BROKEN) -> list[Outcome]:
    """Paths from pods on three nodes, of which this number is broken, spread among the others."""
    outcomes: list[Outcome] = []
    for number in range(of):
        is_bad = number % (of // broken) == 0 and number // (of // broken) < broken if broken else False
        found = bad if is_bad else healthy()
        assert not isinstance(found, CannotRun)
        outcomes.append(from_pod(found, number, f"node{number % 3 + 1}"))
    return outcomes


def condition(status: ProbeStatus, type_: str) -> Condition:
    return next(found for found in status.conditions if found.type == type_)


def says(status: ProbeStatus) -> dict[str, str]:
    return {found.type: found.status for found in status.conditions}


def test_the_summary_has_the_counts_then_the_worst_verdict_then_its_path() -> None:
    summary = after(*fleet(3, of=12)).summary or ""
    assert summary.startswith(
        "3 of 12 paths broken, all on node2. Broken at ipcache-lookup on node2: WrongTunnelEndpoint: "
    )
    assert summary.endswith(" (default/xwing-0@node1 → default/deathstar:80 → 10.244.0.172@node1)")


def test_healthy_paths_are_summarized_with_the_longest_duration() -> None:
    slow = replace(healthy(), report=replace(REPORT, timings=replace(REPORT.timings, total=0.0123)))
    status = after(*fleet(0, of=11), from_pod(slow, 11))
    assert status.summary == (
        "default/xwing-0@node1 and 11 more → default/deathstar:80: 12 of 12 paths healthy, at most 12.3ms"
    )
    assert (status.verdict, status.reason, status.divergent_hop) == (ProbeVerdict.HEALTHY, None, None)


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ([BROKEN, healthy()], "1 of 2 paths broken, on node2"),
        ([BROKEN, BROKEN_FAR, STALE], "2 of 3 paths broken; 1 degraded"),
        ([STALE, STALE, unknown(), healthy()], "2 of 4 paths degraded, all on node2; 1 unknown"),
        ([lost(), healthy()], "1 of 2 paths broken"),
        ([lost(), BROKEN], "2 of 2 paths broken"),
        ([PENDING, healthy()], "1 of 2 paths unknown"),
        ([replace(healthy(), report=None)] * 2, "2 of 2 paths healthy"),
    ],
)
def test_paths_are_counted_by_verdict_with_their_common_node(outcomes: list[Outcome], said: str) -> None:
    assert paths_text(outcomes) == said


def test_a_path_that_could_not_be_run_counts_as_unknown() -> None:
    outcomes: list[Outcome] = [healthy(), BROKEN, BROKEN, STALE, unknown(), PENDING]
    assert path_counts(outcomes) == PathCounts(total=6, healthy=1, degraded=1, broken=2, unknown=2)
    assert path_counts([]) == PathCounts(total=0, healthy=0, degraded=0, broken=0, unknown=0)


def test_the_worst_path_decides_and_comes_first() -> None:
    status = after(healthy(), unknown(), STALE, BROKEN)
    assert [path.verdict for path in status.paths] == ["Broken", "Degraded", "Unknown", "Healthy"]
    assert (status.verdict, status.reason) == ("Broken", "WrongTunnelEndpoint")
    assert status.divergent_hop
    assert status.divergent_hop.node == "node2"
    assert status.history[0].verdict == "Broken"
    assert says(status) == {"ExpectationMet": "False", "PathHealthy": "False", "Ready": "True"}


def test_one_failed_path_fails_the_probe() -> None:
    first = after(healthy(), healthy())
    second = after(healthy(), BROKEN, previous=first)
    assert (first.counters.consecutive_successes, second.counters.consecutive_failures) == (1, 1)
    assert condition(second, "ExpectationMet").message.startswith("1 of 2 paths broken, on node2. Broken at ")


def test_each_condition_names_the_path_that_decides_it() -> None:
    status = after(STALE, PENDING, healthy())
    reachable, path_healthy = condition(status, "ExpectationMet"), condition(status, "PathHealthy")
    assert (reachable.status, reachable.reason) == ("Unknown", "SourceNotRunning")
    assert "source pod default/xwing-9 is Pending" in reachable.message
    assert reachable.message.endswith(" (default/xwing-9 → default/deathstar:80)")
    assert (path_healthy.status, path_healthy.reason) == ("False", "WrongTunnelEndpoint")


def test_a_probe_is_stalled_if_none_of_its_paths_can_run() -> None:
    assert says(after(CANNOT_RUN, CANNOT_RUN))["Stalled"] == "True"
    assert says(after(CANNOT_RUN, healthy())) == {
        "ExpectationMet": "Unknown",
        "PathHealthy": "Unknown",
        "Ready": "True",
    }


def test_only_the_worst_paths_are_listed_if_there_are_too_many() -> None:
    long = replace(
        BROKEN,
        findings=tuple(
            finding(hop, node, facts={f"fact{number}": "x" * 200 for number in range(12)})
            for hop, node in (*HOPS, *HOPS, *HOPS, *HOPS)
        ),
    )
    healthy_ones = [
        from_pod(replace(long, verdict=ProbeVerdict.HEALTHY, divergence=None), n) for n in range(54)
    ]
    status = after(*healthy_ones, *(from_pod(long, number) for number in range(54, 64)))
    assert len(json.dumps(status.to_object())) <= SIZE_LIMIT_BYTES
    assert 10 < len(status.paths) <= PATHS_LIMIT
    assert [path.verdict for path in status.paths[:11]] == ["Broken"] * 10 + ["Healthy"]
    assert status.paths[0].hops[0].evidence.programmed, "the worst keeps its evidence"
    assert (status.summary or "").startswith("10 of 64 paths broken, all on node2. ")
