"""When a change of the way counts: once, and not before it stands."""

from dataclasses import replace

from datapath_probe.api.path_profile import Way as WayResult
from datapath_probe.api.status import ProbeStatus
from datapath_probe.diagnose.finding.path_profile import Entry, Way
from datapath_probe.publish.status.path_profile_tracker import Sight, Ways
from datapath_probe.runs.run_result import RunResult
from unit.publish.samples import CANNOT_RUN, NOW, WAY, from_pod, healthy

FAR = replace(WAY, entries={node: WAY.entries[node] for node in ("node1", "node2")})
NEAR = replace(WAY, entries={"node2": WAY.entries["node2"]})
ONE_LESS = replace(WAY, backends={"deathstar-0": "node1"}, backend_count=1)


def run(way: Way | None, at: float = 0.0) -> RunResult:
    return RunResult(NOW + at, NOW + at, (healthy(way),))


def follow(ways: Ways, *seen: tuple[float, Way | None]) -> list[str | None]:
    return [ways.take(run(way, at)).change for at, way in seen]


def restarted(sight: Sight) -> Ways:
    """An operator that reads the status again."""
    assert sight.way
    written = ProbeStatus(way=sight.way).to_object()
    return Ways(ProbeStatus.from_object(written).way)


def test_the_first_way_and_another_choice_of_backend_are_no_change() -> None:
    assert follow(Ways(None), (0, NEAR), (5, FAR), (10, NEAR), (15, FAR)) == [None] * 4


def test_a_change_is_told_once() -> None:
    native = replace(WAY, routing="native")
    assert follow(Ways(None), (0, WAY), (5, native), (10, native)) == [None, "routing vxlan → native", None]


def test_a_change_of_both_nodes_is_told_once_though_runs_pass_one_or_both() -> None:
    tc = Entry("tc", "cil_from_container")
    near, far = replace(WAY, entries={"node2": tc}), replace(WAY, entries={"node1": tc, "node2": tc})
    assert follow(Ways(None), (0, FAR), (5, far), (10, near), (15, far)) == [
        *(None, "attach tcx → tc on node1, node2", None, None),
    ]


def test_a_node_that_a_run_did_not_pass_is_not_forgotten() -> None:
    tc = replace(WAY, entries={"node1": Entry("tc", "cil_from_container")})
    assert follow(Ways(None), (0, FAR), (5, NEAR), (10, tc)) == [None, None, "attach tcx → tc on node1"]


def test_a_backend_set_counts_when_it_has_stood() -> None:
    assert follow(Ways(None), (0, WAY), (5, ONE_LESS), (10, ONE_LESS), (15, ONE_LESS), (20, ONE_LESS)) == [
        *(None, None, None, "backend set changed: -deathstar-1@node2", None),
    ]


def test_a_roll_out_that_ends_as_it_began_is_no_change() -> None:
    assert follow(Ways(None), (0, WAY), (5, ONE_LESS), (14, ONE_LESS), (16, WAY), (40, WAY)) == [None] * 5


def test_a_backend_that_comes_back_elsewhere_has_moved() -> None:
    moved = replace(WAY, backends={"deathstar-0": "node1", "deathstar-1": "node3"})
    assert follow(Ways(None), (0, WAY), (5, ONE_LESS), (10, moved)) == [
        *(None, None, "backend deathstar-1 moved node2 → node3"),
    ]


def test_what_is_in_transition_or_could_not_run_changes_nothing() -> None:
    ways = Ways(None)
    before = ways.take(run(WAY))
    assert ways.take(run(None, 5)) == Sight(before.way)
    assert ways.take(RunResult(NOW, NOW, (CANNOT_RUN,))) == Sight(before.way)


def test_another_destination_is_another_question() -> None:
    other = replace(WAY, destination="default/alderaan:80", routing="native")
    assert follow(Ways(None), (0, WAY), (5, other), (10, other)) == [None] * 3


def test_a_restart_neither_loses_nor_repeats_a_change() -> None:
    native = replace(WAY, routing="native")
    first = Ways(None).take(run(WAY))
    changed = restarted(first).take(run(native, 5))
    assert changed.change == "routing vxlan → native"
    assert restarted(changed).take(run(native, 10)).change is None
    assert restarted(first).take(run(native, 10)).change == changed.change  # it died before it could write


def test_the_way_says_since_when_and_what_changed_last() -> None:
    ways = Ways(None)
    assert _since(ways.take(run(WAY)).way) == (NOW, None)
    changed = ways.take(run(replace(WAY, routing="native"), 5)).way
    assert _since(changed) == (NOW + 5, "routing vxlan → native")
    assert _since(ways.take(run(replace(WAY, routing="native"), 9)).way) == _since(changed)


def test_names_too_long_for_the_status_are_no_change_each_run() -> None:
    long = replace(WAY, backends={"d" * 200: "node1"}, backend_count=1)
    assert follow(Ways(None), (0, long), (20, long), (40, long)) == [None] * 3


def _since(way: WayResult | None) -> tuple[float, str | None]:
    assert way
    return way.since.timestamp(), way.change


def test_the_way_of_several_paths_is_one_whichever_is_the_worst() -> None:
    one, other = from_pod(healthy(NEAR), 1, "node2"), from_pod(healthy(FAR), 2, "node1")
    ways = Ways(None)
    first = ways.take(RunResult(NOW, NOW, (one, other)))
    assert first.way
    assert {place.pod: place.node for place in first.way.sources} == {"xwing-1": "node2", "xwing-2": "node1"}
    assert [entry.node for entry in first.way.entries] == ["node1", "node2"]
    assert ways.take(RunResult(NOW + 5, NOW + 5, (other, one))) == Sight(first.way)


def test_a_path_that_can_not_tell_keeps_its_place_in_the_way() -> None:
    one, other = from_pod(healthy(WAY), 1, "node2"), from_pod(healthy(WAY), 2, "node1")
    ways = Ways(None)
    first = ways.take(RunResult(NOW, NOW, (one, other)))
    assert ways.take(RunResult(NOW + 5, NOW + 5, (one, replace(other, way=None)))) == Sight(first.way)
    moved = from_pod(healthy(WAY), 2, "node3")
    assert (
        ways.take(RunResult(NOW + 10, NOW + 10, (one, moved))).change == "source xwing-2 moved node1 → node3"
    )
