"""Probes that select their pods: a mesh, every backend of a Service, and workloads that come, change and go."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e import faults
from e2e.api import Api, Object, is_ready
from e2e.operator_deploy import Operator
from e2e.probes import Probe, Probes, brief
from e2e.waiting import until
from faults.inject import maps
from lab.cluster import Lab
from lab.paths import CHECKOUT

NAMESPACE = "e2e-workloads"
MANIFESTS = Path(__file__).parent / "manifests/workloads"
WORKLOADS = ("daemonset/agent", "deployment/frontend", "deployment/backend")
REQUEST: Object = {"path": "/v1/", "timeout": "2s"}
BACKEND: Object = {"service": {"name": "backend", "port": "http"}}
ROLLOUT_S = 120


def workload(kind: str, name: str, **more: object) -> Object:
    return {"workload": {"kind": kind, "name": name, **more}}


@pytest.fixture(scope="module")
def workloads(lab: Lab, api: Api, operator: Operator) -> None:
    """The workloads, rolled out."""
    lab.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(MANIFESTS))
    for one in WORKLOADS:
        rolled_out(lab, one)


@pytest.fixture
def selecting(api: Api, workloads: None) -> Iterator[Probes]:
    made = Probes(api, NAMESPACE)
    yield made
    made.delete_all()


def rolled_out(lab: Lab, name: str) -> None:
    lab.kubectl("rollout", "status", "-n", NAMESPACE, name, f"--timeout={ROLLOUT_S}s")


def probe(selecting: Probes, name: str, source: Object, destination: Object, **spec: object) -> Probe:
    return selecting.create(name, {"source": source, "destination": destination, "request": REQUEST, **spec})


def pods(api: Api, app: str) -> list[Object]:
    path = f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app%3D{app}"
    return [pod for pod in api.items(path) if is_ready(pod)]


def ends(status: Object) -> set[tuple[str, str]]:
    """Source and destination pod of each path."""
    return {(path["source"]["pod"], path["destination"]["name"]) for path in status["paths"]}


def test_a_mesh_is_one_probe_and_names_the_pair_that_is_broken(lab: Lab, api: Api, selecting: Probes) -> None:
    mesh = probe(
        selecting,
        "mesh",
        {**workload("DaemonSet", "agent"), "select": "OnePerNode"},
        workload("DaemonSet", "agent", port=80),
        expect={"path": {"locality": "CrossNode"}},
    )
    status = mesh.settle()
    one, other = pods(api, "agent")
    names = one["metadata"]["name"], other["metadata"]["name"]
    assert ends(status) == {names, names[::-1]}
    assert status["source"] == f"{NAMESPACE}/ds/agent (2 pods)"
    assert status["destination"] == f"{NAMESPACE}/ds/agent:80 (2 pods)"
    assert status["pathCounts"] == {
        **dict.fromkeys(("degraded", "broken", "unknown", "notRun"), 0),
        "total": 2,
        "healthy": 2,
    }
    node, ip = one["spec"]["nodeName"], one["status"]["podIP"]
    with faults.deleted(maps.endpoint_entry(lab, node, ip)):
        status = mesh.run_now()
    assert status["verdict"] == "Broken", brief(status)
    # the path in the other direction needs the same entry, for its replies
    assert status["divergentHop"]["name"] in ("endpoint-lookup", "reply-delivery")
    assert status["divergentHop"]["node"] == node
    assert " of 2 paths broken" in status["summary"]
    mesh.settle()


def test_each_backend_is_requested_and_a_broken_one_is_named(lab: Lab, api: Api, selecting: Probes) -> None:
    each = probe(selecting, "each", workload("Deployment", "frontend"), {**BACKEND, "backends": "Each"})
    status = each.settle()
    backends = {pod["metadata"]["name"]: pod for pod in pods(api, "backend")}
    assert status["pathCounts"]["total"] == 1 + len(backends)
    assert {destination for _, destination in ends(status)} == set(backends)
    assert len({source for source, _ in ends(status)}) == 1
    assert status["destination"] == f"{NAMESPACE}/backend:http and 2 backends"
    broken = next(iter(backends.values()))
    node, ip = broken["spec"]["nodeName"], broken["status"]["podIP"]
    with faults.deleted(maps.endpoint_entry(lab, node, ip)):
        status = each.run_now()
    assert status["verdict"] == "Broken", brief(status)
    assert status["paths"][0]["destination"]["name"] == broken["metadata"]["name"]
    assert status["divergentHop"]["name"] == "endpoint-lookup"
    each.settle()


def test_rollouts_under_running_probes_are_no_false_alarm(
    lab: Lab, api: Api, operator: Operator, selecting: Probes
) -> None:
    every_second = {"schedule": {"interval": "1s"}}
    frontend = workload("Deployment", "frontend")
    running = {
        "one": probe(selecting, "one", frontend, BACKEND, **every_second),
        "all": probe(
            selecting,
            "all",
            {"selector": {"matchLabels": {"app": "frontend"}}, "select": "All"},
            workload("Deployment", "backend", port=80),
            **every_second,
        ),
        "each": probe(selecting, "rolled", frontend, {**BACKEND, "backends": "Each"}, **every_second),
    }
    for one in running.values():
        one.settle()
    [sender] = {source for source, _ in ends(running["one"].status())}
    before = {pod["metadata"]["name"] for pod in pods(api, "frontend")}
    for name in ("frontend", "backend"):
        lab.kubectl("rollout", "restart", "-n", NAMESPACE, f"deployment/{name}")
        rolled_out(lab, f"deployment/{name}")
    until(
        "the old pods are gone",
        lambda: not before & {p["metadata"]["name"] for p in pods(api, "frontend")},
        30,
    )
    for one in running.values():
        status = one.settle()
        assert sender not in {source for source, _ in ends(status)}, brief(status)
        verdicts = {
            verdict: operator.metrics().total(
                "datapath_probe_runs_total", namespace=NAMESPACE, probe=one.name, verdict=verdict
            )
            for verdict in ("Broken", "Degraded", "Healthy")
        }
        assert (verdicts["Broken"], verdicts["Degraded"]) == (0, 0), (one.name, status["history"])
        assert verdicts["Healthy"] > 0
        assert status["counters"]["failures"] == 0


def test_workloads_that_are_scaled_to_zero_or_do_not_exist_have_their_reasons(
    lab: Lab, selecting: Probes
) -> None:
    one = probe(selecting, "scaled", workload("Deployment", "frontend"), BACKEND)
    one.settle()
    lab.kubectl("scale", "-n", NAMESPACE, "deployment/frontend", "--replicas=0")
    try:
        status = one.run_until("NoSourcePods", lambda status: status.get("reason") == "NoSourcePods")
        assert status["verdict"] == "Unknown"
        assert status["source"] == f"{NAMESPACE}/deploy/frontend"
        assert ready(status) == ("True", "Scheduled")
    finally:
        lab.kubectl("scale", "-n", NAMESPACE, "deployment/frontend", "--replicas=2")
        rolled_out(lab, "deployment/frontend")
    assert one.settle()["source"] == f"{NAMESPACE}/deploy/frontend (1 of 2 pods)"
    absent = probe(selecting, "absent", workload("StatefulSet", "frontend"), BACKEND).run_now()
    assert (absent["verdict"], absent["reason"]) == ("Unknown", "SourceNotFound")
    assert ready(absent) == ("False", "SourceNotFound")
    unmatched = {"selector": {"matchLabels": {"app": "nothing"}}}
    assert probe(selecting, "unmatched", unmatched, BACKEND).run_now()["reason"] == "NoMatchingPods"


def ready(status: Object) -> tuple[str, str]:
    [found] = [condition for condition in status["conditions"] if condition["type"] == "Ready"]
    return found["status"], found["reason"]


@pytest.mark.parametrize("name", ["mesh-over-nodes", "frontend-to-every-backend"])
def test_the_api_server_takes_the_examples(lab: Lab, workloads: None, name: str) -> None:
    example = (CHECKOUT / f"manifests/examples/{name}.yaml").read_text()
    here = example.replace("namespace: shop", f"namespace: {NAMESPACE}")
    lab.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=here)
