"""Lookups by address, and the log of invalid object fields, without an API server."""

import copy
from ipaddress import ip_address
from typing import Any

import pytest
from structlog.testing import capture_logs

from datapath_probe.api.vocabulary import WorkloadKind
from datapath_probe.kube.watch.inventory import ClusterInventory
from datapath_probe.kube.watch.object_cache import ObjectCache
from datapath_probe.kube.watch.reflector import Reflector
from unit.kube.samples import NODE, POD, Json


def renamed(sample: Json, name: str, **status: Any) -> Json:
    raw = copy.deepcopy(sample)
    raw["metadata"]["name"] = name
    raw["status"] = {**raw["status"], **status}
    return raw


def inventory(*, pods: list[Json] = [], nodes: list[Json] = []) -> ClusterInventory:  # noqa: B006  # only read
    found = ClusterInventory(None, "kube-system")  # type: ignore[arg-type]
    for reflector, objects in ((found._pods, pods), (found._nodes, nodes)):
        put(reflector, objects)
    return found


def put(reflector: Reflector[Any], objects: list[Json]) -> None:
    for raw in objects:
        reflector._store(reflector.cache, raw)


@pytest.fixture
def _no_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    def iterate(_: object) -> None:
        raise AssertionError("iterated over all records")

    monkeypatch.setattr(ObjectCache, "values", iterate)


@pytest.mark.usefixtures("_no_iteration")
def test_a_pod_is_found_by_each_of_its_addresses_without_iteration() -> None:
    ended = renamed(POD, "ended", phase="Succeeded", podIPs=[{"ip": "10.244.1.9"}])
    found = inventory(pods=[ended, POD])
    for ip in ("10.244.1.125", "fd00::1:7d"):
        pod = found.pod_with(ip_address(ip))
        assert pod is not None
        assert pod.name == "xwing"
    assert found.pod_with(ip_address("10.244.1.9")) is None
    put(found._pods, [renamed(POD, "xwing", podIP="10.244.1.9", podIPs=[{"ip": "10.244.1.9"}])])
    assert found.pod_with(ip_address("10.244.1.125")) is None
    assert found.pod_with(ip_address("10.244.1.9")) == found.pod("default", "xwing")


@pytest.mark.usefixtures("_no_iteration")
def test_a_node_is_found_by_its_address_without_iteration() -> None:
    addresses = [
        {"type": "InternalIP", "address": "192.0.2.7"},
        {"type": "ExternalIP", "address": "192.0.2.8"},
    ]
    found = inventory(nodes=[NODE, renamed(NODE, "node7", addresses=addresses)])
    assert found.node_with(ip_address("192.0.2.7")) == found.node("node7")
    assert found.node_with(ip_address("192.0.2.8")) is None


@pytest.mark.usefixtures("_no_iteration")
def test_a_service_is_found_by_each_of_its_addresses_without_iteration() -> None:
    found = inventory()
    spec = {"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7", "fd00:96::7"], "ports": []}
    put(found._services, [{"metadata": {"namespace": "default", "name": "cart"}, "spec": spec}])
    for ip in ("10.96.0.7", "fd00:96::7"):
        assert found.service_with(ip_address(ip)) == found.service("default", "cart")


def test_each_invalid_field_is_logged_once() -> None:
    odd = [{"ip": "a"}, {"ip": "b"}]
    with capture_logs() as logs:
        found = inventory(pods=[POD, renamed(POD, "odd", podIPs=odd), renamed(POD, "odder", podIPs=odd)])
    assert found.skips == {"Pod.status.podIPs": 4}
    assert [(entry["field"], entry["object"]) for entry in logs] == [("Pod.status.podIPs", "default/odd")]


def owned(sample: Json, namespace: str, name: str, uid: str, owner: str) -> Json:
    raw = copy.deepcopy(sample)
    reference = {"uid": owner, "controller": True}
    raw["metadata"] = {"namespace": namespace, "name": name, "uid": uid, "ownerReferences": [reference]}
    return raw


def test_a_pod_of_another_namespace_belongs_to_no_workload_although_it_says_so() -> None:
    """Owners are in the namespace of what they own, but the API server accepts any uid."""
    theirs = owned(POD, "other", "b", "pod-b", "set")
    claimed = owned(POD, "other", "c", "pod-c", "their-set")
    found = inventory(pods=[owned(POD, "default", "a", "pod-a", "set"), theirs, claimed])
    workloads = found._workloads._by_kind
    deployment = {"metadata": {"namespace": "default", "name": "web", "uid": "deployment"}}
    put(workloads[WorkloadKind.DEPLOYMENT], [deployment])
    sets = [
        owned({}, "default", "web-1", "set", "deployment"),
        owned({}, "other", "web-1", "their-set", "deployment"),
    ]
    put(workloads[WorkloadKind.REPLICA_SET], sets)
    pods = found.workload_pods(WorkloadKind.DEPLOYMENT, "default", "web")
    assert pods is not None
    assert [f"{pod.namespace}/{pod.name}" for pod in pods] == ["default/a"]
