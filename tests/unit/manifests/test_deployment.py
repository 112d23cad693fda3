"""How the operator is deployed and exposed."""

from datapath_probe.cli.in_cluster import run
from datapath_probe.control.app import Options
from kustomize import MANIFESTS, Object, build, named, of_kind


def deployment() -> Object:
    return named(build(MANIFESTS / "base"), "Deployment", "datapath-probe")


def pod() -> Object:
    spec: Object = deployment()["spec"]["template"]["spec"]
    return spec


def container() -> Object:
    [only] = pod()["containers"]
    found: Object = only
    return found


def test_two_operators_never_run_at_the_same_time() -> None:
    assert deployment()["spec"]["replicas"] == 1
    assert deployment()["spec"]["strategy"] == {"type": "Recreate"}


def test_it_has_no_privileges() -> None:
    assert pod()["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "volumes"} & set(pod())


def test_its_memory_is_bounded() -> None:
    assert set(container()["resources"]["limits"]) == {"memory"}
    assert set(container()["resources"]["requests"]) == {"cpu", "memory"}


def test_restrictions_are_variables_that_the_operator_reads_and_off() -> None:
    settings = {one["name"]: one.get("value") for one in container()["env"]}
    restrictions = {option.envvar for option in run.params if (option.name or "").startswith("forbid_")}
    assert len(restrictions) == 4
    assert {name: value for name, value in settings.items() if name.startswith("FORBID_")} == dict.fromkeys(
        restrictions, "false"
    )


def test_metrics_and_health_have_a_port_each() -> None:
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    assert ports == {"http": Options().metrics_port, "health": Options().health_port}
    checks = {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    for check, path in checks.items():
        assert container()[check]["httpGet"] == {"path": path, "port": "health"}
    [service] = of_kind(build(MANIFESTS / "base"), "Service")
    assert [p["targetPort"] for p in service["spec"]["ports"]] == ["http"]
    [monitor] = of_kind(build(MANIFESTS / "monitoring"), "PodMonitor")
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["honorLabels"]) == ("http", True)


def test_only_labeled_namespaces_may_scrape_metrics_and_none_reaches_health() -> None:
    [policy] = of_kind(build(MANIFESTS / "base"), "NetworkPolicy")
    assert policy["metadata"]["namespace"] == deployment()["metadata"]["namespace"]
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    [rule] = policy["spec"]["ingress"]
    label = {"datapath-probe.dev/scrapes-metrics": "true"}
    assert rule == {
        "from": [{"namespaceSelector": {"matchLabels": label}}],
        "ports": [{"protocol": "TCP", "port": "http"}],
    }
    assert "datapath-probe.dev/scrapes-metrics=true" in (MANIFESTS.parent / "docs/permissions.md").read_text()


def test_selectors_find_the_operator() -> None:
    labels = deployment()["spec"]["template"]["metadata"]["labels"]
    [service] = of_kind(build(MANIFESTS / "base"), "Service")
    [monitor] = of_kind(build(MANIFESTS / "monitoring"), "PodMonitor")
    [policy] = of_kind(build(MANIFESTS / "base"), "NetworkPolicy")
    for selector in (
        deployment()["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        monitor["spec"]["selector"]["matchLabels"],
        policy["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
    assert monitor["metadata"]["namespace"] == deployment()["metadata"]["namespace"]


def test_on_a_control_plane_node_it_does_not_depend_on_the_datapath_of_pods() -> None:
    objects = build(MANIFESTS / "overlays/control-plane")
    placed = named(objects, "Deployment", "datapath-probe")["spec"]["template"]["spec"]
    assert placed["hostNetwork"] is True
    [control_plane] = placed["nodeSelector"]
    assert control_plane in [toleration["key"] for toleration in placed["tolerations"]]
    [namespace] = of_kind(objects, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"
    unchanged = {key: value for key, value in placed.items() if key in pod()}
    assert unchanged == pod()
