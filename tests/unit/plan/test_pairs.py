"""The pairs that a probe stands for: which pods take part, in which order, and why there are none."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.api.reasons import Reason
from datapath_probe.api.spec.destination import AddressDestination
from datapath_probe.api.spec.label_selector import LabelSelector
from datapath_probe.api.spec.source import Select
from datapath_probe.plan.destination import PodEnd, Requested
from datapath_probe.plan.objects import Pod
from datapath_probe.plan.pairs.pairs import Pair, Pairs, pairs_of
from datapath_probe.plan.pairs.selection import chosen, selects, spread
from datapath_probe.plan.plan import CannotRun, Plan, PodTarget
from unit.cluster import Cluster, cluster, pod, probe, resolve
from unit.plan.planned import POD, SERVICE

FRONTEND = {"workload": {"kind": "Deployment", "name": "frontend"}}
BY_LABEL = {"selector": {"matchLabels": {"app": "frontend"}}}
STARS = {"workload": {"kind": "StatefulSet", "name": "deathstar", "port": 80}}
EACH = {**SERVICE, "backends": "Each"}
AGENTS = {"workload": {"kind": "DaemonSet", "name": "agent", "port": 9}}


def frontends(number: int = 3, **changes: object) -> Cluster:
    """The small cluster with a Deployment of pods on both nodes, the oldest first, and a StatefulSet of two."""
    made = cluster()
    made.workloads["StatefulSet default/deathstar"] = {"deathstar-0", "deathstar-1"}
    made.workloads["Deployment default/frontend"] = {f"frontend-{n}" for n in range(number)}
    for n in range(number):
        add(made, f"frontend-{n}", f"node{n % 2 + 1}", created_at=1000.0 + n, **changes)
    return made


def add(inventory: Cluster, name: str, node: str, **changes: Any) -> None:
    ip = f"10.244.9.{len(inventory.pods)}"
    labels = {"app": name.rpartition("-")[0]}
    inventory.pods[f"default/{name}"] = pod(name, ip, node, **{"labels": labels, **changes})


def change(inventory: Cluster, name: str, **changes: Any) -> None:
    inventory.pods[f"default/{name}"] = replace(inventory.pods[f"default/{name}"], **changes)


def pairs(
    inventory: Cluster,
    source: Mapping[str, object],
    destination: Mapping[str, object] = POD,
    kept: Collection[str] = (),
) -> Pairs:
    found = pairs_of(probe(destination, source=source), inventory, kept)
    assert isinstance(found, Pairs), found
    return found


def texts(found: Pairs) -> list[str]:
    return [f"{pair.source}>{_name(pair.destination)}:{pair.destination.port}" for _, pair in found.turns(0)]


def _name(destination: Requested) -> str:
    return destination.host if isinstance(destination, AddressDestination) else destination.name


def test_one_pod_of_a_workload_sends_by_default() -> None:
    assert texts(pairs(frontends(), FRONTEND)) == ["frontend-0>deathstar-0:80"]


def test_the_chosen_pod_goes_on_while_it_is_ready_and_no_longer() -> None:
    inventory = frontends()
    assert pairs(inventory, FRONTEND, kept=["frontend-2"]).sources == ("frontend-2",)
    add(inventory, "frontend-9", "node1", created_at=1.0)
    inventory.workloads["Deployment default/frontend"].add("frontend-9")
    assert pairs(inventory, FRONTEND, kept=["frontend-2"]).sources == ("frontend-2",)
    change(inventory, "frontend-2", ready=False)
    assert pairs(inventory, FRONTEND, kept=["frontend-2"]).sources == ("frontend-9",)


def test_one_pod_of_each_node_sends() -> None:
    found = pairs(frontends(5), {**FRONTEND, "select": "OnePerNode"}, kept=["frontend-3"])
    assert found.sources == ("frontend-0", "frontend-3")
    assert found.selected[0].text == "default/deploy/frontend (2 of 5 pods)"


@pytest.mark.parametrize("source", [FRONTEND, BY_LABEL])
def test_all_ready_pods_send(source: Mapping[str, object]) -> None:
    inventory = frontends(4)
    change(inventory, "frontend-1", ready=False)
    change(inventory, "frontend-2", terminating=True)
    add(inventory, "frontend-4", "node1", phase="Failed", ready=False)
    found = pairs(inventory, {**source, "select": "All"})
    assert found.sources == ("frontend-0", "frontend-3")
    assert found.selected[0].text.endswith(" (2 of 3 pods)")


def test_each_ready_pod_of_a_workload_is_requested() -> None:
    inventory = frontends()
    found = pairs(inventory, {"pod": "xwing"}, STARS)
    assert texts(found) == ["xwing>deathstar-0:80", "xwing>deathstar-1:80"]
    assert found.selected[1].text == "default/sts/deathstar:80 (2 pods)"
    assert found.selected[1].nodes == {"deathstar-0": "node1", "deathstar-1": "node2"}
    plans = resolve(probe(STARS), inventory)
    assert [isinstance(plan, Plan) and type(plan.target) for plan in plans] == [PodTarget, PodTarget]


def test_each_backend_is_requested_besides_the_service() -> None:
    inventory = frontends()
    first, second = inventory.endpoints["default/deathstar"]
    inventory.endpoints["default/deathstar"] = (first, replace(second, port=8080))
    found = pairs(inventory, {"pod": "xwing"}, EACH)
    assert texts(found) == ["xwing>deathstar:80", "xwing>deathstar-0:80", "xwing>deathstar-1:8080"]
    assert found.selected[1].text == "default/deathstar:80 and 2 backends"
    inventory.endpoints["default/deathstar"] = (first, replace(second, ready=False))
    assert texts(pairs(inventory, {"pod": "xwing"}, EACH)) == ["xwing>deathstar:80", "xwing>deathstar-0:80"]
    inventory.endpoints["default/deathstar"] = (first, replace(second, pod=None))
    assert texts(pairs(inventory, {"pod": "xwing"}, EACH)) == ["xwing>deathstar:80", "xwing>deathstar-0:80"]
    del inventory.services["default/deathstar"]
    assert texts(pairs(inventory, {"pod": "xwing"}, EACH)) == ["xwing>deathstar:80"]


def test_locality_is_expected_of_backends_and_not_of_their_service() -> None:
    found = resolve(probe(EACH, expect={"path": {"locality": "CrossNode"}}), cluster())
    plans = [plan for plan in found if isinstance(plan, Plan)]
    assert [plan.expect.locality for plan in plans] == [None, "CrossNode", "CrossNode"]


def test_a_pod_requests_itself_only_if_there_is_no_other() -> None:
    inventory = cluster()
    inventory.workloads["DaemonSet default/agent"] = {"agent-a"}
    add(inventory, "agent-a", "node1")
    mesh = {"workload": {"kind": "DaemonSet", "name": "agent"}, "select": "All"}
    assert texts(pairs(inventory, mesh, AGENTS)) == ["agent-a>agent-a:9"]
    inventory.workloads["DaemonSet default/agent"].add("agent-b")
    add(inventory, "agent-b", "node2")
    found = pairs(inventory, mesh, AGENTS)
    assert texts(found) == ["agent-a>agent-b:9", "agent-b>agent-a:9"]
    assert len(found) == 2


def _scaled_to_zero(inventory: Cluster) -> None:
    inventory.workloads["Deployment default/frontend"].clear()


def _absent(inventory: Cluster) -> None:
    del inventory.workloads["Deployment default/frontend"]


def _each(**changes: object) -> Any:
    def of(inventory: Cluster) -> None:
        for name in [name for name in inventory.pods if "frontend" in name]:
            inventory.pods[name] = replace(inventory.pods[name], **changes)  # type: ignore[arg-type]

    return of


def _relabeled(inventory: Cluster) -> None:
    _each(labels={})(inventory)


AS_DESTINATION = {"workload": {"kind": "Deployment", "name": "frontend", "port": 80}}
THERE = {"kind": "Deployment", "name": "frontend", "port": 80, "namespace": "other"}


@pytest.mark.parametrize(
    ("spec", "destination", "make", "reason", "message"),
    [
        (FRONTEND, POD, _absent, Reason.SOURCE_NOT_FOUND, "there is no Deployment default/frontend"),
        (FRONTEND, POD, _scaled_to_zero, Reason.NO_SOURCE_PODS, "Deployment default/frontend has no pods"),
        (FRONTEND, POD, _each(phase="Succeeded"), Reason.NO_SOURCE_PODS, "default/frontend has no pods"),
        (FRONTEND, POD, _each(ready=False), Reason.SOURCE_NOT_READY, "no pod that is ready: 3 Running"),
        (FRONTEND, POD, _each(terminating=True), Reason.IN_TRANSITION, "are being deleted"),
        (BY_LABEL, POD, _relabeled, Reason.NO_MATCHING_PODS, "matches the selector app=frontend"),
        (BY_LABEL, POD, _each(ready=False, phase=""), Reason.SOURCE_NOT_READY, "3 Pending"),
        (None, AS_DESTINATION, _absent, Reason.DESTINATION_NOT_FOUND, "there is no Deployment"),
        (None, {"workload": THERE}, _relabeled, Reason.DESTINATION_NOT_FOUND, "no Deployment other/frontend"),
        (None, AS_DESTINATION, _scaled_to_zero, Reason.NO_DESTINATION_PODS, "has no pods"),
        (None, AS_DESTINATION, _each(ready=False), Reason.DESTINATION_NOT_READY, "no pod that is ready"),
        (None, AS_DESTINATION, _each(terminating=True), Reason.IN_TRANSITION, "all destination pods"),
    ],
)
def test_why_there_is_no_pair(
    spec: Mapping[str, object] | None,
    destination: Mapping[str, object],
    make: Any,
    reason: Reason,
    message: str,
) -> None:
    inventory = frontends()
    make(inventory)
    found = pairs_of(probe(destination, source=spec or {"pod": "xwing"}), inventory)
    assert isinstance(found, CannotRun)
    assert found.reason is reason
    assert message in found.message
    assert found.source.startswith("default/")
    assert found.destination.endswith(":80")


PODS = st.lists(
    st.tuples(st.sampled_from(["n1", "n2", "n3", "n4"]), st.floats(0, 9)), min_size=1, max_size=40
).map(lambda places: [pod(f"p{n}", "10.0.0.1", node, created_at=at) for n, (node, at) in enumerate(places)])


@given(PODS, st.sets(st.sampled_from([f"p{n}" for n in range(40)])), st.sampled_from(Select))
def test_the_choice_is_stable(pods: list[Pod], kept: set[str], select: Select) -> None:
    first = {one.name for one in chosen(pods, select, kept)}
    assert {one.name for one in chosen(list(reversed(pods)), select, first)} == first
    more = [*pods, pod("younger", "10.0.0.1", "n1", created_at=99), pod("older", "10.0.0.1", "n1")]
    again = {one.name for one in chosen(more, select, first)}
    assert again >= first
    known = {one.node for one in pods}
    if select is Select.ONE:
        assert len(first) == 1
        assert again == first
    elif select is Select.ONE_PER_NODE:
        assert len(first) == len(known)
    else:
        assert len(first) == len(pods)


@given(PODS)
def test_pods_next_to_each_other_are_on_different_nodes_while_there_are_others(pods: list[Pod]) -> None:
    ordered = spread(pods)
    assert sorted(one.name for one in ordered) == sorted(one.name for one in pods)
    assert spread(reversed(pods)) == ordered
    left = Counter(one.node for one in pods)
    for before, after in pairwise(ordered):
        left[before.node] -= 1
        if before.node == after.node:
            assert sum(count > 0 for count in left.values()) == 1


ENDS = st.integers(1, 12)


@given(ENDS, ENDS, st.integers(0, 500), st.integers(1, 30))
def test_turns_have_each_pair_once_and_share_them_out(
    sources: int, destinations: int, start: int, window: int
) -> None:
    names = tuple(f"s{n}" for n in range(sources))
    ends = tuple(PodEnd("default", f"d{n}", 80) for n in range(destinations))
    found = [pair for _, pair in Pairs(names, ends, "").turns(start)]
    assert len(found) == len(set(found)) == sources * destinations
    first = found[:window]
    for of, number in (
        (Counter(pair.source for pair in first), sources),
        (Counter(pair.destination for pair in first), destinations),
    ):
        assert max(of.values()) <= -(-len(first) // number) + 1  # one more where all have had their turn


@given(st.sets(st.sampled_from("abcdef"), min_size=1), st.sets(st.sampled_from("abcdef"), min_size=1))
def test_the_number_of_pairs_is_that_of_the_turns(sources: set[str], destinations: set[str]) -> None:
    inventory = cluster()
    inventory.workloads["Job default/from"] = sources
    inventory.workloads["Job default/to"] = destinations
    for name in sources | destinations:
        add(inventory, name, "node1")
    found = pairs(
        inventory,
        {"workload": {"kind": "Job", "name": "from"}, "select": "All"},
        {"workload": {"kind": "Job", "name": "to", "port": 1}},
    )
    turns = [pair for _, pair in found.turns(0)]
    assert len(turns) == len(set(turns)) == len(found)
    assert list(found.among([*turns, Pair("z", PodEnd("default", "a", 1))])) == turns


def test_a_selector_requires_everything_that_it_says() -> None:
    selector = LabelSelector.model_validate(
        {
            "matchLabels": {"app": "a"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["x", "y"]},
                {"key": "zone", "operator": "NotIn", "values": ["z"]},
                {"key": "app", "operator": "Exists"},
                {"key": "old", "operator": "DoesNotExist"},
            ],
        }
    )
    good = {"app": "a", "tier": "y", "zone": "q"}
    assert selects(selector, good)
    assert selects(selector, {"app": "a", "tier": "x"})
    for bad in ({"app": "b"}, {"tier": "z"}, {"zone": "z"}, {"old": ""}):
        assert not selects(selector, {**good, **bad})
    assert not selects(selector, {"tier": "x"})
    assert selects(LabelSelector(), {})
