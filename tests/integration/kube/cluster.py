"""Changes of the cluster in tests, and waiting for their effects."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiClient

from datapath_probe.kube import rest
from datapath_probe.publish.interfaces import ProbeRef

Json = dict[str, Any]

PODS = "/api/v1/namespaces/default/pods"
SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
CILIUM_ENDPOINTS = "/apis/cilium.io/v2/namespaces/default/ciliumendpoints"
CILIUM_NODES = "/apis/cilium.io/v2/ciliumnodes"
PROBES = "/apis/datapath-probe.dev/v1alpha1/namespaces/default/datapathprobes"
CONFIG_MAPS = "/api/v1/namespaces/kube-system/configmaps"

CILIUM_CONFIG: Json = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "cilium-config"},
    "data": {"routing-mode": "tunnel"},
}


PROBE: Json = {
    "apiVersion": "datapath-probe.dev/v1alpha1",
    "kind": "DatapathProbe",
    "spec": {"source": {"pod": "xwing"}, "destination": {"pod": {"name": "deathstar-0", "port": 80}}},
}


async def create(client: ApiClient, path: str, body: Mapping[str, object]) -> Json:
    """Create an object; returns it as stored."""
    created = await rest.request(client, "POST", path, {}, body)
    assert isinstance(created, dict)
    return created


async def merge(client: ApiClient, path: str, change: Mapping[str, object]) -> None:
    """Change an object by a merge patch."""
    await rest.request(client, "PATCH", path, {}, change, "application/merge-patch+json")


async def delete(client: ApiClient, path: str) -> None:
    """Delete an object at once; it may not exist."""
    try:
        await rest.request(client, "DELETE", path, {"gracePeriodSeconds": "0"})
    except rest.ApiError as error:
        if error.status != rest.NOT_FOUND:
            raise


async def create_pod(client: ApiClient, name: str, node: str = "node1", ip: str = "10.244.0.9") -> Json:
    """Create a running pod that no kubelet runs."""
    metadata = {"name": name, "labels": {"k8s-app": "demo"}}
    spec = {"nodeName": node, "containers": [{"name": "app", "image": "app"}]}
    pod = await create(client, PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    status = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}
    await merge(client, f"{PODS}/{name}/status", {"status": status})
    return pod


async def create_probe(client: ApiClient, name: str = "landing") -> ProbeRef:
    """Create a probe."""
    created = await create(client, PROBES, PROBE | {"metadata": {"name": name}})
    return ProbeRef("default", name, created["metadata"]["uid"])


async def events_about(client: ApiClient, probe: ProbeRef, count: int) -> list[Json]:
    """Wait for this number of Events; returns them oldest first, selected like `kubectl describe` does."""
    path = f"/api/v1/namespaces/{probe.namespace}/events"
    query = {"fieldSelector": f"involvedObject.uid={probe.uid},involvedObject.name={probe.name}"}
    async with asyncio.timeout(20):
        while True:
            found = await rest.request(client, "GET", path, query)
            assert isinstance(found, dict)
            if len(found["items"]) >= count:
                return sorted(found["items"], key=lambda event: str(event["eventTime"]))
            await asyncio.sleep(0.02)


async def compact(etcd_url: str) -> None:
    """Make etcd discard every version but the newest."""
    async with aiohttp.ClientSession(etcd_url) as etcd:
        async with etcd.post("/v3/kv/range", data=json.dumps({"key": "AA=="})) as answer:
            revision = (await answer.json())["header"]["revision"]
        compaction = json.dumps({"revision": revision, "physical": True})
        async with etcd.post("/v3/kv/compaction", data=compaction) as answer:
            answer.raise_for_status()


async def eventually(condition: Callable[[], object], within_s: float = 30.0) -> float:
    """Wait until the condition holds; returns the seconds it took."""
    started = time.monotonic()
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 (any condition will do)
            await asyncio.sleep(0.02)
    return time.monotonic() - started
