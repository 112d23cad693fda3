"""The inventory recovers by itself, reports since when it is stale, and keeps nothing that was deleted meanwhile."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest
from kubernetes.aio.client import ApiClient

from datapath_probe.kube import rest
from datapath_probe.kube.client import connect, load_configuration
from datapath_probe.kube.watch import reflector
from datapath_probe.kube.watch.inventory import ClusterInventory
from integration.apiserver import ApiServer
from integration.kube.cluster import PODS, compact, create_pod, delete, eventually
from integration.kube.conftest import running
from integration.kube.proxy import Proxy, proxied


@pytest.fixture
async def proxy(kube: ApiClient) -> AsyncIterator[Proxy]:
    async with proxied(kube.configuration.host) as proxy:
        yield proxy


@pytest.fixture
async def remote(cilium: ApiServer, proxy: Proxy) -> AsyncIterator[ClusterInventory]:
    """An inventory that watches the cluster through the proxy."""
    configuration = await load_configuration(str(cilium.kubeconfig))
    configuration.host = proxy.url
    async with (
        connect(configuration) as client,
        running(ClusterInventory(client, "kube-system")) as inventory,
    ):
        await inventory.wait_synced()
        yield inventory


async def test_after_a_crash_of_the_api_server_watches_resume_within_seconds(
    cilium: ApiServer, kube: ApiClient, inventory: ClusterInventory
) -> None:
    killed_at = time.time()
    cilium.kill()
    await eventually(lambda: inventory.stale_since is not None)
    assert inventory.stale_since is not None
    assert inventory.stale_since <= time.time()
    assert killed_at - inventory.stale_since < reflector.WATCH_S
    assert inventory.unsynced == {}  # stale objects do not make it unready
    cilium.start()
    await asyncio.to_thread(cilium.wait_ready)
    took_s = await eventually(lambda: inventory.stale_since is None)
    assert took_s < 15  # 30 s are documented; a pause of up to 4 s is usual
    await create_pod(kube, "survivor")
    await eventually(lambda: inventory.pod("default", "survivor"))
    await delete(kube, f"{PODS}/survivor")


async def test_objects_deleted_while_disconnected_are_removed(
    cilium: ApiServer, kube: ApiClient, proxy: Proxy, remote: ClusterInventory
) -> None:
    await create_pod(kube, "ghost")
    await eventually(lambda: remote.pod("default", "ghost"))
    await proxy.cut()
    await eventually(lambda: remote.stale_since is not None)
    await delete(kube, f"{PODS}/ghost")
    await create_pod(kube, "newcomer")
    await compact(cilium.etcd_url)  # so that old versions can't be read any more
    assert remote.pod("default", "ghost")
    await proxy.open()
    await eventually(lambda: remote.stale_since is None)
    assert remote.pod("default", "ghost") is None
    assert remote.pod("default", "newcomer")
    await delete(kube, f"{PODS}/newcomer")


async def test_an_unresponsive_connection_is_closed(
    monkeypatch: pytest.MonkeyPatch, kube: ApiClient, proxy: Proxy, remote: ClusterInventory
) -> None:
    monkeypatch.setattr(reflector, "WATCH_S", 1)
    monkeypatch.setattr(reflector, "WATCH_GRACE_S", 1)
    monkeypatch.setattr(reflector, "SHORTEST_WATCH_S", 0.5)
    await proxy.cut()  # only new watches have the short limits
    await eventually(lambda: remote.stale_since is not None)
    await proxy.open()
    await eventually(lambda: remote.stale_since is None)
    frozen_at = time.time()
    proxy.freeze()
    await create_pod(kube, "unseen")
    await eventually(lambda: remote.stale_since is not None)
    assert remote.stale_since is not None
    assert remote.stale_since <= frozen_at + 1
    await proxy.cut()
    proxy.thaw()
    await proxy.open()
    await eventually(lambda: remote.pod("default", "unseen"))
    await delete(kube, f"{PODS}/unseen")


async def test_a_restarted_server_reports_an_old_version_as_expired(
    cilium: ApiServer, kube: ApiClient
) -> None:
    cilium.kill()
    await compact(cilium.etcd_url)
    cilium.start()
    await asyncio.to_thread(cilium.wait_ready)
    query = {"watch": "true", "resourceVersion": "1", "timeoutSeconds": "5"}
    async with rest.watch(kube, "/api/v1/pods", query, timeout_s=10) as lines:
        event = json.loads(await anext(lines))
    assert (event["type"], event["object"]["code"]) == ("ERROR", rest.EXPIRED)
