"""The pairs of interfaces between pods and their nodes, and what a pod needs to use its own."""

from datapath_probe.api.vocabulary import HopName
from e2e.galaxy import Pod
from faults.fault import At, Fault, broken, either
from faults.inject import devices
from faults.inject.in_place import Injected
from faults.scene import Scene, Target

SOURCE, DESTINATION = HopName.SOURCE_INTERFACE, HopName.DESTINATION_INTERFACE
DOWN, MISMATCH, TOO_SMALL = "InterfaceDown", "InterfaceMismatch", "MTUTooSmall"
_MTU = 1000


def _down(scene: Scene, pod: Pod) -> Injected:
    return devices.down(scene.lab, pod.node, scene.lxc(pod))


def _down_inside(scene: Scene, pod: Pod) -> Injected:
    return devices.down(scene.lab, pod.node, "eth0", inside=devices.netns(scene.lab, pod))


def _replaced(scene: Scene, pod: Pod) -> Injected:
    return devices.replaced_by_another_pair(scene.lab, pod.node, scene.lxc(pod))


def _small(scene: Scene, pod: Pod) -> Injected:
    return devices.mtu(scene.lab, pod.node, scene.lxc(pod), _MTU)


def _without_default_route(scene: Scene, pod: Pod) -> Injected:
    return devices.without_route(scene.lab, pod.node, "default", inside=devices.netns(scene.lab, pod))


FAULTS = (
    Fault("source-link-down", lambda s: _down(s, s.ship), broken(SOURCE, DOWN)),
    Fault("source-link-down-service", lambda s: _down(s, s.ship), broken(SOURCE, DOWN), Target.SERVICE),
    Fault("source-pod-link-down", lambda s: _down_inside(s, s.ship), broken(SOURCE, DOWN)),
    Fault("source-wrong-peer", lambda s: _replaced(s, s.ship), either(SOURCE, MISMATCH)),
    Fault(
        "source-default-route-missing", lambda s: _without_default_route(s, s.ship), broken(SOURCE, "NoRoute")
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
        broken(DESTINATION, "NoRoute", At.DESTINATION),
    ),
    Fault(
        "source-mtu-too-small", lambda s: _small(s, s.ship), broken(SOURCE, TOO_SMALL), Target.FULL_REQUEST
    ),
    Fault(
        "destination-mtu-too-small",
        lambda s: _small(s, s.far),
        broken(DESTINATION, TOO_SMALL, At.DESTINATION),
        Target.FULL_ANSWER,
    ),
)
