"""Where the soak takes place: its pods, its probes, and the operator, which keeps the evidence of its runs.

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
from lab.cluster import Lab

MANIFESTS = Path(__file__).parent / "manifests"
NAMESPACE = "soak"
SHIPS = ("xwing-0", "tiefighter-0")
STEADY = (*SHIPS, "outpost-near-0", "outpost-far-0")
DEATHSTARS = ("deathstar-0", "deathstar-1")
INTERVAL_S = 2
REQUEST_TIMEOUT_S = 10
"""All of the churn is on one machine: an application that answers late there is not broken."""
_STARTS_S = 180.0
_EVIDENCE = "/evidence"
_DEPLOYMENT = f"/apis/apps/v1/namespaces/{operator_deploy.NAMESPACE}/deployments/datapath-probe"


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that the others need."""

    lab: Lab
    api: Api
    galaxy: Galaxy
    operator: Operator

    def wait_ready(self, timeout_s: float = _STARTS_S) -> None:
        """All pods run, wherever they are."""

        def unready() -> list[str]:
            pods = {name: self.api.get(pod_path(NAMESPACE, name)) for name in (*STEADY, *DEATHSTARS)}
            return [name for name, pod in pods.items() if pod is None or not is_ready(pod)]

        until("all pods are ready", lambda: not unready(), timeout_s, otherwise=unready)

    def wait_at_rest(self) -> None:
        """Nothing has just been started. On a busy machine that may take a while."""

        def at_rest() -> bool:
            try:
                self.galaxy.wait_at_rest()
            except (AssertionError, HTTPError):
                return False
            return True

        until("the cluster is at rest", at_rest, 3 * _STARTS_S)

    def ships(self) -> list[Object]:
        """The pods in which curl runs."""
        return [pod for name in SHIPS if (pod := self.api.get(pod_path(NAMESPACE, name)))]

    def left_behind(self) -> list[str]:
        """What was started by exec in agents and ships and still runs."""
        in_ships = (
            processes.started_by_exec(
                self.lab, pod["spec"]["nodeName"], processes.container(pod, "spaceship")
            )
            for pod in self.ships()
        )
        return [*processes.in_agents(self.lab), *(line for lines in in_ships for line in lines)]


def deploy(lab: Lab, api: Api) -> Scene:
    """Pods and operator, ready."""
    lab.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(MANIFESTS))
    scene = Scene(lab, api, Galaxy(lab, api, NAMESPACE), operator_deploy.deploy(lab, api))
    _keep_evidence(scene)
    scene.wait_ready()
    return scene


def create_probes(scene: Scene) -> list[Probe]:
    """Same node and cross node to where nothing changes, to a pod and to a Service that are rolled out."""
    probes = Probes(scene.api, NAMESPACE)
    service = {"service": {"name": "deathstar", "port": 80}}
    wanted = {
        "near": ("xwing-0", _pod("outpost-near-0")),
        "far": ("xwing-0", _pod("outpost-far-0")),
        "star": ("tiefighter-0", _pod("deathstar-0")),
        "service": ("xwing-0", service),
        "service-back": ("tiefighter-0", service),
    }
    for old in scene.api.items(probes_path(NAMESPACE)):  # the lab may have seen a soak before
        Probe(scene.api, NAMESPACE, old["metadata"]["name"]).delete()
    made = [probes.create(name, _spec(ship, to)) for name, (ship, to) in wanted.items()]
    for probe in made:
        probe.wait_for("Healthy", _STARTS_S)
    return made


def evidence_folder(pod: Object) -> str:
    """Where the operator's pod keeps the evidence of its runs, as a path on its node."""
    return f"/var/lib/kubelet/pods/{pod['metadata']['uid']}/volumes/kubernetes.io~empty-dir/evidence"


def _pod(name: str) -> Object:
    return {"pod": {"name": name, "port": 80}}


def _spec(ship: str, destination: Object) -> Object:
    return {
        "schedule": {"interval": f"{INTERVAL_S}s"},
        "source": {"pod": ship},
        "destination": destination,
        "request": {**LANDING, "timeout": f"{REQUEST_TIMEOUT_S}s"},
        "expect": {"bodyContains": "Ship landed"},
        "history": {"limit": 50},
    }


def _keep_evidence(scene: Scene) -> None:
    """Have the operator save its runs: a false alarm is to be looked at."""
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
