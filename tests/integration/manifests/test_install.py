"""The manifests as a real API server accepts them, and what the operator may do afterwards."""

import pytest
import yaml

from integration.apiserver import ApiServer
from kustomize import MANIFESTS, build

OPERATOR = "system:serviceaccount:datapath-probe:datapath-probe"


@pytest.fixture(scope="module")
def cluster(apiserver: ApiServer) -> ApiServer:
    """An API server with the operator's manifests applied. Nothing runs them, so they can stay."""
    installed = apiserver.run_kubectl("apply", "--server-side", "-k", MANIFESTS / "base")
    assert installed.returncode == 0, installed.stderr
    assert "Warning" not in installed.stderr
    apiserver.wait_for("explain", "datapathprobes")
    return apiserver


@pytest.mark.parametrize("folder", ["overlays/all-namespaces", "demo", "demo/overlays/lab"])
def test_every_object_is_valid(cluster: ApiServer, folder: str) -> None:
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


def can_i(cluster: ApiServer, verb: str, resource: str, namespace: str, *flags: str) -> str:
    """ "yes" or "no", from the API server's own authorizer."""
    return cluster.run_kubectl(
        "auth", "can-i", verb, resource, "--namespace", namespace, "--as", OPERATOR, *flags
    ).stdout.strip()
