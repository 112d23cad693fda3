"""Where node agents listen, from their pods; and only from pods of their namespace."""

from copy import deepcopy
from typing import Any

import pytest

from datapath_probe.addresses import address
from datapath_probe.kube.objects.fields import Skips
from datapath_probe.kube.objects.node_agent_objects import node_agent
from datapath_probe.kube.watch.resources import pods
from datapath_probe.nodes.address import NodeAgentAddress

POD: dict[str, Any] = {
    "metadata": {
        "namespace": "datapath-probe-nodes",
        "name": "datapath-probe-node-x",
        "uid": "b7c1",
        "labels": {"app.kubernetes.io/name": "datapath-probe-node"},
    },
    "spec": {
        "nodeName": "node1",
        "hostNetwork": True,
        "containers": [{"name": "node-agent", "ports": [{"name": "grpc", "containerPort": 4300}]}],
    },
    "status": {
        "phase": "Running",
        "hostIP": "192.0.2.1",
        "podIPs": [{"ip": "192.0.2.1"}],
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"name": "node-agent", "restartCount": 2}],
    },
}


def changed(*path: str, to: object) -> dict[str, Any]:
    pod = deepcopy(POD)
    inner: Any = pod
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    return pod


def test_an_agent_listens_at_the_address_of_its_node() -> None:
    expected = NodeAgentAddress("node1", address("192.0.2.1"), 4300, ready=True, incarnation="b7c1/2")
    assert node_agent(POD, Skips()) == expected


def test_without_a_named_port_it_is_the_usual_one() -> None:
    found = node_agent(changed("spec", "containers", to=[{"name": "node-agent"}]), Skips())
    assert found
    assert found.port == 4246


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("status", "conditions"), []),
        (("metadata", "deletionTimestamp"), "2026-12-01T00:00:00Z"),
    ],
)
def test_it_is_not_ready(path: tuple[str, ...], to: object) -> None:
    found = node_agent(changed(*path, to=to), Skips())
    assert found
    assert not found.ready


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("metadata", "labels"), {}),
        (("metadata", "labels"), {"app.kubernetes.io/name": "datapath-probe"}),
        (("spec", "nodeName"), ""),
        (("status", "hostIP"), ""),
        (("status", "hostIP"), "not an address"),
    ],
)
def test_other_pods_are_no_agents(path: tuple[str, ...], to: object) -> None:
    assert node_agent(changed(*path, to=to), Skips()) is None


@pytest.mark.parametrize(
    ("namespace", "is_agent"), [("datapath-probe-nodes", True), ("a-tenant", False), ("kube-system", False)]
)
def test_a_pod_of_another_namespace_can_not_pass_for_one(namespace: str, is_agent: bool) -> None:
    convert = pods("kube-system", "datapath-probe-nodes").convert
    entry = convert(changed("metadata", "namespace", to=namespace), Skips())
    assert (entry.node_agent is not None) is is_agent
