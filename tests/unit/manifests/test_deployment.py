"""How the operator is deployed and exposed."""

from datapath_probe.cli.main import run
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
    assert len(restrictions) == 3
    assert {name: value for name, value in settings.items() if name.startswith("FORBID_")} == dict.fromkeys(
        restrictions, "false"
    )


def test_health_readiness_and_metrics_share_the_port_http() -> None:
    [port] = container()["ports"]
    assert (port["name"], port["containerPort"]) == ("http", 8080)
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert container()[probe]["httpGet"] == {"path": path, "port": "http"}
    [service] = of_kind(build(MANIFESTS / "base"), "Service")
    assert [p["targetPort"] for p in service["spec"]["ports"]] == ["http"]
    [monitor] = of_kind(build(MANIFESTS / "monitoring"), "PodMonitor")
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["honorLabels"]) == ("http", True)


def test_selectors_find_the_operator() -> None:
    labels = deployment()["spec"]["template"]["metadata"]["labels"]
    [service] = of_kind(build(MANIFESTS / "base"), "Service")
    [monitor] = of_kind(build(MANIFESTS / "monitoring"), "PodMonitor")
    for selector in (
        deployment()["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        monitor["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
    assert monitor["metadata"]["namespace"] == deployment()["metadata"]["namespace"]
