"""The inventory follows a real API server: existing, changed and deleted objects."""

import asyncio
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest
from kubernetes.aio.client import ApiClient

from datapath_probe.kube import rest
from datapath_probe.kube.watch.inventory import ClusterInventory
from datapath_probe.plan.objects import Inventory, ServicePort
from integration.apiserver import ApiServer
from integration.kube.cluster import (
    CILIUM_CONFIG,
    CILIUM_ENDPOINTS,
    CILIUM_NODES,
    CONFIG_MAPS,
    PODS,
    SERVICES,
    SLICES,
    Json,
    create,
    create_pod,
    delete,
    eventually,
    merge,
)
from integration.kube.conftest import install_cilium, running

Look = Callable[[Inventory], object]


def named(kind: str, api_version: str, name: str, **content: Any) -> Json:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **content}


SLICE = named("EndpointSlice", "discovery.k8s.io/v1", "empire-1", addressType="IPv4")
SLICE |= {
    "metadata": {"name": "empire-1", "labels": {"kubernetes.io/service-name": "empire"}},
    "ports": [{"name": "http", "port": 80}],
    "endpoints": [{"addresses": ["10.244.0.9"]}],
}

PORT = ServicePort("http", 80, "TCP", 80, None)

# What to create, where, how to look it up, what to change, and the value that shows the change.
RESOURCES: dict[str, tuple[str, Json, Look, Json, Callable[[Any], bool]]] = {
    "pods": (
        PODS,
        named("Pod", "v1", "hut", spec={"containers": [{"name": "app", "image": "app"}]}),
        lambda inventory: inventory.pod("default", "hut"),
        {"metadata": {"labels": {"k8s-app": "jabba"}}},
        lambda pod: pod.labels == {"k8s-app": "jabba"},
    ),
    "nodes": (
        "/api/v1/nodes",
        named("Node", "v1", "hoth"),
        lambda inventory: inventory.node("hoth"),
        {"spec": {"unschedulable": True}},
        lambda node: node.unschedulable,
    ),
    "services": (
        SERVICES,
        named("Service", "v1", "empire", spec={"ports": [{"port": 80}]}),
        lambda inventory: inventory.service("default", "empire"),
        {"spec": {"sessionAffinity": "ClientIP"}},
        lambda service: service.session_affinity == "ClientIP",
    ),
    "endpointslices": (
        SLICES,
        SLICE,
        lambda inventory: inventory.slice_endpoints("default", "empire", PORT),
        {"endpoints": [{"addresses": ["10.244.0.10"]}]},
        lambda endpoints: [endpoint.ip for endpoint in endpoints] == [ip_address("10.244.0.10")],
    ),
    "ciliumendpoints": (
        CILIUM_ENDPOINTS,
        named("CiliumEndpoint", "cilium.io/v2", "hut"),
        lambda inventory: inventory.cilium_endpoint("default", "hut"),
        {"status": {"id": 7, "identity": {"id": 27728}}},
        lambda endpoint: endpoint.identity == 27728,
    ),
    "ciliumnodes": (
        CILIUM_NODES,
        named("CiliumNode", "cilium.io/v2", "hoth"),
        lambda inventory: inventory.cilium_node("hoth"),
        {"spec": {"ipam": {"podCIDRs": ["10.244.7.0/24"]}}},
        lambda node: node.pod_cidrs == ("10.244.7.0/24",),
    ),
}


@pytest.mark.parametrize("resource", RESOURCES)
async def test_created_changed_and_deleted_objects(
    kube: ApiClient, inventory: ClusterInventory, resource: str
) -> None:
    path, body, look, change, shows = RESOURCES[resource]
    one = f"{path}/{body['metadata']['name']}"
    assert not look(inventory)
    await create(kube, path, body)
    await eventually(lambda: look(inventory))
    await merge(kube, one, change)
    await eventually(lambda: shows(look(inventory)))
    await delete(kube, one)
    await eventually(lambda: not look(inventory))
    assert not inventory.skips


@pytest.mark.parametrize("resource", RESOURCES)
async def test_existing_objects_are_listed(kube: ApiClient, resource: str) -> None:
    path, body, look, _, _ = RESOURCES[resource]
    await create(kube, path, body)
    async with running(ClusterInventory(kube, "kube-system")) as inventory:
        await inventory.wait_synced()
        assert look(inventory)
        assert inventory.unsynced == {}
        assert inventory.stale_since is None
    await delete(kube, f"{path}/{body['metadata']['name']}")


async def test_long_lists_are_read_page_by_page(kube: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "PAGE_OBJECTS", 2)
    names = [f"trooper-{number}" for number in range(5)]
    for name in names:
        await create_pod(kube, name)
    async with running(ClusterInventory(kube, "kube-system")) as inventory:
        await inventory.wait_synced()
        assert all(inventory.pod("default", name) for name in names)
    for name in names:
        await delete(kube, f"{PODS}/{name}")


async def test_a_page_of_large_objects_is_asked_for_in_smaller_ones(
    kube: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"large-{number}" for number in range(3)]
    for name in names:
        await create_pod(kube, name)
    sizes: list[int] = []
    monkeypatch.setattr(rest, "PAGE_OBJECTS", 16)
    monkeypatch.setattr(rest, "PAGE_BYTES", 2_000)
    async for page in rest.pages(kube, PODS, {}):
        items = page["items"]
        assert isinstance(items, list)
        sizes.append(len(items))
    assert sum(sizes) >= 3
    assert max(sizes) <= 2, "16 objects are too many, and so is more than one"
    for name in names:
        await delete(kube, f"{PODS}/{name}")


async def test_endpoints_in_two_slices_count_once(kube: ApiClient, inventory: ClusterInventory) -> None:
    moved = {"addresses": ["10.244.0.9"]}
    second = SLICE | {"metadata": SLICE["metadata"] | {"name": "empire-2"}}
    second["endpoints"] = [moved, {"addresses": ["10.244.0.10"]}]
    for one in (SLICE, second):
        await create(kube, SLICES, one)
    await eventually(lambda: len(inventory.slice_endpoints("default", "empire", PORT)) == 2)
    await delete(kube, f"{SLICES}/empire-1")
    await delete(kube, f"{SLICES}/empire-2")
    await eventually(lambda: not inventory.slice_endpoints("default", "empire", PORT))


async def test_only_pods_in_ciliums_namespace_are_agents(
    kube: ApiClient, inventory: ClusterInventory
) -> None:
    spec = {"nodeName": "hoth", "containers": [{"name": "cilium-agent", "image": "cilium"}]}
    pod = named("Pod", "v1", "cilium-x", spec=spec)
    pod["metadata"]["labels"] = {"k8s-app": "cilium"}
    await create(kube, PODS, pod)
    await eventually(lambda: inventory.pod("default", "cilium-x"))
    assert inventory.agent("hoth") is None
    await create(kube, "/api/v1/namespaces/kube-system/pods", pod)
    await eventually(lambda: inventory.agent("hoth"))
    await delete(kube, f"{PODS}/cilium-x")
    await delete(kube, "/api/v1/namespaces/kube-system/pods/cilium-x")
    await eventually(lambda: inventory.agent("hoth") is None)


async def test_while_an_agent_is_replaced_the_ready_one_is_used(
    kube: ApiClient, inventory: ClusterInventory
) -> None:
    pods = "/api/v1/namespaces/kube-system/pods"
    spec = {"nodeName": "hoth", "containers": [{"name": "cilium-agent", "image": "cilium"}]}
    for name in ("cilium-a", "cilium-b", "cilium-c"):
        pod = named("Pod", "v1", name, spec=spec)
        pod["metadata"]["labels"] = {"k8s-app": "cilium"}
        await create(kube, pods, pod)
    status = {"name": "cilium-agent", "ready": True, "restartCount": 0, "image": "", "imageID": ""}
    await merge(kube, f"{pods}/cilium-b/status", {"status": {"containerStatuses": [status]}})

    def ready_agent() -> bool:
        agent = inventory.agent("hoth")
        return agent is not None and agent.pod == "cilium-b" and agent.ready

    await eventually(ready_agent)
    for name in ("cilium-a", "cilium-b", "cilium-c"):
        await delete(kube, f"{pods}/{name}")


async def test_the_configuration_is_that_of_cilium(kube: ApiClient, inventory: ClusterInventory) -> None:
    await create(kube, CONFIG_MAPS, named("ConfigMap", "v1", "other-config", data={"routing-mode": "native"}))
    assert inventory.cilium_config()["routing-mode"] == "tunnel"
    await merge(kube, f"{CONFIG_MAPS}/cilium-config", {"data": {"tunnel-protocol": "geneve"}})
    await eventually(lambda: inventory.cilium_config().get("tunnel-protocol") == "geneve")
    assert inventory.cilium_config()["routing-mode"] == "tunnel"
    await merge(kube, f"{CONFIG_MAPS}/cilium-config", {"data": {"tunnel-protocol": None}})
    await delete(kube, f"{CONFIG_MAPS}/other-config")


async def test_without_cilium_there_is_a_reason_until_it_is_installed(
    cilium: ApiServer, kube: ApiClient
) -> None:
    for crd in ("ciliumendpoints.cilium.io", "ciliumnodes.cilium.io"):
        assert cilium.run_kubectl("delete", "crd", crd).returncode == 0
    await delete(kube, f"{CONFIG_MAPS}/cilium-config")
    try:
        async with running(ClusterInventory(kube, "kube-system")) as inventory:
            await eventually(lambda: "not listed yet" not in inventory.unsynced.values())
            unknown = "the API server does not know {}: is the CRD installed?"
            config_map = "ConfigMap cilium-config in kube-system"
            assert inventory.unsynced == {
                "ciliumendpoints.cilium.io": unknown.format("ciliumendpoints.cilium.io"),
                "ciliumnodes.cilium.io": unknown.format("ciliumnodes.cilium.io"),
                config_map: f"no {config_map} found",
            }
            install_cilium(cilium)
            await create(kube, CONFIG_MAPS, CILIUM_CONFIG)
            await inventory.wait_synced()
            assert inventory.unsynced == {}
    finally:
        install_cilium(cilium)


async def test_the_endpoints_of_a_service_have_the_time_of_their_last_change(
    kube: ApiClient, inventory: ClusterInventory
) -> None:
    def changed_at() -> float:
        return inventory.endpoints_changed_at("default", "empire")

    assert changed_at() == 0
    began = time.time()
    await create(kube, SLICES, SLICE)
    await eventually(changed_at)
    first = changed_at()
    assert began - 1 <= first <= time.time() + 1  # whole seconds
    await asyncio.sleep(1)
    await merge(kube, f"{SLICES}/empire-1", {"endpoints": [{"addresses": ["10.244.0.10"]}]})
    await eventually(lambda: changed_at() > first)
    await delete(kube, f"{SLICES}/empire-1")


async def test_the_pods_of_a_selector_are_found_ready_or_not(
    kube: ApiClient, inventory: ClusterInventory
) -> None:
    await create_pod(kube, "picked")
    await eventually(lambda: inventory.pod("default", "picked"))
    [pod] = inventory.selected_pods("default", {"k8s-app": "demo"})
    assert (pod.name, pod.ready) == ("picked", False)
    assert not inventory.selected_pods("kube-system", {"k8s-app": "demo"})
    assert not inventory.selected_pods("default", {"k8s-app": "demo", "class": "deathstar"})
    assert not inventory.selected_pods("default", {})  # selects nothing, as in a Service
    await delete(kube, f"{PODS}/picked")
