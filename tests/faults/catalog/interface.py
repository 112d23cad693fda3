"""Faults of the veth pairs between pods and nodes, and of the routes and addresses on them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from datapath_probe.api.vocabulary import HopName
from e2e.galaxy import Pod
from faults.fault import At, Expected, Fault, broken, degraded, either, latent
from faults.inject import devices
from faults.inject.commands import applied
from faults.inject.in_place import Injected
from faults.modes import PAST_QUEUES, THROUGH_QUEUES
from faults.scene import Scene, Target

SOURCE, DESTINATION = HopName.SOURCE_INTERFACE, HopName.DESTINATION_INTERFACE
DOWN, MISMATCH, MISSING, TOO_SMALL = "InterfaceDown", "InterfaceMismatch", "InterfaceMissing", "MTUTooSmall"
_MTU = 1000
_OTHER_NETNS = "faults-other"


def _down(scene: Scene, pod: Pod) -> Injected:
    return devices.down(scene.lab, pod.node, scene.lxc(pod))


def _down_inside(scene: Scene, pod: Pod) -> Injected:
    return devices.down(scene.lab, pod.node, "eth0", inside=devices.netns(scene.lab, pod))


def _replaced(scene: Scene, pod: Pod) -> Injected:
    return devices.replaced_by_another_veth(scene.lab, pod.node, scene.lxc(pod))


def _small(scene: Scene, pod: Pod) -> Injected:
    return devices.mtu(scene.lab, pod.node, scene.lxc(pod), _MTU)


def _small_inside(scene: Scene, pod: Pod) -> Injected:
    return devices.mtu(scene.lab, pod.node, "eth0", _MTU, inside=devices.netns(scene.lab, pod))


def _gone(hop: HopName, at: At = At.SOURCE) -> tuple[Expected, ...]:
    """The pod has no interface, and the peer of the host end is not up."""
    return broken(hop, MISSING, at) + broken(hop, DOWN, at)


def _without_default_route(scene: Scene, pod: Pod) -> Injected:
    return devices.without_route(scene.lab, pod.node, "default", inside=devices.netns(scene.lab, pod))


@contextmanager
def _until_pods_recreated(scene: Scene, inject: Callable[[], None]) -> Iterator[None]:
    """A fault that only new pods repair."""
    try:
        inject()
        yield
    finally:
        scene.recreate_pods()


def _deleted(scene: Scene, pod: Pod) -> Injected:
    return _until_pods_recreated(scene, lambda: devices.deleted(scene.lab, pod.node, scene.lxc(pod)))


@contextmanager
def _moved(scene: Scene, pod: Pod) -> Iterator[None]:
    """The interface is in another, otherwise empty network namespace."""
    add, remove = ("ip", "netns", "add", _OTHER_NETNS), ("ip", "netns", "del", _OTHER_NETNS)
    with (
        applied(scene.lab, pod.node, add, remove),
        _until_pods_recreated(scene, lambda: devices.moved_to_namespace(scene.lab, pod, _OTHER_NETNS)),
    ):
        yield


_MTU_OF_PODS = (
    Fault(
        "destination-pod-mtu-too-small",
        lambda s: _small_inside(s, s.far),
        broken(DESTINATION, TOO_SMALL, At.DESTINATION),
        Target.FULL_REQUEST,
    ),
    Fault(
        "source-pod-mtu-too-small",
        lambda s: _small_inside(s, s.ship),
        broken(SOURCE, TOO_SMALL),
        Target.FULL_ANSWER,
    ),
    Fault(
        "destination-pod-mtu-too-small-small-request",
        lambda s: _small_inside(s, s.far),
        degraded(DESTINATION, TOO_SMALL, At.DESTINATION),
    ),
)

FAULTS = (
    Fault("source-link-down", lambda s: _down(s, s.ship), broken(SOURCE, DOWN)),
    Fault("source-link-down-service", lambda s: _down(s, s.ship), broken(SOURCE, DOWN), Target.SERVICE),
    Fault("source-pod-link-down", lambda s: _down_inside(s, s.ship), broken(SOURCE, DOWN)),
    Fault("source-wrong-peer", lambda s: _replaced(s, s.ship), either(SOURCE, MISMATCH)),
    Fault(
        "source-default-route-missing",
        lambda s: _without_default_route(s, s.ship),
        broken(SOURCE, "RouteMissing"),
    ),
    Fault("destination-link-down", lambda s: _down(s, s.far), broken(DESTINATION, DOWN, At.DESTINATION)),
    Fault(
        "destination-link-down-same-node", lambda s: _down(s, s.near), broken(DESTINATION, DOWN), Target.NEAR
    ),
    Fault(
        "destination-pod-link-down",
        lambda s: _down_inside(s, s.far),
        broken(DESTINATION, DOWN, At.DESTINATION),
    ),
    Fault(
        "destination-wrong-peer", lambda s: _replaced(s, s.far), either(DESTINATION, MISMATCH, At.DESTINATION)
    ),
    Fault(
        "destination-default-route-missing",
        lambda s: _without_default_route(s, s.far),
        broken(DESTINATION, "RouteMissing", At.DESTINATION),
    ),
    Fault(
        "source-mtu-too-small", lambda s: _small(s, s.ship), broken(SOURCE, TOO_SMALL), Target.FULL_REQUEST
    ),
    Fault("source-device-deleted", lambda s: _deleted(s, s.ship), broken(SOURCE, MISSING)),
    Fault(
        "destination-device-deleted",
        lambda s: _deleted(s, s.far),
        broken(DESTINATION, MISSING, At.DESTINATION),
    ),
    Fault(
        "destination-device-deleted-same-node",
        lambda s: _deleted(s, s.near),
        broken(DESTINATION, MISSING),
        Target.NEAR,
    ),
    Fault("source-device-moved-away", lambda s: _moved(s, s.ship), _gone(SOURCE)),
    Fault("destination-device-moved-away", lambda s: _moved(s, s.far), _gone(DESTINATION, At.DESTINATION)),
    Fault(
        "source-without-address",
        lambda s: devices.without_address(s.lab, s.ship),
        broken(SOURCE, "RouteMissing"),
    ),
    Fault(
        "destination-without-address",
        lambda s: devices.without_address(s.lab, s.far),
        broken(DESTINATION, "RouteMissing", At.DESTINATION),
    ),
    Fault(
        "destination-mtu-too-small",
        lambda s: _small(s, s.far),
        broken(DESTINATION, TOO_SMALL, At.DESTINATION),
        Target.FULL_ANSWER,
    ),
    *(replace(fault, modes=THROUGH_QUEUES) for fault in _MTU_OF_PODS),
    *(latent(fault, PAST_QUEUES) for fault in _MTU_OF_PODS),
)
