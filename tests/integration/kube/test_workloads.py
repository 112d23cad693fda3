"""The pods of a workload, by owner, as a real API server reports them: metadata is listed and watched."""

from typing import Any

import pytest
from kubernetes.aio.client import ApiClient

from datapath_probe.api.vocabulary import WorkloadKind
from datapath_probe.kube import rest
from datapath_probe.kube.watch.inventory import ClusterInventory
from integration.kube.cluster import PODS, Json, create, delete, eventually
from integration.kube.conftest import running

APPS, BATCH = "/apis/apps/v1/namespaces/default", "/apis/batch/v1/namespaces/default"
PATHS = {
    WorkloadKind.DEPLOYMENT: f"{APPS}/deployments",
    WorkloadKind.STATEFUL_SET: f"{APPS}/statefulsets",
    WorkloadKind.DAEMON_SET: f"{APPS}/daemonsets",
    WorkloadKind.REPLICA_SET: f"{APPS}/replicasets",
    WorkloadKind.JOB: f"{BATCH}/jobs",
}
CONTAINERS = [{"name": "app", "image": "app"}]


def owned(metadata: Json, owner: Json | None) -> Json:
    if owner is None:
        return metadata
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }
    return {**metadata, "ownerReferences": [reference]}


async def made(kube: ApiClient, kind: WorkloadKind, name: str, owner: Json | None = None) -> Any:
    """A workload as its controller would see it; no controller runs here."""
    pod: Json = {"spec": {"containers": CONTAINERS}}
    spec: Json = {"template": pod}
    if kind is WorkloadKind.JOB:
        pod["spec"]["restartPolicy"] = "Never"
    else:
        spec["selector"] = {"matchLabels": {"app": name}}
        pod["metadata"] = {"labels": {"app": name}}
    if kind is WorkloadKind.STATEFUL_SET:
        spec["serviceName"] = name
    version = "batch/v1" if kind is WorkloadKind.JOB else "apps/v1"
    metadata = owned({"name": name}, owner)
    body = {"apiVersion": version, "kind": str(kind), "metadata": metadata, "spec": spec}
    return {"apiVersion": version, "kind": str(kind)} | await create(kube, PATHS[kind], body)


async def made_pod(kube: ApiClient, name: str, owner: Json) -> None:
    metadata = owned({"name": name}, owner)
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": CONTAINERS}}
    await create(kube, PODS, body)


def names(inventory: ClusterInventory, kind: WorkloadKind, name: str) -> set[str] | None:
    pods = inventory.workload_pods(kind, "default", name)
    return None if pods is None else {pod.name for pod in pods}


@pytest.mark.parametrize("kind", [kind for kind in WorkloadKind if kind is not WorkloadKind.DEPLOYMENT])
async def test_the_pods_of_a_workload_are_those_that_it_controls(
    kube: ApiClient, inventory: ClusterInventory, kind: WorkloadKind
) -> None:
    assert names(inventory, kind, "empire") is None
    workload = await made(kube, kind, "empire")
    await eventually(lambda: names(inventory, kind, "empire") == set())
    await made_pod(kube, "empire-0", workload)
    await eventually(lambda: names(inventory, kind, "empire") == {"empire-0"})
    assert inventory.workload_pods(kind, "other", "empire") is None
    await delete(kube, f"{PODS}/empire-0")
    await eventually(lambda: names(inventory, kind, "empire") == set())
    at_once = {"propagationPolicy": "Background"}  # by default the pods of a Job are orphaned first
    await rest.request(kube, "DELETE", f"{PATHS[kind]}/empire", at_once)
    await eventually(lambda: names(inventory, kind, "empire") is None)
    assert not inventory.skips


async def test_the_pods_of_a_deployment_are_those_of_all_its_replica_sets(
    kube: ApiClient, inventory: ClusterInventory
) -> None:
    kind = WorkloadKind.DEPLOYMENT
    deployment = await made(kube, kind, "rebels")
    await eventually(lambda: names(inventory, kind, "rebels") == set())
    for revision in ("old", "new"):
        replica_set = await made(kube, WorkloadKind.REPLICA_SET, f"rebels-{revision}", deployment)
        await made_pod(kube, f"rebels-{revision}-0", replica_set)
    await made_pod(kube, "rebels-other", await made(kube, WorkloadKind.REPLICA_SET, "rebels-orphan"))
    both = {"rebels-old-0", "rebels-new-0"}
    await eventually(lambda: names(inventory, kind, "rebels") == both)
    async with running(ClusterInventory(kube, "kube-system")) as listed:
        await listed.wait_synced()
        assert names(listed, kind, "rebels") == both
    await delete(kube, f"{PATHS[WorkloadKind.REPLICA_SET]}/rebels-old")
    await eventually(lambda: names(inventory, kind, "rebels") == {"rebels-new-0"})
    for name in ("rebels-old-0", "rebels-new-0", "rebels-other"):
        await delete(kube, f"{PODS}/{name}")
    for name in ("rebels-new", "rebels-orphan"):
        await delete(kube, f"{PATHS[WorkloadKind.REPLICA_SET]}/{name}")
    await delete(kube, f"{PATHS[kind]}/rebels")
