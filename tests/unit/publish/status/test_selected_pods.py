"""The status of a probe that selects its pods: what it stands for, which pairs were not run, and its path profile."""

import json
import time
from dataclasses import replace

from datapath_probe.api.bounds import SIZE_LIMIT_BYTES
from datapath_probe.api.reasons import Reason
from datapath_probe.api.status.probe_status import PATHS_LIMIT, PathCounts, ProbeStatus
from datapath_probe.api.vocabulary import LoadBalancing, ProbeVerdict
from datapath_probe.plan.destination import PodEnd
from datapath_probe.plan.pairs.pairs import Pairs, Selected
from datapath_probe.plan.plan import CannotRun
from datapath_probe.publish.events.events import Headline, event_for
from datapath_probe.publish.metrics.gauges import Gauges
from datapath_probe.publish.status import status as statuses
from datapath_probe.publish.status.path_profile_tracker import PathProfileTracker
from datapath_probe.runs.run_result import NextRun, Outcome, RunRecord, RunResult
from unit.publish.samples import HOPS, NOW, PROFILE, diverging, finding, from_pod, healthy, probe, record

NODES = {f"star-{n}": f"node{n % 3}" for n in range(4)}
PAIRS = Pairs(
    sources=("xwing-0", "xwing-1"),
    destinations=tuple(PodEnd("default", name, 80) for name in NODES),
    requested="default/ds/star:80",
    selected=(
        Selected("default/deploy/xwing (2 pods)", {"xwing-0": "node1", "xwing-1": "node2"}),
        Selected("default/ds/star:80 (4 pods)", NODES),
    ),
)
DIRECT = replace(PROFILE, load_balancing=LoadBalancing.NONE, backends={"star-0": "node0"}, backend_count=1)


def result(*outcomes: Outcome, pairs: Pairs = PAIRS, not_run: int = 0, at: float = NOW) -> RunResult:
    return RunResult(at, at, outcomes, pairs=pairs, not_run=not_run)


def status_of(found: RunResult) -> ProbeStatus:
    run = replace(record(healthy()), result=found)
    assert isinstance(run, RunRecord)
    return statuses.after_run(ProbeStatus(), probe(), run, NextRun(NOW + 60))


def test_the_status_says_what_the_probe_stands_for() -> None:
    status = status_of(result(*(from_pod(healthy(), n) for n in range(8))))
    assert status.source == "default/deploy/xwing (2 pods)"
    assert status.destination == "default/ds/star:80 (4 pods)"
    assert (status.summary or "").startswith(
        "default/deploy/xwing (2 pods) → default/ds/star:80 (4 pods): 8 of 8 paths healthy"
    )


def test_pairs_that_were_not_run_are_counted_and_ready_says_so() -> None:
    status = status_of(result(healthy(), diverging(), not_run=6))
    assert status.path_counts == PathCounts(total=8, healthy=1, broken=1, not_run=6)
    [ready] = [found for found in status.conditions if found.type == "Ready"]
    assert ready.status == "True"
    assert ready.message == "runs every 60s; one run has 2 of 8 pairs, which take turns (--max-pairs)"
    assert (status.summary or "").startswith("1 of 2 paths broken, on node2. ")


def test_an_event_names_the_worst_pair_and_counts_the_others() -> None:
    broken = [from_pod(diverging(), n) for n in (1, 2)]
    status = status_of(result(healthy(), *broken))
    event = event_for(Headline.of(ProbeStatus()), status)
    assert event
    assert event.note.startswith("2 of 3 paths broken, all on node2. Broken at ipcache-lookup on node2: ")
    assert "(default/xwing-1@node2 → default/deathstar:80 → 10.244.0.172@node1)" in event.note


def test_of_healthy_paths_only_the_first_has_hops() -> None:
    status = status_of(result(*(from_pod(healthy(), n) for n in range(3)), from_pod(diverging(), 3)))
    assert [bool(path.hops) for path in status.paths] == [True, False, False, False]
    status = status_of(result(*(from_pod(healthy(), n) for n in range(3))))
    assert [bool(path.hops) for path in status.paths] == [True, False, False]


def test_the_status_of_64_pairs_is_small_if_all_are_healthy_and_within_the_limit_if_all_are_broken() -> None:
    facts = {f"fact{number}": "x" * 40 for number in range(8)}
    findings = tuple(finding(hop, node, facts=facts) for hop, node in (*HOPS, *HOPS, *HOPS, *HOPS))
    good = [from_pod(replace(healthy(), findings=findings), n) for n in range(64)]
    bad = [from_pod(replace(diverging(), findings=findings), n) for n in range(64)]
    sizes = [len(json.dumps(status_of(result(*paths)).to_object())) for paths in (good, bad)]
    assert sizes[0] <= 48 * 1024
    assert sizes[1] <= SIZE_LIMIT_BYTES
    assert len(status_of(result(*good)).paths) == PATHS_LIMIT
    worst = status_of(result(*good[:-1], bad[0]))
    assert worst.paths[0].verdict is ProbeVerdict.BROKEN
    assert worst.paths[0].hops[0].evidence.programmed


def test_gauges_do_not_depend_on_which_paths_are_shown() -> None:
    paths = result(*(from_pod(healthy(), n) for n in range(40)), from_pod(diverging(), 41), not_run=23)
    gauges = Gauges.of(status_of(paths)).with_hops_of(paths)
    assert gauges.success is False
    assert dict(gauges.hops)["ipcache-lookup"] is False
    assert dict(gauges.hops)["ipam"] is True
    assert dict(gauges.path_counts) == {"Healthy": 40, "Degraded": 0, "Broken": 1, "Unknown": 0}


def test_the_path_profile_of_thousands_of_pods_costs_little_more_than_that_of_those_that_are_kept() -> None:
    def update_s(number: int) -> float:
        nodes = {f"star-{n}": f"node{n % 3}" for n in range(number)}
        pairs = replace(PAIRS, selected=(Selected("", nodes), Selected("", nodes)))
        found, tracker = result(from_pod(healthy(DIRECT), 1), pairs=pairs), PathProfileTracker()
        known = tracker.update(None, found).profile
        began = time.process_time()
        tracker.update(known, found)
        return time.process_time() - began

    few_s, many_s = (min(update_s(number) for _ in range(5)) for number in (100, 5000))
    assert many_s < 12 * few_s


def test_the_path_profile_is_that_of_all_pairs_whichever_have_their_turn() -> None:
    tracker, known = PathProfileTracker(), None
    for turn, backend in enumerate(["star-0", "star-1", "star-2"]):
        path = from_pod(healthy(replace(DIRECT, backends={backend: NODES[backend]})), turn % 2)
        update = tracker.update(known, result(path, not_run=7, at=NOW + 60 * turn))
        assert update.change is None
        known = update.profile
    assert known
    assert {one.pod: one.node for one in known.backends} == NODES
    assert {one.pod for one in known.sources} == {"xwing-0", "xwing-1"}
    assert (known.destination, known.backend_count) == ("default/ds/star:80", 4)


def test_backends_that_are_requested_directly_do_not_change_load_balancing() -> None:
    pairs = replace(PAIRS, requested="default/deathstar:80", selected=(Selected(), Selected("", NODES)))
    service, direct = healthy(), healthy(DIRECT)
    tracker = PathProfileTracker()
    update = tracker.update(None, result(direct, service, pairs=pairs))
    assert update.profile
    assert update.profile.load_balancing is LoadBalancing.PER_PACKET
    later = tracker.update(update.profile, result(direct, pairs=pairs, not_run=1, at=NOW + 60))
    assert later.change is None
    assert later.profile
    assert later.profile.load_balancing is LoadBalancing.PER_PACKET


def test_without_pods_the_status_names_what_the_spec_selects() -> None:
    selecting = probe(source={"workload": {"kind": "Deployment", "name": "xwing"}})
    why = CannotRun(Reason.NO_SOURCE_PODS, "Deployment default/xwing has no pods")
    run = replace(record(why), result=RunResult(NOW, NOW, (why,)))
    status = statuses.after_run(ProbeStatus(), selecting, run, NextRun(NOW + 60))
    assert status.source == "default/deploy/xwing"
    assert (status.verdict, status.reason) == ("Unknown", "NoSourcePods")
    assert {found.type: found.status for found in status.conditions}["Ready"] == "True"
