"""What counts as being in transition, and what does not."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.diagnose.run import Request, Run
from datapath_probe.diagnose.transition import in_transition
from datapath_probe.plan.plan import CannotRun, Plan
from datapath_probe.plan.resolve import resolve
from unit.cluster import Cluster, cluster, probe, slice_endpoint

SERVICE = {"service": {"name": "deathstar", "port": 80}}


def plan(change: Callable[[Cluster], None] = lambda _: None) -> Plan:
    inventory = cluster()
    change(inventory)
    made = resolve(probe(SERVICE), inventory)
    assert isinstance(made, Plan)
    return made


def run(before: Plan, after: Plan | CannotRun | None) -> Run:
    return Run(before, Request(1000.0, 20000, None), plan_after=after)


def _pod(name: str, **changes: object) -> Callable[[Cluster], None]:
    def change(inventory: Cluster) -> None:
        key = f"default/{name}"
        inventory.pods[key] = replace(inventory.pods[key], **changes)  # type: ignore[arg-type]  # a test's shorthand

    return change


def _agent_not_ready(inventory: Cluster) -> None:
    inventory.agents["node1"] = replace(inventory.agents["node1"], ready=False)


def _node_not_ready(inventory: Cluster) -> None:
    inventory.nodes["node1"] = replace(inventory.nodes["node1"], ready=False)


def _regenerating(inventory: Cluster) -> None:
    key = "default/xwing"
    inventory.cilium_endpoints[key] = replace(inventory.cilium_endpoints[key], state="regenerating")


def _one_backend_less(inventory: Cluster) -> None:
    inventory.endpoints["default/deathstar"] = (slice_endpoint("deathstar-0", "10.244.0.172", "node1"),)


def _reconfigured(inventory: Cluster) -> None:
    inventory.config["routing-mode"] = "native"


def test_a_cluster_that_stands_still_is_not_in_transition() -> None:
    assert in_transition(run(plan(), plan())) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_pod("deathstar-0", terminating=True), "pod default/deathstar-0 is being deleted"),
        (_pod("deathstar-0", started_at=991.0), "pod default/deathstar-0 has just been started"),
        (_agent_not_ready, "agent on node1 is not ready"),
        (_node_not_ready, "node node1 is not ready"),
        (_regenerating, "is regenerating"),
    ],
)
def test_objects_that_say_so_are_in_transition(change: Callable[[Cluster], None], words: str) -> None:
    assert words in (in_transition(run(plan(change), None)) or "")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_pod("xwing", uid="another"), "pod default/xwing was re-created"),
        (_pod("deathstar-1", restarts=1), "a container of pod default/deathstar-1 restarted"),
        (_pod("deathstar-1", ips=("10.244.1.99",)), "pod default/deathstar-1 changed"),
        (_one_backend_less, "ready endpoints of default/deathstar:80 changed"),
        (_reconfigured, "Cilium's configuration changed"),
    ],
)
def test_what_changes_during_the_run_is_in_transition(change: Callable[[Cluster], None], words: str) -> None:
    assert words in (in_transition(run(plan(), plan(change))) or "")


def test_a_pod_that_only_stops_being_ready_is_not() -> None:
    assert in_transition(run(plan(), plan(_pod("deathstar-0", ready=False)))) is None


def test_a_destination_that_vanished_says_why() -> None:
    vanished = CannotRun(Reason.SOURCE_NOT_FOUND, "there is no pod default/xwing")
    assert in_transition(run(plan(), vanished)) == "there is no pod default/xwing"


def test_an_api_server_that_is_silent_for_long_is() -> None:
    still = run(plan(), plan())
    assert in_transition(replace(still, view_age_s=5.0)) is None
    assert "has not been heard for 30 s" in (in_transition(replace(still, view_age_s=30.0)) or "")
