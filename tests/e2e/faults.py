"""Faults of the e2e tests: each is a context in which something is broken; leaving it restores what was there.

In: a galaxy and pods. The faults are real. Used by the e2e and load tests; `tests/faults` has many more.
"""

import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from ipaddress import ip_address

from e2e.api import is_ready, pod_path
from e2e.galaxy import Galaxy, Pod
from e2e.waiting import until
from faults.inject import application, maps, programs
from faults.inject.in_place import Injected
from faults.inject.maps import deleted as deleted
from lab.cluster import Lab


def ipcache_entry(lab: Lab, node: str, pod: Pod) -> maps.MapEntry:
    """A node's ipcache entry of a pod."""
    return maps.ipcache_entry(lab, node, pod.ip)


def endpoint_entry(lab: Lab, pod: Pod) -> maps.MapEntry:
    """The entry of a pod in the endpoint map of its node."""
    return maps.endpoint_entry(lab, pod.node, pod.ip)


def wrong_tunnel_endpoint(lab: Lab, node: str, pod: Pod) -> Injected:
    """A node whose ipcache entry of a pod points to a node that does not exist."""
    unused = ip_address("172.30.0.99").packed
    return maps.changed(ipcache_entry(lab, node, pod), maps.patched(4, unused))


def program_detached(lab: Lab, pod: Pod) -> Injected:
    """A pod whose packets bypass Cilium."""
    return programs.detached_from_pod(lab, pod, "cil_from_container")


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


def application_stopped(galaxy: Galaxy, pod: Pod) -> AbstractContextManager[object]:
    """A running pod without its server."""
    return application.stopped(galaxy, pod)


@contextmanager
def role_binding_removed(galaxy: Galaxy, name: str) -> Iterator[None]:
    """An operator without a permission in this namespace."""
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
    """A node whose agent pod is not Ready. Its kubelet, which would correct that, is stopped meanwhile."""
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
