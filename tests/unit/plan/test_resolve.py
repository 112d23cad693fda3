"""From names to a plan: addresses, ports, backends, containers."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.plan.objects import Container
from datapath_probe.plan.plan import CannotRun, Plan
from datapath_probe.plan.resolve import resolve_again
from unit.cluster import DEATHSTAR, Cluster, cluster, probe, resolve
from unit.plan.planned import NODE_PORT, POD, SERVICE, planned

STARS = {"kind": "StatefulSet", "name": "deathstar"}


def test_a_pod_is_requested_at_its_own_address() -> None:
    plan = planned(POD)
    assert (plan.request.host, plan.request.port) == ("10.244.0.172", 80)
    assert plan.destination == "default/deathstar-0:80"
    assert plan.frontend is None
    assert [b.pod_facts and b.pod_facts.pod.name for b in plan.backends] == ["deathstar-0"]


def test_a_service_is_requested_by_name_and_knows_its_backends() -> None:
    plan = planned(SERVICE)
    assert plan.request.host == "deathstar.default.svc"
    assert plan.frontend is not None
    assert plan.frontend.ip == ip_address("10.96.57.217")
    assert [(b.ip, b.port) for b in plan.backends] == [
        (ip_address("10.244.0.172"), 80),
        (ip_address("10.244.1.101"), 80),
    ]


def test_a_service_without_ready_endpoints_can_be_planned() -> None:
    inventory = cluster()
    inventory.endpoints.clear()
    assert planned(SERVICE, inventory).backends == ()


def test_a_port_of_a_service_can_be_named() -> None:
    inventory = cluster()
    named = replace(DEATHSTAR.ports[0], name="http", port=8080)
    inventory.services["default/deathstar"] = replace(DEATHSTAR, ports=(named,))
    plan = planned({"service": {"name": "deathstar", "port": "http"}}, inventory)
    assert plan.request.port == 8080


def with_node_port(number: int | None, kube_proxy_replacement: str = "true") -> Cluster:
    inventory = cluster()
    inventory.config = {**inventory.config, "kube-proxy-replacement": kube_proxy_replacement}
    port = replace(DEATHSTAR.ports[0], node_port=number)
    inventory.services["default/deathstar"] = replace(DEATHSTAR, type="NodePort", ports=(port,))
    return inventory


def test_a_node_port_is_requested_at_the_sources_own_node_without_a_name() -> None:
    inventory = with_node_port(30080)
    plan = planned(NODE_PORT, inventory)
    own = inventory.nodes["node2"].internal_ips[0]
    assert (plan.request.host, plan.request.port) == (str(own), 30080)
    assert plan.frontend is not None
    assert plan.frontend.address == f"{own}:30080"
    assert plan.nameserver is None
    assert plan.destination == "default/deathstar:80 at its NodePort"
    assert len(plan.backends) == 2


def test_a_node_port_is_balanced_by_the_internal_traffic_policy() -> None:
    inventory = with_node_port(30080)
    service = inventory.services["default/deathstar"]
    inventory.services["default/deathstar"] = replace(service, internal_traffic_policy="Local")
    assert [b.pod_facts and b.pod_facts.pod.node for b in planned(NODE_PORT, inventory).backends] == ["node2"]


@pytest.mark.parametrize(
    ("inventory", "reason", "said"),
    [
        (with_node_port(None), Reason.PORT_NOT_FOUND, "its port 80 has no NodePort"),
        (with_node_port(30080, "false"), Reason.UNSUPPORTED_DESTINATION, "kube-proxy-replacement off"),
    ],
)
def test_a_node_port_that_cilium_does_not_serve_is_not_requested(
    inventory: Cluster, reason: Reason, said: str
) -> None:
    (refused,) = resolve(probe(NODE_PORT), inventory)
    assert isinstance(refused, CannotRun)
    assert refused.reason is reason
    assert said in refused.message


def test_a_node_without_an_address_of_the_services_ip_version_has_no_node_port() -> None:
    inventory = with_node_port(30080)
    inventory.nodes["node2"] = replace(inventory.nodes["node2"], internal_ips=(ip_address("fd00::2"),))
    (refused,) = resolve(probe(NODE_PORT), inventory)
    assert isinstance(refused, CannotRun)
    assert refused.reason is Reason.NO_COMMON_IP_VERSION


@pytest.mark.parametrize(
    ("wanted", "default", "chosen"),
    [(None, None, "first"), (None, "second", "second"), (None, "gone", "first"), ("second", None, "second")],
)
def test_the_container_is_selected_as_by_kubectl(
    wanted: str | None, default: str | None, chosen: str
) -> None:
    inventory = cluster()
    containers = tuple(Container(name, running=True, ports={}) for name in ("first", "second"))
    xwing = inventory.pods["default/xwing"]
    inventory.pods["default/xwing"] = replace(xwing, containers=containers, default_container=default)
    source = {"pod": "xwing"} | ({"container": wanted} if wanted else {})
    assert planned(POD, inventory, source=source).container == chosen


@pytest.mark.parametrize(
    "destination", [POD, SERVICE, {**SERVICE, "backends": "Each"}, {"workload": {**STARS, "port": 80}}]
)
def test_each_plan_is_found_again_until_its_pod_is_deleted(destination: Mapping[str, object]) -> None:
    inventory, asked = cluster(), probe(destination)
    inventory.workloads["StatefulSet default/deathstar"] = {"deathstar-0", "deathstar-1"}
    plans = [plan for plan in resolve(asked, inventory) if isinstance(plan, Plan)]
    assert plans
    assert [resolve_again(plan, asked, inventory) for plan in plans] == plans
    for plan in plans:
        inventory = cluster()
        del inventory.pods[f"default/{plan.source.pod.name}"]
        again = resolve_again(plan, asked, inventory)
        assert isinstance(again, CannotRun)
        assert again.reason is Reason.SOURCE_NOT_FOUND


def test_the_plan_of_a_deleted_destination_is_not_found_again() -> None:
    inventory = cluster()
    plan = planned(POD, inventory)
    inventory.pods["default/deathstar-0"] = replace(inventory.pods["default/deathstar-0"], terminating=True)
    again = resolve_again(plan, probe(POD), inventory)
    assert isinstance(again, CannotRun)
    assert (again.reason, again.message) == (
        Reason.IN_TRANSITION,
        "destination pod default/deathstar-0 is being deleted",
    )
