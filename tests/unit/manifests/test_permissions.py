"""The permissions of the operator in a cluster, as the manifests grant them."""

import re
from typing import Any

import pytest

from kustomize import MANIFESTS, Object, build, named, of_kind

INSTALLATIONS = ["base", "overlays/all-namespaces", "overlays/cilium-namespace", "overlays/control-plane"]
READING = {"get", "list", "watch"}


def rules(role: Object) -> list[dict[str, Any]]:
    granted: list[dict[str, Any]] = role["rules"]
    return granted


def roles(objects: tuple[Object, ...]) -> list[Object]:
    return of_kind(objects, "Role") + of_kind(objects, "ClusterRole")


def bindings(objects: tuple[Object, ...], role: str) -> list[tuple[str, str]]:
    """(kind, namespace) of each binding of a role."""
    return [
        (one["kind"], one["metadata"].get("namespace", ""))
        for one in of_kind(objects, "RoleBinding") + of_kind(objects, "ClusterRoleBinding")
        if one["roleRef"]["name"] == role
    ]


@pytest.mark.parametrize("folder", INSTALLATIONS)
def test_there_are_no_wildcards(folder: str) -> None:
    for role in roles(build(MANIFESTS / folder)):
        for rule in rules(role):
            assert "*" not in {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}, role["metadata"][
                "name"
            ]


@pytest.mark.parametrize("folder", INSTALLATIONS)
def test_the_operator_writes_only_statuses_and_events(folder: str) -> None:
    written = {
        (role["metadata"]["name"], resource, verb)
        for role in roles(build(MANIFESTS / folder))
        for rule in rules(role)
        for resource in rule["resources"]
        for verb in set(rule["verbs"]) - READING
        if resource != "pods/exec" and role["metadata"]["name"] != "datapath-probe-edit"
    }
    assert written == {
        ("datapath-probe", "datapathprobes/status", "patch"),
        ("datapath-probe", "events", "create"),
    }


@pytest.mark.parametrize("folder", INSTALLATIONS)
def test_exec_is_granted_separately_for_agents_and_sources(folder: str) -> None:
    with_exec = {
        (role["kind"], role["metadata"]["name"])
        for role in roles(build(MANIFESTS / folder))
        if any("pods/exec" in rule["resources"] for rule in rules(role))
    }
    assert with_exec == {("Role", "datapath-probe-agent-exec"), ("ClusterRole", "datapath-probe-source-exec")}


def test_with_nothing_but_node_agents_the_operator_runs_nothing_in_containers() -> None:
    for role in roles(build(MANIFESTS / "overlays/only-node-agents")):
        assert not any("pods/exec" in rule["resources"] for rule in rules(role)), role["metadata"]["name"]


def test_of_node_agents_the_operator_has_their_certificates_alone() -> None:
    usual, added = build(MANIFESTS / "base"), build(MANIFESTS / "overlays/node-agents")
    known = {role["metadata"]["name"] for role in roles(usual)}
    [role] = [role for role in roles(added) if role["metadata"]["name"] not in known]
    secrets = ["datapath-probe-node-ca", "datapath-probe-node-tls"]
    assert role["kind"] == "Role"
    assert rules(role) == [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": secrets, "verbs": ["get", "update"]}
    ]


def test_an_agent_has_the_documented_capabilities_and_no_token() -> None:
    [agent] = of_kind(build(MANIFESTS / "overlays/node-agents"), "DaemonSet")
    pod = agent["spec"]["template"]["spec"]
    [container] = pod["containers"]
    security = container["securityContext"]
    page = (MANIFESTS.parent / "docs/permissions.md").read_text()
    listed = page.partition("| capability |")[2].partition("\n\n")[0]
    assert security["capabilities"]["drop"] == ["ALL"]
    assert set(security["capabilities"]["add"]) == set(re.findall(r"`([A-Z_]+)`", listed))
    assert security["readOnlyRootFilesystem"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    of_host = {volume["name"] for volume in pod["volumes"] if "hostPath" in volume}
    assert all(mount["readOnly"] for mount in container["volumeMounts"] if mount["name"] in of_host)


def test_secrets_are_never_read() -> None:
    for role in roles(build(MANIFESTS / "overlays/all-namespaces")):
        assert not any("secrets" in rule["resources"] for rule in rules(role))


def test_config_maps_are_read_only_where_sources_are_and_that_of_cilium() -> None:
    objects = build(MANIFESTS / "base")
    found = {
        role["metadata"]["name"]: rule
        for role in roles(objects)
        for rule in rules(role)
        if "configmaps" in rule["resources"]
    }
    assert found.keys() == {"datapath-probe-agent-exec", "datapath-probe-source-exec"}
    assert found["datapath-probe-agent-exec"]["resourceNames"] == ["cilium-config"]
    assert found["datapath-probe-source-exec"]["verbs"] == ["get"]
    assert bindings(objects, "datapath-probe-source-exec") == []


def test_the_base_allows_no_pod_as_source() -> None:
    assert bindings(build(MANIFESTS / "base"), "datapath-probe-source-exec") == []


def test_only_an_overlay_allows_all_pods_as_sources() -> None:
    assert bindings(build(MANIFESTS / "overlays/all-namespaces"), "datapath-probe-source-exec") == [
        ("ClusterRoleBinding", "")
    ]


def test_the_demo_allows_the_pods_of_its_namespace_as_sources() -> None:
    assert bindings(build(MANIFESTS / "demo"), "datapath-probe-source-exec") == [("RoleBinding", "default")]


def test_every_binding_refers_to_the_operator_and_an_existing_role() -> None:
    installed = build(MANIFESTS / "overlays/all-namespaces")
    known = {role["metadata"]["name"] for role in roles(installed)}
    every = of_kind(installed, "RoleBinding") + of_kind(installed, "ClusterRoleBinding")
    for binding in [*every, *of_kind(build(MANIFESTS / "demo"), "RoleBinding")]:
        assert binding["roleRef"]["name"] in known
        [subject] = binding["subjects"]
        account = named(installed, "ServiceAccount", subject["name"])
        assert account["metadata"]["namespace"] == subject["namespace"]


def test_the_namespace_of_cilium_is_set_in_one_place() -> None:
    usual, moved = build(MANIFESTS / "base"), build(MANIFESTS / "overlays/cilium-namespace")
    differences = [(a, b) for a, b in zip(sorted_(usual), sorted_(moved), strict=True) if a != b]
    assert [after["kind"] for _, after in differences] == [
        "Deployment",
        "Role",
        "RoleBinding",
        "ValidatingAdmissionPolicy",
    ]
    for before, after in differences:
        assert "kube-system" in str(before)
        assert str(after) == str(before).replace("kube-system", "cilium")


def sorted_(objects: tuple[Object, ...]) -> list[Object]:
    return sorted(objects, key=lambda one: (one["kind"], one["metadata"]["name"]))
