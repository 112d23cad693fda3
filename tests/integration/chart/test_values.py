"""What single values of the chart change, and which values it refuses."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from helm import CHART, VERSIONS, run, template
from kustomize import Object, named, of_kind
from lab.settings import KUBERNETES_VERSION

DIGEST = f"sha256:{'0f' * 32}"
IN_PARENT = "parent"


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def pod(version: str, **values: object) -> Object:
    deployment = named(template(version, values), "Deployment", "datapath-probe")
    found: Object = deployment["spec"]["template"]["spec"]
    return found


def container(version: str, **values: object) -> Object:
    [found] = pod(version, **values)["containers"]
    assert isinstance(found, dict)
    return found


def environment(version: str, **values: object) -> dict[str, str | None]:
    return {variable["name"]: variable.get("value") for variable in container(version, **values)["env"]}


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "datapath-probe:0.1.0"),
        ({"registry": "r.example.org:5000", "repository": "team/dpp"}, "r.example.org:5000/team/dpp:0.1.0"),
        ({"tag": "main", "digest": DIGEST}, f"datapath-probe:main@{DIGEST}"),
    ],
)
def test_the_image(version: str, image: Mapping[str, str], expected: str) -> None:
    assert container(version, image=image)["image"] == expected


def test_fields_of_the_pod_are_passed_as_they_are(version: str) -> None:
    fields: dict[str, Any] = {
        "imagePullSecrets": [{"name": "registry"}],
        "hostNetwork": True,
        "priorityClassName": "monitoring",
        "nodeSelector": {"node-role.kubernetes.io/control-plane": ""},
        "tolerations": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
        ],
    }
    assert not fields.keys() & pod(version).keys()
    assert fields.items() <= pod(version, **fields).items()


def test_labels_annotations_and_resources(version: str) -> None:
    values = {
        "podLabels": {"team": "network"},
        "podAnnotations": {"note": "1"},
        "resources": {"limits": {"memory": "1Gi"}},
    }
    deployment = named(template(version, values), "Deployment", "datapath-probe")
    metadata = deployment["spec"]["template"]["metadata"]
    assert metadata["labels"] == {"app.kubernetes.io/name": "datapath-probe", "team": "network"}
    assert metadata["annotations"] == {"note": "1"}
    assert "team" not in deployment["spec"]["selector"]["matchLabels"]
    requested = container(version, resources=values["resources"])["resources"]
    assert requested == {"limits": {"memory": "1Gi"}, "requests": {"cpu": "50m", "memory": "128Mi"}}


def test_options_arguments_and_variables_reach_the_operator(version: str) -> None:
    options = {
        "forbidHostNetwork": True,
        "denyAddresses": ["10.0.0.0/8", "fd00::/8"],
        "namespaces": ["shop"],
        "maxRequestsInFlight": 10000,
    }
    extra = [{"name": "TZ", "value": "UTC"}]
    found = container(version, options=options, extraArgs=["--log-level=DEBUG"], extraEnv=extra)
    assert found["args"] == ["run", "--log-level=DEBUG"]
    usual = environment(version)
    assert environment(version, options=options, extraEnv=extra) == usual | {
        "FORBID_HOST_NETWORK": "true",
        "DENY_ADDRESSES": "10.0.0.0/8 fd00::/8",
        "NAMESPACES": "shop",
        "MAX_REQUESTS_IN_FLIGHT": "10000",
        "TZ": "UTC",
    }


def test_ports_are_those_that_the_operator_listens_on(version: str) -> None:
    options = {"metricsPort": 9080, "healthPort": 9081}
    ports = {port["name"]: port["containerPort"] for port in container(version, options=options)["ports"]}
    assert ports == {"http": 9080, "health": 9081}
    [port] = named(template(version, {"options": options}), "Service", "datapath-probe")["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (8080, "http")


def test_evidence_is_kept_on_a_volume_that_the_operator_can_write(version: str) -> None:
    claim = {"persistentVolumeClaim": {"claimName": "evidence"}}
    for given, volume in (
        ({}, {"emptyDir": {"sizeLimit": "1200Mi"}}),
        ({"volume": {"emptyDir": None, **claim}}, claim),
    ):
        evidence = {"save": True, **given}
        made = pod(version, evidence=evidence)
        assert made["volumes"] == [{"name": "evidence", **volume}]
        assert made["securityContext"]["fsGroup"] == made["securityContext"]["runAsUser"]
        assert container(version, evidence=evidence)["volumeMounts"] == [
            {"name": "evidence", "mountPath": "/evidence"}
        ]
        assert environment(version, evidence=evidence)["SAVE_EVIDENCE"] == "/evidence"
    assert "SAVE_EVIDENCE" not in environment(version)


def test_the_crd_is_kept_unless_a_value_says_otherwise(version: str) -> None:
    [crd] = of_kind(template(version), "CustomResourceDefinition")
    assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    [crd] = of_kind(template(version, {"crds": {"keep": False}}), "CustomResourceDefinition")
    assert "annotations" not in crd["metadata"]
    assert not of_kind(template(version, {"crds": {"install": False}}), "CustomResourceDefinition")


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        ({"rbac": {"create": False}}, {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}),
        (
            {"admissionPolicies": {"exec": False, "author": False}},
            {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"},
        ),
        ({"networkPolicy": {"enabled": False}}, {"NetworkPolicy"}),
    ],
)
def test_parts_can_be_left_out(version: str, values: Mapping[str, Any], kinds: set[str]) -> None:
    usual, made = template(version), template(version, values)
    assert {one["kind"] for one in usual} - {one["kind"] for one in made} == kinds


def test_each_admission_policy_can_be_left_out(version: str) -> None:
    made = template(version, {"admissionPolicies": {"author": False}})
    assert {one["metadata"]["name"] for one in of_kind(made, "ValidatingAdmissionPolicy")} == {
        "datapath-probe-exec"
    }


def test_no_peer_may_connect_if_none_is_named(version: str) -> None:
    policy = named(template(version, {"networkPolicy": {"from": []}}), "NetworkPolicy", "datapath-probe")
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    assert "ingress" not in policy["spec"]


def test_a_service_monitor_scrapes_as_the_pod_monitor_does(version: str) -> None:
    chosen = {"enabled": True, "interval": "30s", "labels": {"release": "prometheus"}}
    made = template(version, {"podMonitor": chosen, "serviceMonitor": chosen})
    [by_pod], [by_service] = of_kind(made, "PodMonitor"), of_kind(made, "ServiceMonitor")
    assert by_service["spec"]["endpoints"] == by_pod["spec"]["podMetricsEndpoints"]
    assert by_service["spec"]["endpoints"][0]["interval"] == "30s"
    assert by_service["metadata"]["labels"] == by_pod["metadata"]["labels"]
    assert by_service["metadata"]["labels"]["release"] == "prometheus"
    service = named(made, "Service", "datapath-probe")
    assert by_service["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()


def test_each_dashboard_is_a_config_map(version: str, tmp_path: Path) -> None:
    values = {"dashboards": {"enabled": True, "annotations": {"grafana_folder": "Network"}}}
    chart = Path(shutil.copytree(CHART, tmp_path / "chart"))
    for file in (chart / "dashboards").glob("*.json"):
        file.unlink()
    assert of_kind(template(version, values, chart), "ConfigMap") == []
    dashboard = {"title": "Fleet", "panels": [{"legendFormat": "{{probe}}"}]}
    (chart / "dashboards/fleet.json").write_text(json.dumps(dashboard, indent=2))
    [made] = of_kind(template(version, values, chart), "ConfigMap")
    assert made["metadata"]["name"] == "datapath-probe-dashboard-fleet"
    assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert made["metadata"]["annotations"] == {"grafana_folder": "Network"}
    assert json.loads(made["data"]["fleet.json"]) == dashboard
    assert of_kind(template(version, chart=chart), "ConfigMap") == []


def test_every_object_has_the_labels_of_its_release_and_names_do_not_depend_on_it(version: str) -> None:
    values = {"sources": {"allNamespaces": True, "namespaces": ["shop"]}, "podMonitor": {"enabled": True}}
    for one in template(version, values):
        assert one["metadata"]["name"].startswith("datapath")
        assert {
            "app.kubernetes.io/name": "datapath-probe",
            "app.kubernetes.io/instance": "release",
            "app.kubernetes.io/managed-by": "Helm",
        }.items() <= one["metadata"]["labels"].items()


@pytest.mark.parametrize(
    "values",
    [
        {"image": {"repositry": "x"}},
        {"optoins": {}},
        {"options": {"forbidHostNetworks": True}},
        {"options": {"forbidHostNetwork": "yes"}},
        {"image": {"digest": "sha256:12"}},
        {"resources": {"limit": {}}},
        {"sources": {"namespaces": "shop"}},
        {"tolerations": [{"effect": "NoRun"}]},
    ],
)
def test_a_typo_is_refused(version: str, values: Mapping[str, Any]) -> None:
    rendered = run(version, "template", "x", CHART, "--kube-version", KUBERNETES_VERSION, values=values)
    assert rendered.returncode != 0
    assert "values don't meet the specifications of the schema" in rendered.stderr


def test_it_can_be_part_of_another_chart(version: str, tmp_path: Path) -> None:
    """helm gives charts of a chart the value `global`."""
    (tmp_path / "Chart.yaml").write_text(
        yaml.safe_dump({"apiVersion": "v2", "name": IN_PARENT, "version": "1.0.0"})
    )
    shutil.copytree(CHART, tmp_path / "charts/datapath-probe")
    values = {"global": {"imageRegistry": "x"}, "datapath-probe": {"cilium": {"namespace": "cilium"}}}
    assert (
        named(template(version, values, tmp_path), "Role", "datapath-probe-agent-exec")["metadata"][
            "namespace"
        ]
        == "cilium"
    )


def test_an_old_cluster_is_refused(version: str) -> None:
    rendered = run(version, "template", "x", CHART, "--kube-version", "1.29.0")
    assert rendered.returncode != 0
    assert "incompatible with Kubernetes v1.29.0" in rendered.stderr


def test_it_passes_lint(version: str) -> None:
    everything = {
        name: {"enabled": True} for name in ("podMonitor", "serviceMonitor", "prometheusRule", "dashboards")
    }
    for values in ({}, everything):
        linted = run(version, "lint", "--strict", CHART, "--kube-version", KUBERNETES_VERSION, values=values)
        assert linted.returncode == 0, linted.stdout
