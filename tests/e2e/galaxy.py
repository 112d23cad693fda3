"""The pods that the e2e tests probe (manifests/galaxy), in their current state.

In: names. Out: node, address, endpoint and identity of a pod. Used by the tests and by `faults`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from datapath_probe.diagnose.run.windows import DEFAULT, Windows
from e2e.api import Api, Object, is_ready, pod_path
from e2e.waiting import until
from lab.cluster import Lab

MANIFESTS = Path(__file__).parent / "manifests/galaxy"
NAMESPACE = "e2e"
DEATHSTARS = "class=deathstar"
PODS = 5
NOT_ADDED = "class!=host"
"""Without the pods that some tests add in the host's network."""
START_S = 60.0

_AGENTS = "/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app=cilium"


@dataclass(frozen=True, slots=True)
class Pod:
    """A running pod. `ip`: of the galaxy's version of IP. `endpoint`: number of its Cilium endpoint on `node`."""

    namespace: str
    name: str
    node: str
    ip: str
    endpoint: int
    identity: int


@dataclass(frozen=True, slots=True)
class Galaxy:
    """One namespace of pods. `windows`: those of the operator that probes them. `ip_version`: of the addresses of pods
    and Services that are looked up.
    """

    lab: Lab
    api: Api
    namespace: str = NAMESPACE
    windows: Windows = DEFAULT
    ip_version: int = 4

    def address(self, listed: list[str]) -> str:
        """The one of the galaxy's version of IP."""
        return next(ip for ip in listed if ip_address(ip).version == self.ip_version)

    def wait_ready(self) -> None:
        """Wait until all pods are ready."""
        until("two deathstars and all ships are ready", self._ready, START_S, otherwise=self._phases)

    def wait_at_rest(self) -> None:
        """Wait until all transition windows have passed: later failures are not attributed to a transition."""
        until("all transition windows have passed", self._at_rest, START_S, otherwise=self._phases)

    def pod(self, name: str) -> Pod:
        """A running pod. Fails the test if there is none, or if it has no CiliumEndpoint."""
        pod = self.api.get(pod_path(self.namespace, name))
        path = f"/apis/cilium.io/v2/namespaces/{self.namespace}/ciliumendpoints/{name}"
        endpoint = self.api.get(path)
        assert pod is not None, f"there is no pod {name}"
        assert endpoint is not None, f"pod {name} has no CiliumEndpoint"
        return Pod(
            namespace=self.namespace,
            name=name,
            node=pod["spec"]["nodeName"],
            ip=self.address([entry["ip"] for entry in pod["status"]["podIPs"]]),
            endpoint=endpoint["status"]["id"],
            identity=endpoint["status"]["identity"]["id"],
        )

    def near(self, ship: str) -> Pod:
        """The deathstar on the ship's node."""
        return next(star for star in self._deathstars() if star.node == self.pod(ship).node)

    def far(self, ship: str) -> Pod:
        """The deathstar on the other node."""
        return next(star for star in self._deathstars() if star.node != self.pod(ship).node)

    def has_deathstars(self) -> bool:
        """Whether there is any, including terminating ones."""
        return bool(self._list(f"?labelSelector={DEATHSTARS}"))

    def sh(self, pod: str, command: str) -> str:
        """stdout of a shell command in a pod."""
        return self.lab.kubectl("exec", "-n", self.namespace, pod, "--", "sh", "-c", command)

    def _deathstars(self) -> list[Pod]:
        return [self.pod(pod["metadata"]["name"]) for pod in self._list(f"?labelSelector={DEATHSTARS}")]

    def _ready(self) -> bool:
        pods = self._list(f"?labelSelector={NOT_ADDED}")
        return len(pods) == PODS and all(map(is_ready, pods))

    def _at_rest(self) -> bool:
        windows = self.windows
        pods_at_rest_s = max(windows.pod_starting_s, windows.endpoints_spreading_s)
        agents_s = _youngest_s(self.api.items(_AGENTS))
        return _youngest_s(self._list()) > pods_at_rest_s and agents_s > windows.agent_starting_s

    def _phases(self) -> dict[str, str]:
        return {pod["metadata"]["name"]: pod["status"].get("phase", "") for pod in self._list()}

    def _list(self, query: str = "") -> list[Object]:
        return self.api.items(f"/api/v1/namespaces/{self.namespace}/pods{query}")


def _youngest_s(pods: list[Object]) -> float:
    """The age of the youngest container; 0 unless all run."""
    states = [status["state"] for pod in pods for status in pod["status"].get("containerStatuses", ())]
    if not all("running" in state for state in states):
        return 0.0
    youngest = max(datetime.fromisoformat(state["running"]["startedAt"]) for state in states)
    return (datetime.now(UTC) - youngest).total_seconds()


def deploy(
    lab: Lab, api: Api, manifests: Path = MANIFESTS, windows: Windows = DEFAULT, ip_version: int = 4
) -> Galaxy:
    """The galaxy, ready."""
    lab.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(manifests))
    galaxy = Galaxy(lab, api, windows=windows, ip_version=ip_version)
    galaxy.wait_ready()
    return galaxy


def delete_pods(lab: Lab, api: Api, namespace: str = NAMESPACE) -> None:
    """Delete all pods and wait. `kubectl delete --wait` can hang if a StatefulSet recreates a pod."""

    def uids() -> set[str]:
        return {pod["metadata"]["uid"] for pod in api.items(f"/api/v1/namespaces/{namespace}/pods")}

    old = uids()
    lab.kubectl("delete", "pods", "-n", namespace, "--all", "--now", "--wait=false")
    until("the old pods are gone", lambda: not old & uids(), START_S)
