"""The manifests as a real API server accepts them, and what the operator may do afterwards."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from integration.apiserver import ApiServer
from kustomize import MANIFESTS, build, of_kind

COUNTED = "count/datapathprobes.datapath-probe.dev"
OPERATOR = "system:serviceaccount:datapath-probe:datapath-probe"


@pytest.fixture(scope="module")
def cluster(apiserver: ApiServer) -> ApiServer:
    """An API server with the operator's manifests applied. Nothing runs them, so they can stay."""
    installed = apiserver.run_kubectl("apply", "--server-side", "-k", MANIFESTS / "base")
    assert installed.returncode == 0, installed.stderr
    assert "Warning" not in installed.stderr
    apiserver.wait_for("explain", "datapathprobes")
    return apiserver


@pytest.mark.parametrize(
    "folder",
    [
        *("overlays/all-namespaces", "overlays/control-plane", "overlays/node-agents"),
        *("overlays/only-node-agents", "demo", "demo/overlays/lab"),
    ],
)
def test_every_object_is_valid(cluster: ApiServer, folder: str) -> None:
    # Pod Security looks at the stored namespace, which a dry run does not change.
    if namespaces := yaml.safe_dump_all(of_kind(build(MANIFESTS / folder), "Namespace")):
        cluster.run_kubectl("apply", "--server-side", "-f", "-", stdin=namespaces)
    objects = yaml.safe_dump_all(build(MANIFESTS / folder))
    applied = cluster.run_kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=objects)
    assert applied.returncode == 0, applied.stderr
    assert "Warning" not in applied.stderr
    assert len(applied.stdout.splitlines()) == len(build(MANIFESTS / folder))


@pytest.mark.parametrize(
    ("allowed", "verb", "resource", "namespace"),
    [
        ("yes", "watch", "datapathprobes.datapath-probe.dev", "anywhere"),
        ("no", "update", "datapathprobes.datapath-probe.dev", "anywhere"),
        ("no", "patch", "datapathprobes.datapath-probe.dev", "anywhere"),
        ("yes", "watch", "endpointslices.discovery.k8s.io", "anywhere"),
        ("yes", "create", "events.events.k8s.io", "anywhere"),
        ("no", "create", "pods", "anywhere"),
        ("no", "delete", "pods", "kube-system"),
        ("no", "get", "secrets", "datapath-probe"),
        ("no", "list", "configmaps", "kube-system"),
        ("yes", "watch", "configmaps/cilium-config", "kube-system"),
        ("no", "watch", "configmaps/cilium-config", "default"),
        ("no", "get", "configmaps/cilium-config", "kube-system"),
        ("no", "get", "pods", "anywhere"),
    ],
)
def test_the_operator_has_the_required_permissions_and_no_others(
    cluster: ApiServer, allowed: str, verb: str, resource: str, namespace: str
) -> None:
    assert can_i(cluster, verb, resource, namespace) == allowed


def test_the_operator_writes_statuses(cluster: ApiServer) -> None:
    arguments = ("patch", "datapathprobes.datapath-probe.dev", "anywhere", "--subresource=status")
    assert can_i(cluster, *arguments) == "yes"


def test_the_operator_can_exec_into_agents_and_only_into_bound_sources(cluster: ApiServer) -> None:
    def exec_allowed(namespace: str) -> set[str]:
        return {can_i(cluster, verb, "pods", namespace, "--subresource=exec") for verb in ("get", "create")}

    assert exec_allowed("kube-system") == {"yes"}
    assert exec_allowed("default") == {"no"}
    role_binding = next(one for one in build(MANIFESTS / "demo") if one["kind"] == "RoleBinding")
    cluster.run_kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(role_binding))
    assert exec_allowed("default") == {"yes"}
    assert exec_allowed("kube-public") == {"no"}
    cluster.run_kubectl("delete", "rolebinding", "-n", "default", role_binding["metadata"]["name"])


@pytest.fixture
def tenant(cluster: ApiServer) -> Iterator[str]:
    """A namespace of its own."""
    name = "tenant"
    assert cluster.run_kubectl("create", "namespace", name).returncode == 0
    yield name
    cluster.run_kubectl("delete", "datapathprobes", "--all", "--namespace", name)
    cluster.run_kubectl("delete", "namespace", name, "--wait=false")


def test_the_quota_limits_the_probes_of_its_namespace(
    cluster: ApiServer, tenant: str, tmp_path: Path
) -> None:
    component = os.path.relpath(MANIFESTS / "probe-quota", tmp_path.resolve())
    kustomization = {"namespace": tenant, "components": [component]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    applied = cluster.run_kubectl("apply", "--server-side", "-k", tmp_path)
    assert applied.returncode == 0, applied.stderr
    # The controller that counts the probes does not run here: all but one of 100 exist.
    counts = {"hard": {COUNTED: "100"}, "used": {COUNTED: "99"}}
    patch = ("patch", "resourcequota", "datapath-probes", "--namespace", tenant, "--subresource=status")
    assert cluster.run_kubectl(*patch, "--type=merge", "-p", json.dumps({"status": counts})).returncode == 0
    assert create_probe(cluster, tenant, "first").returncode == 0
    second = create_probe(cluster, tenant, "second")
    assert second.returncode != 0
    assert f"exceeded quota: datapath-probes, requested: {COUNTED}=1, used: {COUNTED}=100" in second.stderr
    assert create_probe(cluster, "default", "elsewhere", "--dry-run=server").returncode == 0


def create_probe(
    cluster: ApiServer, namespace: str, name: str, *flags: str
) -> subprocess.CompletedProcess[str]:
    """Create a probe; it may be refused."""
    probe = {
        "apiVersion": "datapath-probe.dev/v1alpha1",
        "kind": "DatapathProbe",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"source": {"pod": "xwing"}, "destination": {"service": {"name": "deathstar", "port": 80}}},
    }
    return cluster.run_kubectl("create", *flags, "-f", "-", stdin=yaml.safe_dump(probe))


def can_i(cluster: ApiServer, verb: str, resource: str, namespace: str, *flags: str) -> str:
    """ "yes" or "no", from the API server's own authorizer."""
    return cluster.run_kubectl(
        "auth", "can-i", verb, resource, "--namespace", namespace, "--as", OPERATOR, *flags
    ).stdout.strip()
