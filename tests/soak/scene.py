"""The scene of the soak test: pods, probes, and the operator, which saves the evidence of its runs.

In: a lab. Out: the scene. Called by `__main__`.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from urllib3.exceptions import HTTPError

from e2e import operator_deploy, processes
from e2e.api import Api, Object, is_ready, pod_path
from e2e.galaxy import Galaxy
from e2e.operator_deploy import Operator
from e2e.probes import Probe, Probes, probes_path
from e2e.specs import LANDING
from e2e.waiting import until
from lab import outside
from lab.cluster import Lab

MANIFESTS = Path(__file__).parent / "manifests"
NAMESPACE = "soak"
STEADY = ("xwing-0", "tiefighter-0", "outpost-near-0", "outpost-far-0")
DEATHSTARS = ("deathstar-0", "deathstar-1")
INTERVAL_S = 2
REQUEST_TIMEOUT_S = 10
"""All churn is on one machine: a slow response there is not a fault."""
_START_TIMEOUT_S = 180.0
_EVIDENCE = "/evidence"
_DEPLOYMENT = f"/apis/apps/v1/namespaces/{operator_deploy.NAMESPACE}/deployments/datapath-probe"


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that the other modules need."""

    lab: Lab
    api: Api
    galaxy: Galaxy
    operator: Operator

    def wait_ready(self, timeout_s: float = _START_TIMEOUT_S) -> None:
        """Wait until all pods are ready."""

        def unready() -> list[str]:
            pods = {name: self.api.get(pod_path(NAMESPACE, name)) for name in (*STEADY, *DEATHSTARS)}
            return [name for name, pod in pods.items() if pod is None or not is_ready(pod)]

        until("all pods are ready", lambda: not unready(), timeout_s, otherwise=unready)

    def wait_at_rest(self) -> None:
        """Wait until all transition windows have passed, which takes longer on a busy machine."""

        def at_rest() -> bool:
            try:
                self.galaxy.wait_at_rest()
            except (AssertionError, HTTPError):
                return False
            return True

        until("all transition windows have passed", at_rest, 3 * _START_TIMEOUT_S)

    def ships(self) -> list[Object]:
        """The pods in which curl runs."""
        return self.api.items(f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=ship")

    def exec_processes(self) -> list[str]:
        """Running processes that were started by exec in agents and ships."""
        in_ships = (
            processes.started_by_exec(
                self.lab, pod["spec"]["nodeName"], processes.container(pod, "spaceship")
            )
            for pod in self.ships()
        )
        return [*processes.in_agents(self.lab), *(line for lines in in_ships for line in lines)]


def deploy(lab: Lab, api: Api) -> Scene:
    """Deploy pods and operator and wait until they are ready."""
    lab.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(MANIFESTS))
    scene = Scene(lab, api, Galaxy(lab, api, NAMESPACE), operator_deploy.deploy(lab, api))
    _save_evidence(scene)
    scene.wait_ready()
    return scene


def create_probes(scene: Scene) -> list[Probe]:
    """Probes of every kind: from stable pods and from a Deployment with roll-outs; to stable pods on the same and on
    another node, to a pod, a Service and a workload with roll-outs, and out of the cluster.
    """
    probes = Probes(scene.api, NAMESPACE)
    xwing, tiefighter = {"pod": "xwing-0"}, {"pod": "tiefighter-0"}
    fleet = {"workload": {"kind": "Deployment", "name": "fleet"}}
    service = {"service": {"name": "deathstar", "port": 80}}
    stars = {"workload": {"kind": "StatefulSet", "name": "deathstar", "port": 80}}
    wanted = {
        "near": _landing(xwing, _pod("outpost-near-0")),
        "far": _landing(xwing, _pod("outpost-far-0")),
        "star": _landing(tiefighter, _pod("deathstar-0")),
        "service": _landing(xwing, service),
        "service-back": _landing(tiefighter, service),
        "each": _landing(xwing, {**service, "backends": "Each"}),
        "one": _landing(fleet, service),
        "mesh": _landing({**fleet, "select": "OnePerNode"}, stars, interval_s=5),
        "connect": _spec(tiefighter, service, {"protocol": "TCP"}),
        "outside": _spec(
            xwing, {"address": {"host": outside.HOST_NAME, "port": outside.PORT}}, {"path": "/v1/"}
        ),
    }
    for old in scene.api.items(probes_path(NAMESPACE)):  # of an earlier soak test on this lab
        Probe(scene.api, NAMESPACE, old["metadata"]["name"]).delete()
    created = [probes.create(name, spec) for name, spec in wanted.items()]
    for probe in created:
        probe.wait_for("Healthy", _START_TIMEOUT_S)
    return created


def evidence_folder(pod: Object) -> str:
    """The evidence directory of the operator's pod, as a path on its node."""
    return f"/var/lib/kubelet/pods/{pod['metadata']['uid']}/volumes/kubernetes.io~empty-dir/evidence"


def _pod(name: str) -> Object:
    return {"pod": {"name": name, "port": 80}}


def _landing(source: Object, destination: Object, interval_s: int = INTERVAL_S) -> Object:
    spec = _spec(source, destination, LANDING, interval_s)
    return {**spec, "expect": {"bodyContains": "Ship landed"}}


def _spec(source: Object, destination: Object, request: Object, interval_s: int = INTERVAL_S) -> Object:
    return {
        "schedule": {"interval": f"{interval_s}s"},
        "source": source,
        "destination": destination,
        "request": {**request, "timeout": f"{REQUEST_TIMEOUT_S}s"},
        "history": {"limit": 50},
    }


def _save_evidence(scene: Scene) -> None:
    """Make the operator save its runs, to analyze false alarms."""
    deployment = scene.api.get(_DEPLOYMENT)
    assert deployment is not None
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    if _EVIDENCE in json.dumps(container["args"]):
        return
    container["args"] += ["--save-evidence", _EVIDENCE]
    container["volumeMounts"] = [{"name": "evidence", "mountPath": _EVIDENCE}]
    volumes = [{"name": "evidence", "emptyDir": {}}]
    changed = {"containers": [container], "volumes": volumes}
    scene.api.patch(_DEPLOYMENT, {"spec": {"template": {"spec": changed}}})
    namespace = ("-n", operator_deploy.NAMESPACE)
    scene.lab.kubectl("rollout", "status", "deployment/datapath-probe", *namespace, "--timeout=300s")
    scene.operator.wait_ready(300)
