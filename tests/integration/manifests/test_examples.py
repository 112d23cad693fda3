"""The examples and the manifests for GitOps tools, on a real API server."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.apiserver import ApiServer
from kustomize import MANIFESTS
from unit.publish.samples import CANNOT_RUN, diverging, healthy
from unit.publish.status.after_runs import after

EXAMPLES = sorted(
    file for file in (MANIFESTS / "examples").glob("*.yaml") if file.name != "kustomization.yaml"
)
CRD = MANIFESTS.parent / "crds/datapathprobes.yaml"


@pytest.fixture(scope="module")
def installed(apiserver: ApiServer) -> ApiServer:
    """An API server that serves DatapathProbes."""
    applied = apiserver.run_kubectl("apply", "--server-side", "-f", CRD)
    assert applied.returncode == 0, applied.stderr
    apiserver.wait_for("explain", "datapathprobes")
    return apiserver


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_api_server_takes_each_example_without_a_warning(installed: ApiServer, example: Path) -> None:
    applied = installed.run_kubectl(
        "apply", "--dry-run=server", "--validate=strict", "-n", "default", "-f", example
    )
    assert applied.stdout == f"datapathprobe.datapath-probe.dev/{example.stem} created (server dry run)\n"
    assert applied.stderr == ""


def test_all_examples_can_be_applied_together(installed: ApiServer) -> None:
    applied = installed.run_kubectl(
        "apply", "--dry-run=server", "-n", "default", "-k", MANIFESTS / "examples"
    )
    assert len(applied.stdout.splitlines()) == len(EXAMPLES)
    assert applied.stderr == ""


@pytest.fixture
def probe(installed: ApiServer) -> Iterator[str]:
    """The name of a stored probe."""
    name = "dns"
    created = installed.run_kubectl("create", "-n", "default", "-f", MANIFESTS / "examples/dns.yaml")
    assert created.returncode == 0, created.stderr
    yield name
    installed.run_kubectl("delete", "-n", "default", "dpp", name)


def waited(
    server: ApiServer, probe: str, condition: str, timeout: str = "2s"
) -> subprocess.CompletedProcess[str]:
    return server.run_kubectl(
        "wait", "-n", "default", f"--for=condition={condition}", f"--timeout={timeout}", f"dpp/{probe}"
    )


def report(server: ApiServer, probe: str, status: dict[str, Any]) -> None:
    """Write the status as the operator does."""
    body = {"apiVersion": "datapath-probe.dev/v1alpha1", "kind": "DatapathProbe", "metadata": {"name": probe}}
    applied = server.run_kubectl(
        *(
            "apply",
            "-n",
            "default",
            "--server-side",
            "--subresource=status",
            "--field-manager=datapath-probe",
            "-f",
            "-",
        ),
        stdin=json.dumps({**body, "status": status}),
    )
    assert applied.returncode == 0, applied.stderr


def test_kubectl_waits_for_the_expectation(installed: ApiServer, probe: str) -> None:
    assert waited(installed, probe, "ExpectationMet").returncode != 0, "no run has ended"
    report(installed, probe, after([diverging()]).to_object())
    assert waited(installed, probe, "ExpectationMet").returncode != 0
    assert waited(installed, probe, "ExpectationMet=False").returncode == 0
    report(installed, probe, after([healthy()]).to_object())
    for condition in ("ExpectationMet", "PathHealthy", "Ready"):
        assert waited(installed, probe, condition).returncode == 0
    report(installed, probe, after([CANNOT_RUN]).to_object())
    assert waited(installed, probe, "Stalled").returncode == 0


def test_kubectl_waits_for_the_run_of_a_new_spec(installed: ApiServer, probe: str) -> None:
    report(installed, probe, after([healthy()]).to_object())
    done = installed.run_kubectl(
        *(
            "wait",
            "-n",
            "default",
            "--for=jsonpath={.status.observedGeneration}=1",
            "--timeout=2s",
            f"dpp/{probe}",
        )
    )
    assert done.returncode == 0, done.stderr


def test_the_configuration_of_argo_cd_can_be_merged(installed: ApiServer) -> None:
    assert installed.run_kubectl("create", "namespace", "argocd").returncode == 0
    assert (
        installed.run_kubectl(
            "create", "-n", "argocd", "configmap", "argocd-cm", "--from-literal=url=https://a"
        ).returncode
        == 0
    )
    patched = installed.run_kubectl(
        *(
            "patch",
            "configmap",
            "argocd-cm",
            "-n",
            "argocd",
            "--patch-file",
            MANIFESTS / "gitops/argocd-cm.yaml",
        )
    )
    assert patched.returncode == 0, patched.stderr
    stored = json.loads(
        installed.run_kubectl("get", "-n", "argocd", "configmap", "argocd-cm", "-o", "json").stdout
    )
    assert set(stored["data"]) == {"url", "resource.customizations.health.datapath-probe.dev_DatapathProbe"}
