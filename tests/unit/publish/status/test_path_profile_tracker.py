"""When a change of the path profile counts: once, and only when it is stable."""

from dataclasses import replace

from datapath_probe.api.status.path_profile import PathProfile
from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.diagnose.finding.path_profile import ObservedAttachment, ObservedPathProfile
from datapath_probe.publish.status.path_profile_tracker import PathProfileTracker, ProfileUpdate
from datapath_probe.runs.run_result import RunResult
from unit.publish.samples import CANNOT_RUN, NOW, PROFILE, from_pod, healthy

FAR = replace(PROFILE, node_attachments={node: PROFILE.node_attachments[node] for node in ("node1", "node2")})
NEAR = replace(PROFILE, node_attachments={"node2": PROFILE.node_attachments["node2"]})
ONE_LESS = replace(PROFILE, backends={"deathstar-0": "node1"}, backend_count=1)


def run(profile: ObservedPathProfile | None, at: float = 0.0) -> RunResult:
    return RunResult(NOW + at, NOW + at, (healthy(profile),))


class Tracked:
    """A tracker, and the profile that the status keeps for it."""

    def __init__(self, profile: PathProfile | None = None) -> None:
        self._tracker = PathProfileTracker()
        self._profile = profile

    def update(self, result: RunResult) -> ProfileUpdate:
        found = self._tracker.update(self._profile, result)
        self._profile = found.profile
        return found


def follow(tracker: Tracked, *seen: tuple[float, ObservedPathProfile | None]) -> list[str | None]:
    return [tracker.update(run(profile, at)).change for at, profile in seen]


def restarted(update: ProfileUpdate) -> Tracked:
    """An operator that has read the status again."""
    assert update.profile
    written = ProbeStatus(path_profile=update.profile).to_object()
    return Tracked(ProbeStatus.from_object(written).path_profile)


def test_the_first_profile_and_another_selected_backend_are_no_change() -> None:
    assert follow(Tracked(), (0, NEAR), (5, FAR), (10, NEAR), (15, FAR)) == [None] * 4


def test_a_change_is_reported_once() -> None:
    native = replace(PROFILE, routing="native")
    assert follow(Tracked(), (0, PROFILE), (5, native), (10, native)) == [
        None,
        "routing vxlan → native",
        None,
    ]


def test_a_change_of_both_nodes_is_reported_once_although_runs_may_pass_only_one() -> None:
    tc = ObservedAttachment("tc", ("cil_from_container",))
    near, far = (
        replace(PROFILE, node_attachments={"node2": tc}),
        replace(PROFILE, node_attachments={"node1": tc, "node2": tc}),
    )
    assert follow(Tracked(), (0, FAR), (5, far), (10, near), (15, far)) == [
        *(None, "attach mode tcx → tc on node1, node2", None, None),
    ]


def test_a_node_that_a_run_did_not_pass_is_kept() -> None:
    tc = replace(PROFILE, node_attachments={"node1": ObservedAttachment("tc", ("cil_from_container",))})
    assert follow(Tracked(), (0, FAR), (5, NEAR), (10, tc)) == [
        None,
        None,
        "attach mode tcx → tc on node1",
    ]


def test_a_backend_set_counts_when_it_is_stable() -> None:
    assert follow(Tracked(), (0, PROFILE), (5, ONE_LESS), (10, ONE_LESS), (15, ONE_LESS), (20, ONE_LESS)) == [
        *(None, None, None, "backend set changed: -deathstar-1@node2", None),
    ]


def test_a_roll_out_with_the_same_result_is_no_change() -> None:
    assert (
        follow(
            Tracked(),
            (0, PROFILE),
            (5, ONE_LESS),
            (14, ONE_LESS),
            (16, PROFILE),
            (40, PROFILE),
        )
        == [None] * 5
    )


def test_a_backend_that_returns_on_another_node_is_a_change() -> None:
    moved = replace(PROFILE, backends={"deathstar-0": "node1", "deathstar-1": "node3"})
    assert follow(Tracked(), (0, PROFILE), (5, ONE_LESS), (10, moved)) == [
        *(None, None, "backend deathstar-1 moved node2 → node3"),
    ]


def test_runs_in_transition_and_runs_that_could_not_start_change_nothing() -> None:
    tracker = Tracked()
    before = tracker.update(run(PROFILE))
    assert tracker.update(run(None, 5)) == ProfileUpdate(before.profile)
    assert tracker.update(RunResult(NOW, NOW, (CANNOT_RUN,))) == ProfileUpdate(before.profile)


def test_another_destination_is_a_change() -> None:
    other = replace(PROFILE, destination="default/alderaan:80", routing="native")
    assert follow(Tracked(), (0, PROFILE), (5, other), (10, other)) == [None] * 3


def test_a_restart_neither_loses_nor_repeats_a_change() -> None:
    native = replace(PROFILE, routing="native")
    first = Tracked().update(run(PROFILE))
    changed = restarted(first).update(run(native, 5))
    assert changed.change == "routing vxlan → native"
    assert restarted(changed).update(run(native, 10)).change is None
    assert (
        restarted(first).update(run(native, 10)).change == changed.change
    )  # it was killed before it could write


def test_the_profile_has_the_time_and_description_of_the_last_change() -> None:
    tracker = Tracked()
    assert _since(tracker.update(run(PROFILE)).profile) == (NOW, None)
    changed = tracker.update(run(replace(PROFILE, routing="native"), 5)).profile
    assert _since(changed) == (NOW + 5, "routing vxlan → native")
    assert _since(tracker.update(run(replace(PROFILE, routing="native"), 9)).profile) == _since(changed)


def test_names_too_long_for_the_status_do_not_cause_a_change_in_each_run() -> None:
    long = replace(PROFILE, backends={"d" * 200: "node1"}, backend_count=1)
    assert follow(Tracked(), (0, long), (20, long), (40, long)) == [None] * 3


def _since(profile: PathProfile | None) -> tuple[float, str | None]:
    assert profile
    return profile.last_change_time.timestamp(), profile.last_change


def test_several_paths_share_one_profile_whichever_is_the_worst() -> None:
    one, other = from_pod(healthy(NEAR), 1, "node2"), from_pod(healthy(FAR), 2, "node1")
    tracker = Tracked()
    first = tracker.update(RunResult(NOW, NOW, (one, other)))
    assert first.profile
    assert {place.pod: place.node for place in first.profile.sources} == {
        "xwing-1": "node2",
        "xwing-2": "node1",
    }
    assert [found.node for found in first.profile.node_attachments] == ["node1", "node2"]
    assert tracker.update(RunResult(NOW + 5, NOW + 5, (other, one))) == ProfileUpdate(first.profile)


def test_a_path_without_a_profile_keeps_its_part_of_the_shared_one() -> None:
    one, other = from_pod(healthy(PROFILE), 1, "node2"), from_pod(healthy(PROFILE), 2, "node1")
    tracker = Tracked()
    first = tracker.update(RunResult(NOW, NOW, (one, other)))
    unseen = replace(other, profile=None)
    assert tracker.update(RunResult(NOW + 5, NOW + 5, (one, unseen))) == ProfileUpdate(first.profile)
    moved = tracker.update(RunResult(NOW + 10, NOW + 10, (one, from_pod(healthy(PROFILE), 2, "node3"))))
    assert moved.change == "source xwing-2 moved node1 → node3"
