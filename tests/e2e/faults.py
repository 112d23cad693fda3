"""Faults: each is a context in which something is broken; leaving it restores exactly what was there.

In: a galaxy, and the pods concerned. What is broken is the real thing: maps and programs in the kernel through the
agent's own bpftool, objects in the API server, processes in pods.
"""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from e2e.api import is_ready, pod_path
from e2e.galaxy import Galaxy, Pod
from e2e.waiting import until
from lab.cluster import Lab

_MAPS = "/sys/fs/bpf/tc/globals"


@dataclass(frozen=True, slots=True)
class MapEntry:
    """One entry of a pinned map on a node."""

    lab: Lab
    node: str
    map: str
    key: bytes

    def read(self) -> bytes:
        """The value. Raises LabError if there is no such entry."""
        found = json.loads(self._bpftool("lookup", "key", "hex", *_octets(self.key)))
        return bytes(int(octet, 16) for octet in found["value"])

    def write(self, value: bytes) -> None:
        self._bpftool("update", "key", "hex", *_octets(self.key), "value", "hex", *_octets(value))

    def delete(self) -> None:
        self._bpftool("delete", "key", "hex", *_octets(self.key))

    def _bpftool(self, verb: str, *words: str) -> str:
        pinned = f"{_MAPS}/{self.map}"
        return self.lab.agent_exec(self.node, "bpftool", "-j", "map", verb, "pinned", pinned, *words)


def ipcache_entry(lab: Lab, node: str, pod: Pod) -> MapEntry:
    """What a node's ipcache holds of a pod (/32): prefix length, cluster id, padding, family, address."""
    key = bytes.fromhex("40000000 0000 00 01") + _packed16(pod.ip)
    return MapEntry(lab, node, "cilium_ipcache_v2", key)


def endpoint_entry(lab: Lab, pod: Pod) -> MapEntry:
    """What the pod's node holds of it in the endpoint map: address, family, key, cluster id."""
    return MapEntry(lab, pod.node, "cilium_lxc", _packed16(pod.ip) + bytes.fromhex("01 00 0000"))


@contextmanager
def deleted(entry: MapEntry) -> Iterator[None]:
    """A map without one of its entries."""
    value = entry.read()
    entry.delete()
    try:
        yield
    finally:
        entry.write(value)


@contextmanager
def wrong_tunnel_endpoint(lab: Lab, node: str, pod: Pod) -> Iterator[None]:
    """A node that looks for a pod behind a node that does not exist."""
    entry = ipcache_entry(lab, node, pod)
    value = entry.read()
    entry.write(value[:4] + ip_address("172.30.0.99").packed + value[8:])
    try:
        yield
    finally:
        entry.write(value)


@contextmanager
def program_detached(lab: Lab, pod: Pod) -> Iterator[None]:
    """A pod whose packets bypass Cilium. The very program is attached again, though no longer by the agent's link."""
    device = _lxc(lab, pod)
    [program] = [p for p in _attached(lab, pod.node, device) if p["name"] == "cil_from_container"]
    if program["link_id"]:
        lab.agent_exec(pod.node, "bpftool", "link", "detach", "id", str(program["link_id"]))
    else:  # a test before this one has attached it
        lab.agent_exec(pod.node, "bpftool", "net", "detach", "tcx_ingress", "dev", device)
    try:
        yield
    finally:
        by_id = ("id", str(program["prog_id"]))
        lab.agent_exec(pod.node, "bpftool", "net", "attach", "tcx_ingress", *by_id, "dev", device)


@contextmanager
def scaled_to_zero(galaxy: Galaxy) -> Iterator[None]:
    """A Service without endpoints."""
    _scale(galaxy, 0)
    until("the last deathstar is gone", lambda: not galaxy.has_deathstars(), timeout_s=30)
    try:
        yield
    finally:
        _scale(galaxy, 2)
        galaxy.wait_ready()


@contextmanager
def application_stopped(galaxy: Galaxy, pod: Pod) -> Iterator[None]:
    """A pod that runs on without its server."""
    galaxy.sh(pod.name, "touch /tmp/stopped; kill $(cat /tmp/server.pid)")
    try:
        yield
    finally:
        galaxy.sh(pod.name, "rm /tmp/stopped")
        galaxy.sh(pod.name, "until curl --silent --fail --output /dev/null localhost/v1/; do sleep 0.1; done")


@contextmanager
def role_binding_removed(galaxy: Galaxy, name: str) -> Iterator[None]:
    """An operator that has lost a permission in this namespace."""
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{galaxy.namespace}/rolebindings"
    binding = galaxy.api.get(f"{path}/{name}")
    assert binding is not None
    galaxy.api.delete(f"{path}/{name}")
    try:
        yield
    finally:
        del binding["metadata"]["resourceVersion"]
        galaxy.api.create(path, binding)


@contextmanager
def agent_unready(galaxy: Galaxy, node: str) -> Iterator[None]:
    """A node whose agent pod is not Ready. Its kubelet, which knows better, stands still meanwhile."""
    agent = pod_path("kube-system", galaxy.lab.agent_pod(node))
    kubelet = galaxy.lab.node(node).role("kubelet")
    found = galaxy.api.get(agent)
    assert kubelet is not None
    assert found is not None
    kubelet.signal(signal.SIGSTOP)
    try:
        status = {
            "conditions": [
                {**c, "status": "False" if c["type"] == "Ready" else c["status"]}
                for c in found["status"]["conditions"]
            ],
            "containerStatuses": [
                {**container, "ready": False} for container in found["status"]["containerStatuses"]
            ],
        }
        galaxy.api.patch(f"{agent}/status", {"status": status})
        yield
    finally:
        kubelet.signal(signal.SIGCONT)
        until(
            f"the agent of {node} is ready again", lambda: is_ready(galaxy.api.get(agent) or {}), timeout_s=60
        )


def _scale(galaxy: Galaxy, replicas: int) -> None:
    path = f"/apis/apps/v1/namespaces/{galaxy.namespace}/statefulsets/deathstar"
    galaxy.api.patch(path, {"spec": {"replicas": replicas}})


def _lxc(lab: Lab, pod: Pod) -> str:
    """The node's end of the pod's pair of interfaces."""
    [endpoint] = json.loads(lab.agent_exec(pod.node, "cilium-dbg", "endpoint", "get", str(pod.endpoint)))
    name: str = endpoint["status"]["networking"]["interface-name"]
    return name


def _attached(lab: Lab, node: str, device: str) -> list[dict[str, Any]]:
    [shown] = json.loads(lab.agent_exec(node, "bpftool", "-j", "net", "show", "dev", device))
    programs: list[dict[str, Any]] = shown["tc"]
    return programs


def _packed16(ip: str) -> bytes:
    """An IPv4 address as Cilium's keys hold it."""
    return ip_address(ip).packed.ljust(16, b"\0")


def _octets(data: bytes) -> list[str]:
    return [f"{octet:02x}" for octet in data]
