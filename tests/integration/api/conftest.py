"""The API server with our CRD installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes import client

from integration.apiserver import ApiServer

CRD = Path(__file__).parents[3] / "crds/datapathprobes.yaml"


@pytest.fixture(scope="session")
def probes(apiserver: ApiServer) -> Iterator[client.CustomObjectsApi]:
    """A client of an API server that serves DatapathProbes."""
    applied = apiserver.run_kubectl("apply", "--server-side", "-f", CRD)
    assert applied.returncode == 0, applied.stderr
    assert "Warning" not in applied.stderr
    # Available last, after discovery and the resource itself.
    apiserver.wait_for("explain", "datapathprobes")
    with apiserver.client() as api:
        yield client.CustomObjectsApi(api)
