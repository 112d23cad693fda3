"""What counts as a transition, and what does not."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName
from datapath_probe.diagnose.run.run import PathRun, Request
from datapath_probe.diagnose.run.windows import Windows
from datapath_probe.diagnose.verdict.transitions import in_transition
from datapath_probe.plan.endpoint_churn import EndpointChurn
from datapath_probe.plan.objects import Pod
from datapath_probe.plan.plan import CannotRun, Plan
from unit.cluster import Cluster, cluster, pod, probe, resolve, slice_endpoint

SERVICE = {"service": {"name": "deathstar", "port": 80}}
NOW = 1000.0


def plan(change: Callable[[Cluster], None] = lambda _: None) -> Plan:
    inventory = cluster()
    change(inventory)
    (made,) = resolve(probe(SERVICE), inventory)
    assert isinstance(made, Plan)
    return made


def run(before: Plan, after: Plan | CannotRun | None, **more: EndpointChurn | float | None) -> PathRun:
    return PathRun(before, Request(NOW, 20000, None), plan_after=after, **more)  # type: ignore[arg-type]  # a test's shorthand


def change_of(one: PathRun, chosen: str | None = None, *doubtful: HopName) -> str | None:
    """What is in transition if packets went to this backend; None if the backend is unknown."""
    backends = (b for b in one.plan.backends if b.pod_facts and b.pod_facts.pod.name == chosen)
    return in_transition(one, next(backends, None), doubtful)


def _pod(name: str, **changes: object) -> Callable[[Cluster], None]:
    def change(inventory: Cluster) -> None:
        key = f"default/{name}"
        inventory.pods[key] = replace(inventory.pods[key], **changes)  # type: ignore[arg-type]  # a test's shorthand

    return change


def _agent(node: str, **changes: object) -> Callable[[Cluster], None]:
    def change(inventory: Cluster) -> None:
        inventory.agents[node] = replace(inventory.agents[node], **changes)  # type: ignore[arg-type]  # as above

    return change


def _node(name: str, **changes: object) -> Callable[[Cluster], None]:
    def change(inventory: Cluster) -> None:
        inventory.nodes[name] = replace(inventory.nodes[name], **changes)  # type: ignore[arg-type]  # as above

    return change


def _regenerating(inventory: Cluster) -> None:
    key = "default/xwing"
    inventory.cilium_endpoints[key] = replace(inventory.cilium_endpoints[key], state="regenerating")


def _one_backend_less(inventory: Cluster) -> None:
    inventory.endpoints["default/deathstar"] = (slice_endpoint("deathstar-0", "10.244.0.172", "node1"),)


def _reconfigured(inventory: Cluster) -> None:
    inventory.config["routing-mode"] = "native"


def test_a_stable_cluster_is_not_in_transition() -> None:
    assert change_of(run(plan(), plan())) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_pod("deathstar-0", terminating=True), "pod default/deathstar-0 is being deleted"),
        (_pod("deathstar-0", started_at=991.0), "pod default/deathstar-0 has just started"),
        (_agent("node1", ready=False), "agent on node1 is not ready"),
        (_agent("node1", ready=False, ready_changed_at=NOW - 100), "agent on node1 is not ready"),
        (_agent("node2", started_at=NOW - 25), "agent on node2 was started 25 s ago"),
        (_node("node1", ready=False, ready_changed_at=NOW - 100), "node node1 is not ready"),
        (_node("node1", unschedulable=True, cordoned_at=NOW - 20), "node node1 was cordoned 20 s ago"),
        (_regenerating, "is regenerating"),
    ],
)
def test_changing_objects_are_a_transition(change: Callable[[Cluster], None], words: str) -> None:
    assert words in (change_of(run(plan(change), None)) or "")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_pod("xwing", uid="another"), "pod default/xwing was re-created"),
        (_pod("deathstar-1", restarts=1), "a container of pod default/deathstar-1 restarted"),
        (_pod("deathstar-1", ips=(ip_address("10.244.1.99"),)), "pod default/deathstar-1 changed"),
        (_one_backend_less, "ready endpoints of default/deathstar:80 changed"),
        (_reconfigured, "Cilium's configuration changed"),
    ],
)
def test_a_change_during_the_run_is_a_transition(change: Callable[[Cluster], None], words: str) -> None:
    assert words in (change_of(run(plan(), plan(change))) or "")


def test_a_pod_that_only_becomes_unready_is_no_transition() -> None:
    assert change_of(run(plan(), plan(_pod("deathstar-0", ready=False)))) is None


def test_a_plan_that_can_not_run_any_more_gives_its_reason() -> None:
    vanished = CannotRun(Reason.SOURCE_NOT_FOUND, "there is no pod default/xwing")
    assert change_of(run(plan(), vanished)) == "there is no pod default/xwing"


def test_an_api_server_that_does_not_answer_is_a_transition() -> None:
    stable = run(plan(), plan())
    assert change_of(replace(stable, view_age_s=5.0)) is None
    assert "has not answered for 30 s" in (change_of(replace(stable, view_age_s=30.0)) or "")


@pytest.mark.parametrize(
    "change",
    [
        _agent("node1", started_at=NOW - 60),
        _agent("node1", ready=False, ready_changed_at=NOW - 600, started_at=NOW - 600),
        _node("node1", ready=False, ready_changed_at=NOW - 600),
        _node("node1", unschedulable=True, cordoned_at=NOW - 600),
        _node("node1", unschedulable=True),
    ],
)
def test_old_states_do_not_count(change: Callable[[Cluster], None]) -> None:
    assert change_of(run(plan(change), plan(change))) is None


@pytest.mark.parametrize(
    "change",
    [_pod("deathstar-0", terminating=True), _pod("deathstar-0", uid="another"), _agent("node1", ready=False)],
)
def test_a_change_off_the_path_does_not_count(change: Callable[[Cluster], None]) -> None:
    assert change_of(run(plan(change), plan(change)), "deathstar-1") is None
    assert change_of(run(plan(), plan(change)), "deathstar-1") is None


def test_it_counts_while_the_backends_are_in_doubt() -> None:
    leaving = plan(_pod("deathstar-0", terminating=True))
    assert change_of(run(leaving, leaving), "deathstar-1", HopName.SERVICE_LOOKUP)


def test_the_backend_that_was_chosen_must_still_be_one() -> None:
    without = plan(_one_backend_less)
    assert "endpoints of default/deathstar:80 changed" in (
        change_of(run(plan(), without), "deathstar-1") or ""
    )
    assert change_of(run(plan(), without), "deathstar-0") is None


def churn(changed_at: float = 0.0, *unready: Pod) -> EndpointChurn:
    return EndpointChurn("default/deathstar", changed_at, unready)


@pytest.mark.parametrize(
    ("destination_churn", "words"),
    [
        (churn(NOW - 8), "endpoints of Service default/deathstar changed 8 s ago"),
        (churn(NOW + 1), "endpoints of Service default/deathstar changed 0 s ago"),
        (churn(0, pod("deathstar-2", "", "", ready=False, created_at=NOW - 40)), "about to become ready"),
        (churn(0, pod("deathstar-2", "10.244.1.9", "node2", terminating=True)), "is being deleted"),
    ],
)
def test_a_rollout_behind_the_service_is_a_transition(destination_churn: EndpointChurn, words: str) -> None:
    moving = run(plan(), plan(), destination_churn=destination_churn)
    assert words in (change_of(moving) or "")
    assert words in (change_of(moving, "deathstar-1", HopName.SERVICE_LOOKUP) or "")
    assert change_of(moving, "deathstar-1") is None


@pytest.mark.parametrize(
    "destination_churn",
    [churn(NOW - 60), churn(0, pod("deathstar-2", "", "", ready=False, created_at=NOW - 600))],
)
def test_a_rollout_that_is_over_or_stuck_is_no_transition(destination_churn: EndpointChurn) -> None:
    assert change_of(run(plan(), plan(), destination_churn=destination_churn)) is None


def test_a_service_without_pods_to_come_is_stable() -> None:
    empty = plan(lambda inventory: inventory.endpoints.clear())
    assert (
        change_of(run(empty, empty, destination_churn=churn(NOW - 1)), None, HopName.SERVICE_LOOKUP) is None
    )


def test_a_restart_of_dns_counts_if_the_name_did_not_resolve() -> None:
    moving = run(plan(), plan(), dns_churn=EndpointChurn("kube-system/kube-dns", NOW - 3, ()))
    assert "Service kube-system/kube-dns changed" in (change_of(moving, None, HopName.NAME_RESOLUTION) or "")
    assert change_of(moving) is None


@pytest.mark.parametrize(("written_at", "is_transition"), [(NOW - 5, True), (0.0, True), (NOW - 31, False)])
def test_an_endpoint_is_regenerated_for_a_while_and_no_longer(written_at: float, is_transition: bool) -> None:
    def regenerating(inventory: Cluster) -> None:
        known = inventory.cilium_endpoints["default/xwing"]
        inventory.cilium_endpoints["default/xwing"] = replace(
            known, state="regenerating", written_at=written_at
        )

    before = plan(regenerating)
    assert (change_of(run(before, before)) is not None) is is_transition


def test_a_cilium_endpoint_that_was_written_again_as_it_was_has_not_changed() -> None:
    def rewritten(inventory: Cluster) -> None:
        known = inventory.cilium_endpoints["default/xwing"]
        inventory.cilium_endpoints["default/xwing"] = replace(known, written_at=NOW)

    assert change_of(run(plan(), plan(rewritten))) is None


@pytest.mark.parametrize(
    ("change", "windows"),
    [
        (_pod("deathstar-0", started_at=NOW - 5), Windows(pod_starting_s=2)),
        (_agent("node2", started_at=NOW - 5), Windows(agent_starting_s=2)),
        (_agent("node1", ready=False, ready_changed_at=NOW - 5), Windows(not_ready_s=2)),
        (_node("node1", unschedulable=True, cordoned_at=NOW - 5), Windows(draining_s=2)),
    ],
)
def test_windows_are_a_parameter(change: Callable[[Cluster], None], windows: Windows) -> None:
    one = run(plan(change), None)
    assert change_of(one)
    assert change_of(replace(one, windows=windows)) is None
