"""Load balancing on the ship's node, and the Service's objects."""

from contextlib import AbstractContextManager
from ipaddress import ip_address

from datapath_probe.api.vocabulary import HopName
from faults.fault import Fault, broken
from faults.inject import objects
from faults.inject.maps import changed, deleted, patched, reverse_nat, service_backend
from faults.modes import PER_PACKET_LB
from faults.scene import OUTPOST, Scene, Target, service_path

_ADDRESS, _PORT = 0, 4
_FREE_ADDRESS = 250


def _moved_backend(scene: Scene) -> AbstractContextManager[None]:
    """The backend has an address of the right node that no pod has."""
    address = ip_address(scene.far.ip).packed[:3] + bytes((_FREE_ADDRESS,))
    return changed(service_backend(scene.slot(OUTPOST, 1)), patched(_ADDRESS, address))


def _wrong_port(scene: Scene) -> AbstractContextManager[None]:
    return changed(service_backend(scene.slot(OUTPOST, 1)), patched(_PORT, (81).to_bytes(2, "big")))


def _nobody_selected(scene: Scene) -> AbstractContextManager[None]:
    selects = "statefulset.kubernetes.io/pod-name"
    return objects.changed(
        scene.api,
        service_path(OUTPOST),
        {"spec": {"selector": {selects: "nobody"}}},
        {"spec": {"selector": {selects: scene.far.name}}},
        scene.slots_are(OUTPOST, 0),
    )


LOOKUP = HopName.SERVICE_LOOKUP

FAULTS = (
    Fault(
        "frontend-missing",
        lambda s: deleted(s.slot(OUTPOST, 0)),
        broken(LOOKUP, "FrontendMissing"),
        Target.SERVICE,
    ),
    Fault(
        "backend-slot-missing",
        lambda s: deleted(s.slot(OUTPOST, 1)),
        broken(LOOKUP, "BackendMissing"),
        Target.SERVICE,
    ),
    Fault(
        "backend-missing",
        lambda s: deleted(service_backend(s.slot(OUTPOST, 1))),
        broken(LOOKUP, "BackendMissing"),
        Target.SERVICE,
    ),
    Fault("backend-wrong-address", _moved_backend, broken(LOOKUP, "BackendMismatch"), Target.SERVICE),
    Fault("backend-wrong-port", _wrong_port, broken(LOOKUP, "BackendMismatch"), Target.SERVICE),
    Fault("no-ready-endpoints", _nobody_selected, broken(LOOKUP, "NoReadyBackends"), Target.SERVICE),
    Fault(
        "reverse-nat-missing",
        lambda s: deleted(reverse_nat(s.slot(OUTPOST, 0))),
        broken(HopName.REPLY_TRANSLATION, "ReverseNATMissing"),
        Target.SERVICE,
        modes=PER_PACKET_LB,
    ),
)
