"""The scene of a fault: a ship, deathstars on its node and on another, Services, and probes from the ship to each.

Deployed once per lab, not on the control-plane node: a fault between the pods' nodes does not disconnect an agent.
In: a lab. Out: current names and addresses of pods and nodes. Used by injectors, catalog and bench.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Self

from e2e.api import Api, Object, Refused, is_ready, pod_path
from e2e.galaxy import NAMESPACE, Galaxy, Pod, delete_pods, deploy
from e2e.probes import Probe, Probes, probes_path
from e2e.specs import LANDING, landing, secure, to_pod
from e2e.waiting import until
from faults.inject import devices, maps
from faults.inject.endpoint_slices import SLICES, endpoint_slice
from faults.modes import Mode
from lab import outside
from lab.cluster import Lab
from lab.settings import OUTSIDE_IP

MANIFESTS = Path(__file__).parent / "manifests"
CONTROL_PLANE = "node1"
SHIP = "xwing"
SHIP_ON_FAR_NODE = "tiefighter"
HOST = "shuttle"
"""A pod in the host's network, on the ship's node."""
OUTPOST = "outpost"
"""A Service with one backend, the deathstar far from the ship."""
LOCAL = "hangar"
"""A Service with `internalTrafficPolicy: Local` and one backend, the deathstar near the ship."""
BOTH = "deathstar"
"""The Service of both deathstars."""
ABROAD = "abroad"
"""A Service without a selector."""
HEALTH_PORT = 4240
"""The health port of Cilium agents, in the host network."""
_COREDNS = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
_STABLE_TIMEOUT_S = 120.0


class Target(StrEnum):
    """The destination of the probe."""

    FAR = "far"
    NEAR = "near"
    SERVICE = "service"
    BOTH = "both"
    LOCAL = "local"
    ABROAD = "abroad"
    OUTSIDE = "outside"
    OUTSIDE_NAME = "outside-name"
    NODE_PORT = "node-port"
    HOST = "host"
    OWN_HOST = "own-host"
    FROM_HOST_TO_FAR = "far-from-host"
    FROM_HOST_TO_NEAR = "near-from-host"
    LARGE = "large"
    FULL_REQUEST = "full-request"
    FULL_ANSWER = "full-answer"
    QUICK = "quick"
    TLS = "tls"
    TCP = "tcp"


_SERVICES = {Target.SERVICE: OUTPOST, Target.BOTH: BOTH, Target.LOCAL: LOCAL}
# Bytes that are echoed: a request of several packets; or a request or a response (longer: in base64) that fills exactly
# one packet, so that segmentation offload does not split it.
_ECHOES = {Target.LARGE: 4000, Target.FULL_REQUEST: 1180, Target.FULL_ANSWER: 820}
_REQUESTS: Mapping[Target, Object] = {
    **{
        target: {
            "request": {"method": "POST", "path": "/echo", "timeout": "2s", "body": "x" * size},
            "expect": {},
        }
        for target, size in _ECHOES.items()
    },
    Target.QUICK: {"request": {**LANDING, "timeout": "5s"}, "expect": {"maxLatency": "1500ms"}},
    Target.TCP: {"request": {"protocol": "TCP", "timeout": "2s"}, "expect": {}},
}


@dataclass(frozen=True)
class Scene:
    """Everything that injectors need. Looked up on first use: create a new one for each fault."""

    lab: Lab
    api: Api
    galaxy: Galaxy
    mode: Mode

    @cached_property
    def ship(self) -> Pod:
        """The source."""
        return self.galaxy.pod(SHIP)

    @cached_property
    def far(self) -> Pod:
        """The deathstar on the other node."""
        return self.galaxy.far(SHIP)

    @cached_property
    def near(self) -> Pod:
        """The deathstar on the ship's node."""
        return self.galaxy.near(SHIP)

    @cached_property
    def on_far_node(self) -> Pod:
        """Another ship, on the node of the far deathstar."""
        return self.galaxy.pod(SHIP_ON_FAR_NODE)

    @property
    def source(self) -> str:
        """The ship's node."""
        return self.ship.node

    @property
    def destination(self) -> str:
        """The node of the far deathstar."""
        return self.far.node

    def node_ip(self, node: str) -> str:
        """A node's address."""
        return self.lab.node(node).ip

    def pod_cidr(self, node: str) -> str:
        """The range of the addresses of a node's pods."""
        found = self.api.get(f"/apis/cilium.io/v2/ciliumnodes/{node}")
        assert found is not None
        [cidr] = found["spec"]["ipam"]["podCIDRs"]
        return str(cidr)

    def lxc(self, pod: Pod) -> str:
        """The host end of a pod's veth pair."""
        return devices.lxc(self.lab, pod)

    @property
    def name_server_ip(self) -> str:
        """The ClusterIP of the cluster's DNS."""
        service = self.api.get("/api/v1/namespaces/kube-system/services/kube-dns")
        assert service is not None
        ip: str = service["spec"]["clusterIP"]
        return ip

    def service_ip(self, name: str) -> str:
        """The ClusterIP of one of the Services."""
        service = self.api.get(service_path(name))
        assert service is not None
        return self.galaxy.address(service["spec"]["clusterIPs"])

    def name_server_slot(self) -> maps.MapEntry:
        """Slot 0 of the cluster's DNS over TCP on the ship's node."""
        return maps.service_slot(self.lab, self.source, self.name_server_ip, 53, 0)

    def slot(self, name: str, number: int) -> maps.MapEntry:
        """A slot of a Service on the ship's node."""
        return maps.service_slot(self.lab, self.source, self.service_ip(name), 80, number)

    def node_port_slot(self, name: str, number: int) -> maps.MapEntry:
        """A slot of a Service's NodePort at the address of the ship's node."""
        service = self.api.get(service_path(name))
        assert service is not None
        port = service["spec"]["ports"][0]["nodePort"]
        return maps.service_slot(self.lab, self.source, self.node_ip(self.source), port, number)

    def slots_are(self, name: str, count: int) -> Callable[[], bool]:
        """Whether the master slot on the ship's node has this backend count."""
        slot = self.slot(name, 0)
        return lambda: int.from_bytes(slot.read()[4:6], "little") == count

    @classmethod
    def set_up(cls, lab: Lab, api: Api, mode: Mode) -> Self:
        """Create Services and new pods, ready. New, because a pod keeps the kind of route it was created with."""
        on_control_plane = {"nodeSelector": {"kubernetes.io/hostname": CONTROL_PLANE}}
        api.patch(_COREDNS, {"spec": {"template": {"spec": on_control_plane}}})
        delete_pods(lab, api)
        galaxy = deploy(lab, api, MANIFESTS, ip_version=6 if mode is Mode.IPV6 else 4)
        scene = cls(lab, api, galaxy, mode)
        scene._create_service(OUTPOST, scene.far, {"type": "NodePort"})
        scene._create_service(LOCAL, scene.near, {"internalTrafficPolicy": "Local"})
        scene._create_service(ABROAD, scene.far, {"selector": None})
        scene._list_outside()
        scene.wait_host_ready()
        return scene

    def _list_outside(self) -> None:
        """The host outside the cluster, listed by hand."""
        body = endpoint_slice(ABROAD, OUTSIDE_IP, outside.PORT)
        if self.api.get(f"{SLICES}/{body['metadata']['name']}") is None:
            self.api.create(SLICES, body)

    def wait_host_ready(self) -> None:
        """Wait until the pod in the host's network is ready."""
        path = pod_path(NAMESPACE, HOST)
        until(
            "the pod in the host's network is ready",
            lambda: is_ready(self.api.get(path) or {}),
            _STABLE_TIMEOUT_S,
        )

    def _create_service(self, name: str, pod: Pod, spec: Object) -> None:
        """Create a Service with one pod, unless it exists."""
        if self.api.get(service_path(name)) is not None:
            return
        one = {
            "selector": {"statefulset.kubernetes.io/pod-name": pod.name},
            "ports": [{"name": "http", "port": 80}],
            "ipFamilyPolicy": "PreferDualStack",
        }
        self.api.create(
            f"/api/v1/namespaces/{NAMESPACE}/services",
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": one | spec},
        )

    def wait_stable(self) -> None:
        """Wait until all nodes and system pods are ready and no agent has just started: the effects of a fault and its
        repair are over.
        """
        paths = ("/api/v1/nodes", "/api/v1/namespaces/kube-system/pods")
        until(
            "nodes and system pods are ready",
            lambda: all(is_ready(one) for path in paths for one in self.api.items(path)),
            _STABLE_TIMEOUT_S,
        )
        self.galaxy.wait_at_rest()

    def recreate_pods(self) -> None:
        """Recreate all pods, so that leftovers of one fault do not affect the next."""
        delete_pods(self.lab, self.api)
        deploy(self.lab, self.api, MANIFESTS)
        self.wait_host_ready()
        self.wait_stable()

    def probe(self, target: Target) -> Probe:
        """The probe from the ship to this target; created if missing."""
        name = f"{SHIP}-to-{target}"
        try:
            return Probes(self.api, NAMESPACE).create(name, self._spec(target))
        except Refused:  # it exists
            self.api.patch(f"{probes_path(NAMESPACE)}/{name}", {"spec": self._spec(target)})
            return Probe(self.api, NAMESPACE, name)

    def _spec(self, target: Target) -> Object:
        family = {"ipFamily": "IPv6"} if self.mode is Mode.IPV6 else {}
        return {**self._request(target), **family}

    def _request(self, target: Target) -> Object:
        far = to_pod(SHIP, self.far)
        if target in _REQUESTS:
            return {**far, **_REQUESTS[target]}
        if target is Target.TLS:
            return secure(SHIP, self.far)
        if target in _SERVICES:
            return landing(SHIP, {"service": {"name": _SERVICES[target], "port": 80}})
        match target:
            case Target.NEAR:
                return to_pod(SHIP, self.near)
            case Target.NODE_PORT:
                return landing(SHIP, {"service": {"name": OUTPOST, "port": 80, "frontend": "NodePort"}})
            case Target.FROM_HOST_TO_FAR | Target.FROM_HOST_TO_NEAR:
                return to_pod(HOST, self.far if target is Target.FROM_HOST_TO_FAR else self.near)
            case Target.ABROAD:
                return landing(SHIP, {"service": {"name": ABROAD, "port": 80}})
            case Target.OUTSIDE | Target.OUTSIDE_NAME:
                host = OUTSIDE_IP if target is Target.OUTSIDE else outside.HOST_NAME
                return landing(SHIP, {"address": {"host": host, "port": outside.PORT}})
            case Target.HOST | Target.OWN_HOST:
                return self._to_host(self.destination if target is Target.HOST else self.source)
            case _:
                return far

    def _to_host(self, node: str) -> Object:
        """To the agent of a node, in the host network."""
        agent = {"name": self.lab.agent_pod(node), "namespace": "kube-system", "port": HEALTH_PORT}
        request = {"method": "GET", "path": "/hello", "timeout": "2s"}
        return {"source": {"pod": SHIP}, "destination": {"pod": agent}, "request": request, "expect": {}}


def service_path(name: str) -> str:
    return f"/api/v1/namespaces/{NAMESPACE}/services/{name}"
