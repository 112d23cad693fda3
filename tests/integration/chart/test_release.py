"""A release on a real API server, from installation to removal. Nothing runs it there: tests/e2e/test_chart.py does."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import helm
from datapath_probe import __version__
from helm import CHART, VERSIONS
from integration.apiserver import ApiServer
from kustomize import MANIFESTS, Object, of_kind
from unit.publish.samples import healthy
from unit.publish.status.after_runs import after

ROOT = CHART.parents[1]
FIRST = ROOT / "tests/data/charts/datapath-probe-0.0.1.tgz"
NAMESPACE = "datapath-probe"
TAKE_OVER = {"helm 3": ("--take-ownership",), "helm 4": ("--take-ownership", "--force-conflicts")}
CHARTED, RELEASES = "app.kubernetes.io/name=datapath-probe", "owner=helm"
KINDS = (
    "serviceaccounts,services,configmaps,deployments,roles,rolebindings,clusterroles,clusterrolebindings,networkpolicies,"
    "validatingadmissionpolicies,validatingadmissionpolicybindings,customresourcedefinitions,secrets"
)
PROBE = {
    "apiVersion": "datapath-probe.dev/v1alpha1",
    "kind": "DatapathProbe",
    "metadata": {"name": "landing", "namespace": "shop"},
    "spec": {"source": {"pod": "xwing"}, "destination": {"service": {"name": "deathstar", "port": 80}}},
}
NOT_SPOT = {"matchExpressions": [{"key": "spot", "operator": "DoesNotExist"}]}
EVERYTHING: Mapping[str, Any] = {
    "image": {"registry": "r.example.org", "digest": f"sha256:{'0f' * 32}", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "sources": {"allNamespaces": True, "namespaces": ["shop"]},
    "options": {
        "forbidHostNetwork": True,
        "denyAddresses": ["10.0.0.0/8"],
        "maxPairs": 8,
        "metricsPort": 9080,
    },
    "extraArgs": ["--log-level=DEBUG"],
    "extraEnv": [{"name": "TZ", "value": "UTC"}],
    "evidence": {"save": True},
    "priorityClassName": "monitoring",
    "nodeSelector": {"node-role.kubernetes.io/control-plane": ""},
    "tolerations": [
        {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"}
    ],
    "affinity": {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [NOT_SPOT]}}
    },
    "podLabels": {"team": "network"},
    "podAnnotations": {"note": "1"},
    "networkPolicy": {"from": [{"podSelector": {}}]},
    "dashboards": {"enabled": True},
}


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def empty(cluster: ApiServer) -> Iterator[ApiServer]:
    """The cluster, without the chart before and after the test."""
    yield cluster
    cluster.run_kubectl("delete", KINDS, "-A", "-l", CHARTED)
    cluster.run_kubectl("delete", "secrets", "-A", "-l", RELEASES)
    assert installed(cluster) == []


def installed(cluster: ApiServer) -> list[Object]:
    """All objects of the chart, and the releases that helm keeps as Secrets."""
    listed = cluster.run_kubectl(
        "get", KINDS, "-A", "-o", "json", "-l", "app.kubernetes.io/name=datapath-probe"
    )
    releases = cluster.run_kubectl("get", "secrets", "-A", "-o", "json", "-l", RELEASES)
    return [*json.loads(listed.stdout)["items"], *json.loads(releases.stdout)["items"]]


def did(cluster: ApiServer, version: str, *argv: str | Path, values: helm.Values | None = None) -> str:
    """stdout of helm, which succeeds without a warning."""
    done = helm.run(version, *argv, "--namespace", NAMESPACE, values=values, kubeconfig=cluster.kubeconfig)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr.lower()
    return done.stdout


def probe(cluster: ApiServer) -> Object:
    read = cluster.run_kubectl("get", "dpp", "-n", "shop", "landing", "-o", "json")
    assert read.returncode == 0, read.stderr
    found: Object = json.loads(read.stdout)
    return found


def create_probe(cluster: ApiServer) -> Object:
    """A probe that has run."""
    cluster.wait_for("get", "dpp", "-A")
    assert cluster.run_kubectl("create", "-f", "-", stdin=yaml.safe_dump(PROBE)).returncode == 0
    patch = json.dumps({"status": after([healthy()]).to_object()})
    target = ("-n", "shop", "dpp", "landing", "--subresource=status", "--type=merge", "-p", patch)
    patched = cluster.run_kubectl("patch", *target)
    assert patched.returncode == 0, patched.stderr
    return probe(cluster)


def test_a_release_is_upgraded_rolled_back_and_removed_and_keeps_probes(
    empty: ApiServer, version: str
) -> None:
    did(empty, version, "install", "dpp", FIRST, "--create-namespace")
    before = create_probe(empty)
    did(empty, version, "upgrade", "dpp", CHART, values={"options": {"maxPairs": 8}})
    assert "MAX_PAIRS" in str(of_kind(tuple(installed(empty)), "Deployment"))
    assert probe(empty) == before
    did(empty, version, "rollback", "dpp", "1")
    assert "MAX_PAIRS" not in str(of_kind(tuple(installed(empty)), "Deployment"))
    assert probe(empty) == before
    did(empty, version, "uninstall", "dpp")
    assert [one["kind"] for one in installed(empty)] == ["CustomResourceDefinition"]
    assert probe(empty) == before
    did(empty, version, "install", "dpp", CHART)
    assert probe(empty) == before
    did(empty, version, "uninstall", "dpp")


def test_the_crd_and_all_probes_are_removed_if_asked(empty: ApiServer, version: str) -> None:
    did(empty, version, "install", "dpp", CHART, "--create-namespace", values={"crds": {"keep": False}})
    create_probe(empty)
    did(empty, version, "uninstall", "dpp")
    assert installed(empty) == []


def test_what_kustomize_installed_can_be_taken_over(empty: ApiServer, version: str) -> None:
    applied = empty.run_kubectl("apply", "--server-side", "-k", MANIFESTS / "base")
    assert applied.returncode == 0, applied.stderr
    before = create_probe(empty)
    did(empty, version, "install", "dpp", CHART, *TAKE_OVER[version])
    assert probe(empty) == before
    did(empty, version, "uninstall", "dpp")
    assert [one["kind"] for one in installed(empty)] == ["CustomResourceDefinition"]
    assert probe(empty) == before


def test_helm_4_continues_a_release_of_helm_3(empty: ApiServer) -> None:
    did(empty, "helm 3", "install", "dpp", FIRST, "--create-namespace")
    before = create_probe(empty)
    did(empty, "helm 4", "upgrade", "dpp", CHART, values={"options": {"maxPairs": 8}})
    assert "MAX_PAIRS" in str(of_kind(tuple(installed(empty)), "Deployment"))
    assert probe(empty) == before
    did(empty, "helm 4", "uninstall", "dpp")
    assert [one["kind"] for one in installed(empty)] == ["CustomResourceDefinition"]


def test_a_second_release_is_refused(empty: ApiServer, version: str) -> None:
    """Two operators would run every probe twice."""
    did(empty, version, "install", "dpp", CHART, "--create-namespace")
    second = helm.run(version, "install", "second", CHART, "--namespace", "shop", kubeconfig=empty.kubeconfig)
    assert second.returncode != 0
    assert "cannot be imported into the current release" in second.stderr


@pytest.mark.parametrize(
    ("values", "warning"),
    [
        ({}, ""),
        (EVERYTHING, ""),
        ({"cilium": {"namespace": "cilium"}, "hostNetwork": True}, "host namespaces"),
    ],
)
def test_the_api_server_takes_every_object(
    cluster: ApiServer, version: str, values: Mapping[str, Any], warning: str
) -> None:
    """In a namespace of Pod Security Standard `restricted`, which the network of a node does not meet."""
    cluster.run_kubectl("create", "namespace", NAMESPACE)
    restricted = "pod-security.kubernetes.io/enforce=restricted"
    cluster.run_kubectl("label", "namespace", NAMESPACE, restricted, "--overwrite")
    objects = helm.template(version, values)
    how = ("--server-side", "--dry-run=server", "--validate=strict")
    applied = cluster.run_kubectl("apply", *how, "-f", "-", stdin=yaml.safe_dump_all(objects))
    assert applied.returncode == 0, applied.stderr
    assert warning in applied.stderr
    assert bool(applied.stderr) == bool(warning)
    assert len(applied.stdout.splitlines()) == len(objects)


def test_the_notes_show_the_role_binding_that_a_user_makes(empty: ApiServer, version: str) -> None:
    notes = did(empty, version, "install", "dpp", CHART, "--create-namespace").partition("NOTES:")[2]
    command = next(part for part in notes.split("\n\n") if "kubectl create rolebinding" in part)
    _, *argv = command.replace("\\\n", " ").replace("NAMESPACE", "shop").split()
    assert may_exec(empty) == "no"
    assert empty.run_kubectl(*argv).returncode == 0
    assert may_exec(empty) == "yes"
    empty.run_kubectl("delete", "rolebinding", "-n", "shop", "--all")


def may_exec(cluster: ApiServer) -> str:
    """Whether the operator may run curl in pods of namespace shop."""
    account = f"system:serviceaccount:{NAMESPACE}:datapath-probe"
    asked = ("create", "pods", "--subresource=exec", "-n", "shop", "--as", account)
    return cluster.run_kubectl("auth", "can-i", *asked).stdout.strip()


@pytest.mark.parametrize("page", ["README.md", "charts/datapath-probe/README.md"])
def test_the_documented_command_installs_it(empty: ApiServer, version: str, page: str) -> None:
    commands = re.findall(r"^\$ helm ((?:.*\\\n)*.*)", (ROOT / page).read_text(), re.MULTILINE)
    [argv] = [command.replace("\\\n", " ").split() for command in commands]
    helped = helm.run(version, *argv, kubeconfig=empty.kubeconfig)
    assert helped.returncode == 0, helped.stderr
    [deployment] = of_kind(tuple(installed(empty)), "Deployment")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry.example.org/datapath-probe:{__version__}"
