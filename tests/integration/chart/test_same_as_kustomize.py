"""The chart and the kustomizations make the same objects: one says in values what the other says in overlays."""

import os
import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from helm import VERSIONS, Values, template
from kustomize import MANIFESTS, Object, build

HELM_LABELS = {
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
}
NAME = "app.kubernetes.io/name"
KEEP = {"helm.sh/resource-policy": "keep"}
TAG: Values = {"image": {"tag": "dev"}}
"""The tag that users of kustomize replace, too."""

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
NODE_AGENTS: Values = {"enabled": True, "image": {"tag": "dev"}}
SAME: Mapping[str, Values] = {
    "base": {},
    "overlays/all-namespaces": {"sources": {"allNamespaces": True}},
    "overlays/cilium-namespace": {"cilium": {"namespace": "cilium"}},
    "overlays/node-agents": {"nodeAgents": NODE_AGENTS},
    "overlays/only-node-agents": {"nodeAgents": {**NODE_AGENTS, "only": True}},
    "overlays/cert-manager": {
        "nodeAgents": {**NODE_AGENTS, "operatorCertificate": "datapath-probe-operator-tls"}
    },
    "overlays/control-plane": {
        "hostNetwork": True,
        "nodeSelector": {CONTROL_PLANE: ""},
        "tolerations": [{"key": CONTROL_PLANE, "operator": "Exists", "effect": "NoSchedule"}],
    },
}
"""Kustomization → values."""
ELSEWHERE = {"Namespace", "Certificate", "ClusterIssuer"}
"""What the chart leaves to others: helm creates the namespace, and issuers of cert-manager are those of its users."""

Named = dict[tuple[str, str, str], Object]


def named(objects: Iterable[Object]) -> Named:
    """Objects by kind, namespace and name, without what only helm adds, and without order where it means nothing."""
    return {
        (one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]): _compared(one)
        for one in objects
    }


def _compared(found: Object) -> Object:
    one = deepcopy(found)
    metadata = one["metadata"]
    labels = {name: text for name, text in metadata.get("labels", {}).items() if name not in HELM_LABELS}
    metadata["labels"] = {
        NAME: "datapath-probe",
        **labels,
    }  # the kustomization of the monitoring adds no labels
    if metadata.get("annotations") == KEEP:
        del metadata["annotations"]
    if one["kind"] == "Deployment":
        [container] = one["spec"]["template"]["spec"]["containers"]
        container["env"] = {variable.pop("name"): variable for variable in container["env"]}
    return one


def kustomized(folder: Path) -> Named:
    """Without what is elsewhere."""
    return named(one for one in build(folder) if one["kind"] not in ELSEWHERE)


def test_every_overlay_is_compared() -> None:
    assert {f"overlays/{folder.name}" for folder in (MANIFESTS / "overlays").iterdir()} == SAME.keys() - {
        "base"
    }


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folder", SAME)
def test_values_make_the_objects_of_a_kustomization(version: str, folder: str) -> None:
    objects = template(version, {**TAG, **SAME[folder]})
    made = named(one for one in objects if one["kind"] not in ELSEWHERE)
    expected = kustomized(MANIFESTS / folder)
    assert made.keys() == expected.keys()
    for key in expected:
        assert made[key] == expected[key]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_source_namespace_is_what_its_component_makes(version: str, tmp_path: Path) -> None:
    component = os.path.relpath(MANIFESTS / "source-namespace", tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(
        yaml.safe_dump({"namespace": "shop", "components": [component]})
    )
    assert added(version, {"sources": {"namespaces": ["shop"]}}) == kustomized(tmp_path)


@pytest.mark.parametrize("version", VERSIONS)
def test_monitoring_is_that_of_the_manifests(version: str) -> None:
    values = {"podMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}}
    assert added(version, values) == kustomized(MANIFESTS / "monitoring")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_policy_for_egress_is_the_documented_one(version: str) -> None:
    page = (MANIFESTS.parent / "docs/permissions.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    examples = [yaml.safe_load(block) for block in blocks if "CiliumNetworkPolicy" in block]
    assert examples
    assert added(version, {"networkPolicy": {"egressToApiServer": True}}) == named(examples)


def added(version: str, values: Mapping[str, Any]) -> Named:
    """What these values add to the objects of the default ones."""
    usual, made = named(template(version)), named(template(version, values))
    assert usual.items() <= made.items()
    return {key: found for key, found in made.items() if key not in usual}
