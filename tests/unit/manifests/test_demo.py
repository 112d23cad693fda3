"""The Star Wars demo: every name in it refers to an existing object."""

from datapath_probe.api.probe import Probe
from kustomize import MANIFESTS, Object, build, named, of_kind


def demo() -> tuple[Object, ...]:
    return build(MANIFESTS / "demo")


def probes() -> dict[str, Probe]:
    read = {}
    for one in of_kind(demo(), "DatapathProbe"):
        probe = Probe.from_object({**one, "metadata": {**one["metadata"], "uid": "u", "generation": 1}})
        assert isinstance(probe, Probe), probe.message
        read[probe.meta.name] = probe
    return read


def deathstars() -> set[str]:
    stateful_set = named(demo(), "StatefulSet", "deathstar")
    return {f"deathstar-{ordinal}" for ordinal in range(stateful_set["spec"]["replicas"])}


def test_there_are_five_probes() -> None:
    assert set(probes()) == {
        *("same-node", "cross-node", "service-from-tiefighter", "service-from-xwing", "exhaust-port")
    }


def test_sources_and_destinations_exist_in_the_probes_namespace() -> None:
    ships = {pod["metadata"]["name"] for pod in of_kind(demo(), "Pod")}
    for probe in probes().values():
        assert probe.spec.source.pod in ships
        destination = probe.spec.destination
        if destination.pod:
            assert destination.pod.name in deathstars()
        if destination.service:
            service = named(demo(), "Service", destination.service.name)
            assert destination.service.port in (80, "http")
            assert {"name": "http", "port": 80, "targetPort": "http"} in service["spec"]["ports"]


def test_everything_is_in_one_namespace() -> None:
    assert {one["metadata"]["namespace"] for one in demo()} == {"default"}


def test_the_ships_run_on_the_nodes_that_the_probes_expect() -> None:
    def colocated(ship: str) -> str:
        [term] = named(demo(), "Pod", ship)["spec"]["affinity"]["podAffinity"][
            "requiredDuringSchedulingIgnoredDuringExecution"
        ]
        deathstar: str = term["labelSelector"]["matchLabels"]["statefulset.kubernetes.io/pod-name"]
        return deathstar

    assert {colocated("tiefighter"), colocated("xwing")} == deathstars()
    for probe in probes().values():
        path, pod = probe.spec.expect.path, probe.spec.destination.pod
        if path and pod:
            near = colocated(probe.spec.source.pod or "") == pod.name
            assert path.locality == ("SameNode" if near else "CrossNode")


def test_deathstars_run_on_different_nodes() -> None:
    template = named(demo(), "StatefulSet", "deathstar")["spec"]["template"]
    [term] = template["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


def test_the_broken_probe_requests_a_port_without_a_listener() -> None:
    [container] = named(demo(), "StatefulSet", "deathstar")["spec"]["template"]["spec"]["containers"]
    destination = probes()["exhaust-port"].spec.destination.pod
    assert destination
    assert destination.port not in {port["containerPort"] for port in container["ports"]}


def test_the_lab_needs_no_registry() -> None:
    lab = build(MANIFESTS / "demo/overlays/lab")
    templates = [pod["spec"] for pod in of_kind(lab, "Pod")]
    templates += [one["spec"]["template"]["spec"] for one in of_kind(lab, "StatefulSet")]
    assert {container["image"] for spec in templates for container in spec["containers"]} == {"lab/app:1"}
