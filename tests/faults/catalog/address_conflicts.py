"""Addresses of pods that a node has on its own devices, too: its stack answers in the pod's place."""

from datapath_probe.api.vocabulary import HopName
from e2e.galaxy import Pod
from faults.fault import At, Fault, broken, either, healthy
from faults.inject import addresses, devices
from faults.inject.in_place import Injected
from faults.modes import TUNNELED, WITH_ENDPOINT_ROUTES, WITHOUT_ENDPOINT_ROUTES, Mode
from faults.scene import CONTROL_PLANE, Scene, Target

CONFLICT = "AddressConflict"
LOOKUP, DELIVERY = HopName.ENDPOINT_LOOKUP, HopName.REPLY_DELIVERY
_BY_MAP = TUNNELED & WITHOUT_ENDPOINT_ROUTES
_BY_ROUTE = WITH_ENDPOINT_ROUTES | {Mode.NATIVE}
_DEVICE = "cilium_host"
_UNUSED = "10.0.99.9"


def _held(scene: Scene, pod: Pod, *, follow: bool) -> Injected:
    return addresses.on_device(scene.lab, pod.node, pod.ip, _DEVICE, follow=follow)


FAULTS = (
    Fault(
        "destination-address-on-its-node",
        lambda s: _held(s, s.far, follow=True),
        either(LOOKUP, CONFLICT, At.DESTINATION),
        modes=_BY_MAP,
    ),
    Fault(
        "destination-address-on-its-node-same-node",
        lambda s: _held(s, s.near, follow=True),
        either(LOOKUP, CONFLICT),
        Target.NEAR,
        modes=_BY_MAP,
    ),
    Fault(
        "source-address-on-its-node",
        lambda s: _held(s, s.ship, follow=True),
        either(DELIVERY, CONFLICT),
        modes=_BY_MAP,
    ),
    Fault(
        "destination-address-on-its-node-not-followed",
        lambda s: _held(s, s.far, follow=False),
        either(LOOKUP, CONFLICT, At.DESTINATION),
        modes=_BY_MAP,
    ),
    Fault(
        "destination-address-on-its-node-before-its-route",
        lambda s: _held(s, s.far, follow=False),
        broken(LOOKUP, CONFLICT, At.DESTINATION),
        modes=_BY_ROUTE,
    ),
    Fault(
        "destination-address-local-to-its-node",
        lambda s: devices.route(
            s.lab, s.destination, "local", f"{s.far.ip}/32", "dev", "lo", "table", "local"
        ),
        broken(LOOKUP, CONFLICT, At.DESTINATION),
        modes=_BY_ROUTE,
    ),
    Fault(
        "destination-address-on-the-hosts-own-node",
        lambda s: _held(s, s.near, follow=False),
        broken(LOOKUP, CONFLICT),
        Target.FROM_HOST_TO_NEAR,
    ),
    Fault(
        "destination-address-on-its-node-from-another-host",
        lambda s: _held(s, s.far, follow=False),
        either(LOOKUP, CONFLICT, At.DESTINATION),
        Target.FROM_HOST_TO_FAR,
        modes=_BY_MAP,
    ),
    Fault(
        "healthy-beside-an-unused-address-of-the-node",
        lambda s: addresses.added(s.lab, s.destination, _UNUSED, _DEVICE),
        healthy(),
    ),
    Fault(
        "healthy-beside-the-address-on-another-node",
        lambda s: addresses.added(s.lab, CONTROL_PLANE, s.far.ip, _DEVICE),
        healthy(),
    ),
)
