"""A real API server that serves Cilium's resources, a client for it, and a running inventory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol, TypeVar

import pytest
from kubernetes.aio.client import ApiClient

from datapath_probe.kube.client import connect, load_configuration
from datapath_probe.kube.rest import ApiError
from datapath_probe.kube.watch.inventory import ClusterInventory
from integration.apiserver import ApiServer
from integration.kube.agent_cluster import Cluster
from integration.kube.cluster import CILIUM_CONFIG, CONFIG_MAPS, create
from integration.kube.exec_server import exec_server

CILIUM_CRDS = Path(__file__).parents[2] / "data/crds/cilium.yaml"


@pytest.fixture(scope="session")
def cilium(apiserver: ApiServer) -> ApiServer:
    """The API server, with Cilium's CRDs installed."""
    install_cilium(apiserver)
    return apiserver


def install_cilium(apiserver: ApiServer) -> None:
    """Install Cilium's CRDs and wait until they are served."""
    applied = apiserver.run_kubectl("apply", "--server-side", "-f", CILIUM_CRDS)
    assert applied.returncode == 0, applied.stderr
    apiserver.wait_for("get", "ciliumendpoints.cilium.io,ciliumnodes.cilium.io", "--all-namespaces")


@pytest.fixture
async def kube(cilium: ApiServer) -> AsyncIterator[ApiClient]:
    """A client for the actions of the test."""
    async with connect(await load_configuration(str(cilium.kubeconfig))) as client:
        with suppress(ApiError):  # it may exist from an earlier test
            await create(client, CONFIG_MAPS, CILIUM_CONFIG)
        yield client


@pytest.fixture
async def inventory(kube: ApiClient) -> AsyncIterator[ClusterInventory]:
    """An inventory that is complete and current."""
    async with running(ClusterInventory(kube, "kube-system")) as inventory:
        await inventory.wait_synced()
        yield inventory


class Service(Protocol):
    """Works while its `run` does."""

    async def run(self) -> None: ...


S = TypeVar("S", bound=Service)


@asynccontextmanager
async def running(service: S) -> AsyncIterator[S]:
    """The service while it runs."""
    task = asyncio.create_task(service.run())
    try:
        yield service
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    """A cluster with one agent, whose channels are closed when the test ends."""
    async with exec_server() as server:
        cluster = Cluster(server)
        yield cluster
        await cluster.pool.close()
        await cluster.client.close()
