"""An API server that serves DatapathProbes, and the operator in a separate process."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.apiserver import ApiServer
from integration.control.operator_process import OperatorProcess
from integration.control.probe import Probe

CRD = Path(__file__).parents[3] / "crds/datapathprobes.yaml"


@pytest.fixture(scope="session")
def served(apiserver: ApiServer) -> ApiServer:
    """The API server with our CRD."""
    applied = apiserver.run_kubectl("apply", "--server-side", "-f", CRD)
    assert applied.returncode == 0, applied.stderr
    apiserver.wait_for("get", "datapathprobes")
    return apiserver


@pytest.fixture(scope="module")
def operator_process(
    served: ApiServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """The operator of these tests. It is stopped when they end, since it would write to the probes of other tests."""
    process = OperatorProcess(served.kubeconfig, tmp_path_factory.mktemp("operator"))
    yield process
    process.kill()


@pytest.fixture
def operator(served: ApiServer, operator_process: OperatorProcess) -> OperatorProcess:
    """An operator that is ready, without probes and without memory of earlier tests."""
    served.run_kubectl("delete", "datapathprobes", "--all", "--wait")
    operator_process.renew()
    return operator_process


@pytest.fixture
def probe(served: ApiServer) -> Iterator[Probe]:
    """A probe that is not created yet, with a unique name."""
    yield Probe(served, f"probe-{uuid.uuid4().hex[:8]}")
    served.run_kubectl("delete", "datapathprobes", "--all", "--wait")
