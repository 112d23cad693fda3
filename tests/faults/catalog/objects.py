"""Faults of edited or deleted CiliumEndpoints and CiliumNodes, and of endpoints that the agent has disconnected."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from datapath_probe.api.vocabulary import HopName
from e2e.api import Object
from e2e.galaxy import NAMESPACE, Pod
from e2e.waiting import until
from faults.fault import Fault, broken, degraded
from faults.inject import objects
from faults.inject.agent import in_agent
from faults.inject.in_place import Injected
from faults.inject.maps import ipcache_entry
from faults.inject.policies import CILIUM, Direction, enforced, policy
from faults.modes import TUNNELED, Mode
from faults.scene import CONTROL_PLANE, Scene

IPAM, MISMATCH, MISSING = HopName.IPAM, "CiliumEndpointMismatch", "CiliumEndpointMissing"
NATIVE = frozenset({Mode.NATIVE})
_APPLY_TIMEOUT_S = 20.0
_STUCK_S = 32.0


def _path(pod: str) -> str:
    return f"{CILIUM}/namespaces/{NAMESPACE}/ciliumendpoints/{pod}"


def _edited(scene: Scene, pod: Pod, member: str, value: object, observer: str) -> Injected:
    """A CiliumEndpoint with a wrong field; the ipcache of the observer changes with it."""
    found = scene.api.get(_path(pod.name))
    assert found is not None
    before = {"status": {member: found["status"][member]}}
    entry = ipcache_entry(scene.lab, observer, pod.ip)
    was = entry.find()
    return objects.changed(
        scene.api, _path(pod.name), {"status": {member: value}}, before, lambda: entry.find() != was
    )


def _on_another_node(scene: Scene, pod: Pod, observer: str) -> Injected:
    found = scene.api.get(_path(pod.name))
    assert found is not None
    networking: Object = {**found["status"]["networking"], "node": scene.node_ip(CONTROL_PLANE)}
    return _edited(scene, pod, "networking", networking, observer)


@contextmanager
def _another_address(scene: Scene) -> Iterator[None]:
    """With a policy that allows the ship to reach deathstars only: the far one no longer counts as one."""
    found = scene.api.get(_path(scene.far.name))
    assert found is not None
    addressing = [{"ipv4": "10.99.99.99"}]
    networking: Object = {**found["status"]["networking"], "addressing": addressing}
    rules = [{"toEndpoints": [{"matchLabels": {"class": "deathstar"}}]}]
    only_stars = policy(
        "CiliumNetworkPolicy", {"endpointSelector": {"matchLabels": {"class": "xwing"}}, "egress": rules}
    )
    with (
        enforced(scene.lab, scene.api, only_stars, scene.ship, Direction.EGRESS, 1),
        _edited(scene, scene.far, "networking", networking, scene.source),
    ):
        yield


@contextmanager
def _not_ready(scene: Scene, pod: Pod) -> Iterator[None]:
    """Longer than a regeneration takes."""
    path = _path(pod.name)
    scene.api.patch(path, {"status": {"state": "not-ready"}})
    changed = time.monotonic()
    try:
        until("the state is no transition", lambda: time.monotonic() - changed > _STUCK_S, 2 * _STUCK_S)
        yield
    finally:
        scene.api.patch(path, {"status": {"state": "ready"}})


@contextmanager
def _disconnected(scene: Scene, pod: Pod) -> Iterator[None]:
    """An endpoint that the agent has disconnected. Only a new pod restores it."""
    try:
        in_agent(scene.lab, pod.node, "cilium-dbg", "endpoint", "disconnect", str(pod.endpoint))
        until("the CiliumEndpoint is gone", lambda: scene.api.get(_path(pod.name)) is None, _APPLY_TIMEOUT_S)
        yield
    finally:
        scene.recreate_pods()


def _node_missing(scene: Scene, node: str) -> Injected:
    return objects.deleted(scene.api, f"{CILIUM}/ciliumnodes/{node}")


FAULTS = (
    Fault(
        "cilium-endpoint-on-another-node",
        lambda s: _on_another_node(s, s.far, s.source),
        broken(IPAM, MISMATCH),
        modes=TUNNELED,
    ),
    Fault(
        "source-cilium-endpoint-on-another-node",
        lambda s: _on_another_node(s, s.ship, s.destination),
        broken(IPAM, MISMATCH),
        modes=TUNNELED,
    ),
    Fault("cilium-endpoint-with-another-address", _another_address, broken(IPAM, MISMATCH)),
    Fault(
        "cilium-endpoint-not-ready",
        lambda s: _not_ready(s, s.far),
        degraded(IPAM, "CiliumEndpointNotReady"),
    ),
    Fault("destination-disconnected", lambda s: _disconnected(s, s.far), broken(IPAM, MISSING)),
    Fault("source-disconnected", lambda s: _disconnected(s, s.ship), broken(IPAM, MISSING)),
    Fault(
        "cilium-node-missing",
        lambda s: _node_missing(s, s.destination),
        broken(IPAM, "CiliumNodeMissing"),
        modes=NATIVE,
    ),
    Fault(
        "source-cilium-node-missing",
        lambda s: _node_missing(s, s.source),
        broken(IPAM, "CiliumNodeMissing"),
        modes=NATIVE,
    ),
)
