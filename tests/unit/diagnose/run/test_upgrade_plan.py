"""Plans of earlier versions are converted."""

from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from datapath_probe.diagnose.run.upgrade_plan import upgraded_plan
from datapath_probe.plan.plan import HostFacts, Plan, PodFacts, Target
from unit.recorded import names, recorded

PLAN: TypeAdapter[Plan] = TypeAdapter(Plan)
SERVICE, FRONTEND = {"name": "deathstar"}, {"ip": "10.96.0.1"}
POD = {"pod": {"name": "deathstar-0", "host_network": False}, "endpoint": None, "node": {"name": "node1"}}
HOST_POD = {**POD, "pod": {"name": "deathstar-0", "host_network": True}}


def backend(target: object, node: object = None) -> dict[str, Any]:
    return {"ip": "10.244.0.1", "port": 80, "target": target, "node": node}


def old(**changes: Any) -> dict[str, Any]:
    plan = {"probe": "p", "destination": "d", "frontend": None, "headless": None, "backends": [backend(POD)]}
    return {**plan, "unready": [], "nameserver": None, **changes}


def upgraded(plan: dict[str, Any]) -> dict[str, Any]:
    made = upgraded_plan(plan)
    assert made is not None
    return made


def test_each_kind_of_destination_has_its_target() -> None:
    pod = {"ip": "10.244.0.1", "port": 80, "target": POD}
    assert upgraded(old()) == {"probe": "p", "nameserver": None, "target": {"display": "d", "backend": pod}}
    assert upgraded(old(frontend=FRONTEND, backends=[], unready=[backend(POD)]))["target"] == {
        "display": "d",
        "frontend": FRONTEND,
        "backends": [],
        "unready": [pod],
    }
    assert upgraded(old(headless=SERVICE))["target"] == {
        "display": "d",
        "service": SERVICE,
        "backends": [pod],
    }


def test_the_first_bundles_had_neither_unready_endpoints_nor_hosts_without_pods() -> None:
    plan = old(frontend=FRONTEND)
    del plan["unready"], plan["headless"], plan["nameserver"], plan["backends"][0]["node"]
    assert upgraded(plan)["target"]["unready"] == []
    assert upgraded(plan)["target"]["backends"][0]["target"] == POD


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (backend(POD), POD),
        (backend(HOST_POD), {"node": {"name": "node1"}, "pod_facts": HOST_POD}),
        (backend(None, {"name": "node2"}), {"node": {"name": "node2"}, "pod_facts": None}),
        (backend(None), None),
    ],
)
def test_a_backend_has_one_target(before: dict[str, Any], after: object) -> None:
    assert upgraded(old(backends=[before]))["target"]["backend"]["target"] == after
    nameserver = {"frontend": FRONTEND, "backends": [before]}
    assert upgraded(old(nameserver=nameserver))["nameserver"]["backends"][0]["target"] == after


def test_documents_that_need_no_upgrade_stay_as_they_are() -> None:
    documents: tuple[dict[str, Any], ...] = ({"target": {}}, {"reason": "SourceNotFound", "message": ""})
    for document in documents:
        assert upgraded_plan(document) is document
    assert upgraded_plan(None) is None


def test_a_pod_without_its_address_is_no_plan() -> None:
    with pytest.raises(ValueError, match="not enough values"):
        upgraded_plan(old(backends=[]))


@pytest.mark.parametrize("name", names())
def test_a_plan_that_is_written_again_reads_the_same(name: str) -> None:
    plan = recorded(name).plan
    assert PLAN.validate_json(PLAN.dump_json(plan)) == plan


def test_every_kind_of_target_was_recorded() -> None:
    plans = [recorded(name).plan for name in names()]
    assert {type(plan.target) for plan in plans} == set(get_args(Target))
    backends = [each for plan in plans for each in plan.backends]
    assert {type(each.target) for each in backends} == {PodFacts, HostFacts, type(None)}
    in_host_network = [each for each in backends if each.pod_facts and each.pod_facts.pod.host_network]
    assert all(isinstance(each.target, HostFacts) for each in in_host_network)
