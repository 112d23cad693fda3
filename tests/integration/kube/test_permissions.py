"""The permissions in `manifests/base` are sufficient for everything that the operator reads and writes, and for nothing
else.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from kubernetes.aio.client import ApiClient

from datapath_probe.kube import rest
from datapath_probe.kube.client import connect, load_configuration
from datapath_probe.kube.watch.inventory import ClusterInventory
from datapath_probe.kube.writes.events import EventRecorder
from datapath_probe.kube.writes.probes import Probes
from datapath_probe.publish.interfaces import Event, Written
from integration.apiserver import ApiServer
from integration.kube.cluster import PROBES, create_probe, delete, events_about, eventually
from integration.kube.conftest import running

BASE = Path(__file__).parents[3] / "manifests/base"


@pytest.fixture
async def operator(cilium: ApiServer, kube: ApiClient) -> AsyncIterator[ApiClient]:
    """A client with the permissions of the ServiceAccount."""
    applied = cilium.run_kubectl("apply", "--server-side", "--force-conflicts", "-k", BASE)
    assert applied.returncode == 0, applied.stderr
    cilium.wait_for("get", "datapathprobes")
    async with connect(await load_configuration(str(cilium.kubeconfig))) as client:
        client.set_default_header("Impersonate-User", "system:serviceaccount:datapath-probe:datapath-probe")
        yield client


async def test_the_inventory_can_be_watched(operator: ApiClient) -> None:
    async with running(ClusterInventory(operator, "kube-system")) as inventory:
        await eventually(lambda: inventory.stale_since is None)
        assert inventory.unsynced == {}


async def test_status_and_events_can_be_written(kube: ApiClient, operator: ApiClient) -> None:
    probe = await create_probe(kube)
    try:
        assert await Probes(operator).list_refs() == frozenset({probe})
        assert await Probes(operator).write(probe, {"observedGeneration": 1}) == Written()
        async with running(EventRecorder(operator, "datapath-probe-0")) as recorder:
            recorder.record(probe, Event("Normal", "AllHopsOk", "Probe", "21/21 hops ok"))
            await events_about(kube, probe, 1)
    finally:
        await delete(kube, f"{PROBES}/landing")


@pytest.mark.parametrize(
    "path", ["/api/v1/secrets", "/api/v1/configmaps", "/api/v1/namespaces/kube-system/configmaps"]
)
async def test_nothing_else_can_be_read(operator: ApiClient, path: str) -> None:
    with pytest.raises(rest.ApiError) as refused:
        await rest.request(operator, "GET", path, {})
    assert refused.value.status == 403
