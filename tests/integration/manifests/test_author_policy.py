"""Who may create and change probes: those who may run commands in the source pod, decided by a real API server."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from integration.apiserver import ApiServer
from kustomize import MANIFESTS

NAMESPACE = "shop"
PROBE_RULE = {"apiGroups": ["datapath-probe.dev"], "resources": ["datapathprobes"], "verbs": ["*"]}
EXEC_RULE = {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]}
STATUS_RULE = PROBE_RULE | {"resources": ["datapathprobes", "datapathprobes/status"]}
WITHOUT_RIGHT = (("tenant", "xwing"), ("elsewhere", "xwing"), ("reader", "xwing"), ("of-xwing", "ywing"))
GITOPS = "system:serviceaccount:flux-system:kustomize-controller"
PAGE = Path(__file__).parents[3] / "docs/permissions.md"


def role(user: str, *rules: object) -> list[dict[str, object]]:
    """A Role in the namespace, bound to the user of the same name."""
    metadata = {"name": user, "namespace": NAMESPACE}
    api = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": metadata}
    subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"kind": "Role", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    return [
        {**api, "kind": "Role", "rules": [*rules]},
        {**api, "kind": "RoleBinding", "roleRef": reference, "subjects": [subject]},
    ]


def probe(name: str, pod: str = "xwing", **metadata: object) -> dict[str, object]:
    return {
        "apiVersion": "datapath-probe.dev/v1alpha1",
        "kind": "DatapathProbe",
        "metadata": {"name": name, "namespace": NAMESPACE, **metadata},
        "spec": {"source": {"pod": pod}, "destination": {"pod": {"name": "deathstar-0", "port": 80}}},
    }


def tried(apiserver: ApiServer, user: str, verb: str, *argv: str, stdin: object = None) -> str:
    """ "" if the user may do this; else why not."""
    text = yaml.safe_dump(stdin) if stdin else None
    done = apiserver.run_kubectl(verb, "-n", NAMESPACE, "--as", user, *argv, stdin=text)
    return done.stderr if done.returncode else ""


def created(apiserver: ApiServer, user: str, *, pod: str = "xwing", source: object = None) -> str:
    """Let the user create a probe, without storing it. `source`: instead of a pod."""
    new = probe("new", pod)
    if source:
        new["spec"] = {"source": source, "destination": {"pod": {"name": "deathstar-0", "port": 80}}}
    return tried(apiserver, user, "create", "--dry-run=server", "-f", "-", stdin=new)


@contextmanager
def with_users(apiserver: ApiServer) -> Iterator[ApiServer]:
    """The API server with the policy in force, users, and one probe."""
    applied = apiserver.run_kubectl("apply", "--server-side", "--force-conflicts", "-k", MANIFESTS / "base")
    assert applied.returncode == 0, applied.stderr
    apiserver.wait_for("get", "datapathprobes")
    only_xwing = EXEC_RULE | {"resourceNames": ["xwing"]}
    elsewhere = role("elsewhere", EXEC_RULE)
    for one in elsewhere:
        one["metadata"] = {"name": "elsewhere", "namespace": "default"}
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        *role("developer", PROBE_RULE, EXEC_RULE),
        *role("of-xwing", PROBE_RULE, only_xwing),
        *role("reader", PROBE_RULE, EXEC_RULE | {"verbs": ["get"]}),
        *role("elsewhere", PROBE_RULE),
        *elsewhere,
        *role("tenant", PROBE_RULE),
        *role("operator", STATUS_RULE),
        probe("landing"),
    ]
    applied = apiserver.run_kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))
    assert applied.returncode == 0, applied.stderr
    deadline = time.monotonic() + 30
    while not created(apiserver, "tenant"):
        assert time.monotonic() < deadline, "the policy is not in force"
        time.sleep(0.2)
    yield apiserver
    apiserver.run_kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    apiserver.run_kubectl("delete", "datapathprobes", "-n", NAMESPACE, "--all")


@pytest.fixture(scope="module")
def cluster(apiserver: ApiServer) -> Iterator[ApiServer]:
    with with_users(apiserver) as server:
        yield server


def test_only_those_who_may_exec_into_the_source_pod_create_a_probe(cluster: ApiServer) -> None:
    assert created(cluster, "developer") == ""
    assert created(cluster, "of-xwing") == ""
    for user, pod in WITHOUT_RIGHT:
        denied = created(cluster, user, pod=pod)
        assert "ValidatingAdmissionPolicy 'datapath-probe-author'" in denied
        assert f"{user} may not create pods/exec for {pod} in namespace {NAMESPACE}" in denied


@pytest.mark.parametrize(
    "source",
    [
        {"workload": {"kind": "Deployment", "name": "frontend"}},
        {"selector": {"matchLabels": {"app": "frontend"}}, "select": "All"},
    ],
)
def test_a_source_of_any_pods_requires_the_right_for_all_pods(cluster: ApiServer, source: object) -> None:
    assert created(cluster, "developer", source=source) == ""
    for user in ("tenant", "elsewhere", "reader", "of-xwing"):
        denied = created(cluster, user, source=source)
        assert f"{user} may not create pods/exec for all pods in namespace {NAMESPACE}" in denied


CHANGES = {
    "the spec": ("patch", "datapathprobe", "landing", "--type=merge", '-p={"spec":{"suspend":true}}'),
    "the source": (
        "patch",
        "datapathprobe",
        "landing",
        "--type=merge",
        '-p={"spec":{"source":{"pod":"ywing"}}}',
    ),
    "a run": ("annotate", "datapathprobe", "landing", "datapath-probe.dev/run-now=1"),
    "a capture": ("annotate", "datapathprobe", "landing", "datapath-probe.dev/capture=1"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_that_lead_to_requests_need_the_same_right(cluster: ApiServer, change: str) -> None:
    verb, *argv = CHANGES[change]
    assert tried(cluster, "developer", verb, *argv, "--dry-run=server") == ""
    denied = tried(cluster, "tenant", verb, *argv, "--dry-run=server")
    assert "tenant may not create pods/exec for" in denied


def test_a_probe_can_not_be_moved_to_a_pod_that_its_author_may_not_enter(cluster: ApiServer) -> None:
    verb, *argv = CHANGES["the source"]
    assert "for ywing" in tried(cluster, "of-xwing", verb, *argv, "--dry-run=server")


def test_nothing_else_needs_the_right(cluster: ApiServer) -> None:
    """Labels, other annotations, an unchanged request for a run, and deletion."""
    kept = probe("kept", annotations={"datapath-probe.dev/run-now": "1"})
    assert tried(cluster, "developer", "create", "-f", "-", stdin=kept) == ""
    for change in (
        ("label", "datapathprobe", "kept", "team=empire"),
        ("annotate", "datapathprobe", "kept", "datapath-probe.dev/severity=info"),
        ("annotate", "datapathprobe", "kept", "datapath-probe.dev/run-now-"),
        ("delete", "datapathprobe", "kept"),
    ):
        assert tried(cluster, "tenant", *change) == ""


def test_statuses_are_written_without_the_right(cluster: ApiServer) -> None:
    status = '-p={"status":{"observedGeneration":1}}'
    argv = ("datapathprobe", "landing", "--subresource=status", "--type=merge", status)
    assert tried(cluster, "operator", "patch", *argv) == ""


def test_the_documented_role_is_what_a_gitops_controller_needs(cluster: ApiServer) -> None:
    (example,) = (
        block
        for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
        if "kustomize-controller" in block
    )
    cluster.run_kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(role(GITOPS, PROBE_RULE)))
    assert "may not create pods/exec" in created(cluster, GITOPS, pod="frontend-0")
    applied = cluster.run_kubectl("apply", "-f", "-", stdin=example)
    assert applied.returncode == 0, applied.stderr
    assert created(cluster, GITOPS, pod="frontend-0") == ""
