"""Load balancing on the ship's node, and the Service's objects."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address

from datapath_probe.api.vocabulary import HopName
from faults.fault import At, Fault, broken, degraded, either, latent
from faults.inject import conntrack, maps, objects, programs
from faults.inject.in_place import Injected, InPlace
from faults.inject.maps import (
    added,
    affinity_match,
    changed,
    deleted,
    patched,
    remembered,
    remembered_value,
    reverse_nat,
    service_backend,
)
from faults.modes import NODE_PORTS, PER_PACKET_LB
from faults.scene import BOTH, LOCAL, OUTPOST, Scene, Target, service_path

_ADDRESS, _PORT = 0, 4  # of a backend, and of a reverse NAT entry
_COUNT, _REVERSE_NAT = 4, 6  # of slot 0
_FLAGS, _HAS_AFFINITY = 8, 0x10  # of slot 0
_REMEMBERED = slice(8, 12)  # the backend, of an affinity
_FREE_ADDRESS = 250


def _moved_backend(scene: Scene) -> Injected:
    """The backend has an address of the right node that no pod has."""
    address = ip_address(scene.far.ip).packed[:3] + bytes((_FREE_ADDRESS,))
    return changed(service_backend(scene.slot(OUTPOST, 1)), patched(_ADDRESS, address))


def _wrong_port(scene: Scene) -> Injected:
    return changed(service_backend(scene.slot(OUTPOST, 1)), patched(_PORT, (81).to_bytes(2, "big")))


def _nobody_selected(scene: Scene) -> Injected:
    selects = "statefulset.kubernetes.io/pod-name"
    return objects.changed(
        scene.api,
        service_path(OUTPOST),
        {"spec": {"selector": {selects: "nobody"}}},
        {"spec": {"selector": {selects: scene.far.name}}},
        scene.slots_are(OUTPOST, 0),
    )


@contextmanager
def _one_backend_too_many(scene: Scene) -> Iterator[InPlace]:
    """The deathstar near the ship is behind a Service that does not select it."""
    near = next(
        slot
        for slot in (scene.slot(BOTH, 1), scene.slot(BOTH, 2))
        if service_backend(slot).read()[:4] == ip_address(scene.near.ip).packed
    )
    count = patched(_COUNT, (2).to_bytes(2, "little"))
    with (
        added(scene.slot(OUTPOST, 2), near.read()) as slot,
        changed(scene.slot(OUTPOST, 0), count) as counted,
    ):
        yield lambda: slot() and counted()


@contextmanager
def _remembers_a_dead_backend(scene: Scene) -> Iterator[InPlace]:
    """Session affinity still knows a backend, of an address that no pod has, that no slot names any more."""
    frontend, dead = scene.slot(OUTPOST, 0), (60_001).to_bytes(4, "little")
    backend = service_backend(scene.slot(OUTPOST, 1))
    address = ip_address(scene.far.ip).packed[:3] + bytes((_FREE_ADDRESS,))
    wanted, back = ({"spec": {"sessionAffinity": kind}} for kind in ("ClientIP", "None"))

    def followed() -> bool:
        return bool(frontend.read()[_FLAGS] & _HAS_AFFINITY)

    with (
        objects.changed(scene.api, service_path(OUTPOST), wanted, back, followed),
        added(replace(backend, key=dead), address + backend.read()[4:]),
        added(affinity_match(frontend, dead), b"\0"),
    ):
        known = remembered(frontend, scene.ship.ip)
        known.write(remembered_value(scene.lab, scene.source, dead))
        try:
            yield lambda: (known.find() or b"")[_REMEMBERED] == dead  # the rest of it changes with each use
        finally:
            if known.find() is not None:
                known.delete()


def _wrong_target_port(scene: Scene) -> Injected:
    """The Service leads to a port that nobody listens on, and the datapath follows."""

    def followed() -> bool:
        backend = service_backend(scene.slot(OUTPOST, 1)).find()  # None: it is just being replaced
        return backend is not None and backend[_PORT:6] == (81).to_bytes(2, "big")

    path = service_path(OUTPOST)
    ports = [[{"name": "http", "port": 80, "targetPort": target}] for target in (81, 80)]
    wrong, right = ({"spec": {"ports": spec}} for spec in ports)
    return objects.changed(scene.api, path, wrong, right, followed)


def _one_of_two_backends(scene: Scene) -> maps.MapEntry:
    """The backend far from the ship, of the Service of both."""
    slots = (scene.slot(BOTH, number) for number in (1, 2))
    backends = (service_backend(slot) for slot in slots)
    return next(one for one in backends if one.read()[:4] == ip_address(scene.far.ip).packed)


def _left_over_entry(scene: Scene) -> Injected:
    """Conntrack sends the ship's next connections to the deathstar near it, which is not behind that Service."""
    near = scene.slot(LOCAL, 1).read()[:4]
    return conntrack.backend_chosen_before(scene.lab, scene.ship, scene.service_ip(OUTPOST), near)


def _sticking(scene: Scene) -> Injected:
    """A frontend whose clients stick to their backend, though those of the Service do not."""
    frontend = scene.slot(OUTPOST, 0)
    flags = frontend.read()[_FLAGS] | _HAS_AFFINITY
    return changed(frontend, patched(_FLAGS, bytes((flags,))))


def _unsocketed(scene: Scene, *, unpinned: bool) -> Injected:
    return programs.sockets_untranslated(scene.lab, scene.api, scene.source, unpinned=unpinned)


LOOKUP = HopName.SERVICE_LOOKUP

_ANOTHERS_REVERSE_NAT = Fault(
    "frontend-with-the-reverse-nat-of-another",
    lambda s: changed(s.slot(OUTPOST, 0), patched(_REVERSE_NAT, s.slot(LOCAL, 0).read()[6:8])),
    broken(LOOKUP, "ReverseNATMismatch"),
    Target.SERVICE,
)

FAULTS = (
    Fault(
        "backend-chosen-by-an-older-entry",
        _left_over_entry,
        degraded(HopName.SERVICE_TRANSLATION, "BackendStale"),
        Target.SERVICE,
        modes=PER_PACKET_LB,
    ),
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
    Fault(
        "one-of-two-backends-missing",
        lambda s: deleted(_one_of_two_backends(s)),
        either(LOOKUP, "BackendMissing"),
        Target.BOTH,
    ),
    Fault(
        "local-backend-slot-missing",
        lambda s: deleted(s.slot(LOCAL, 1)),
        broken(LOOKUP, "BackendMissing"),
        Target.LOCAL,
    ),
    Fault(
        "node-port-backend-slot-missing",
        lambda s: deleted(s.node_port_slot(OUTPOST, 1)),
        broken(LOOKUP, "BackendMissing"),
        Target.NODE_PORT,
        modes=NODE_PORTS,
    ),
    Fault(
        "node-port-frontend-missing",  # sockets find the entry of any address
        lambda s: deleted(s.node_port_slot(OUTPOST, 0)),
        degraded(LOOKUP, "FrontendMissing"),
        Target.NODE_PORT,
        modes=NODE_PORTS,
    ),
    Fault("backend-wrong-address", _moved_backend, broken(LOOKUP, "BackendMismatch"), Target.SERVICE),
    Fault("backend-wrong-port", _wrong_port, broken(LOOKUP, "BackendMismatch"), Target.SERVICE),
    Fault("backend-stale", _one_backend_too_many, either(LOOKUP, "BackendStale"), Target.SERVICE),
    Fault(
        "affinity-remembers-a-dead-backend",
        _remembers_a_dead_backend,
        broken(LOOKUP, "BackendStale"),
        Target.SERVICE,
        modes=PER_PACKET_LB,
    ),
    Fault(
        "reverse-nat-missing",
        lambda s: deleted(reverse_nat(s.slot(OUTPOST, 0))),
        broken(HopName.REPLY_TRANSLATION, "ReverseNATMissing"),
        Target.SERVICE,
        modes=PER_PACKET_LB,
    ),
    Fault(
        "reverse-nat-wrong",
        lambda s: changed(reverse_nat(s.slot(OUTPOST, 0)), patched(_PORT, (81).to_bytes(2, "big"))),
        broken(HopName.REPLY_TRANSLATION, "ReverseNATMismatch"),
        Target.SERVICE,
        modes=PER_PACKET_LB,
    ),
    replace(_ANOTHERS_REVERSE_NAT, modes=PER_PACKET_LB),
    latent(_ANOTHERS_REVERSE_NAT, NODE_PORTS),
    Fault("affinity-that-nobody-asked-for", _sticking, degraded(LOOKUP, "AffinityMismatch"), Target.SERVICE),
    Fault(
        "sockets-detached",
        lambda s: _unsocketed(s, unpinned=False),
        broken(HopName.SERVICE_TRANSLATION, "ProgramMissing"),
        Target.SERVICE,
        modes=NODE_PORTS,
    ),
    Fault(
        "sockets-unpinned",
        lambda s: _unsocketed(s, unpinned=True),
        broken(HopName.SERVICE_TRANSLATION, "ProgramMissing"),
        Target.SERVICE,
        modes=NODE_PORTS,
    ),
    # last: endpoints that have just changed are in transition
    Fault(
        "target-port-wrong",
        _wrong_target_port,
        broken(HopName.DESTINATION_RESPONSE, "ConnectionRefused", At.DESTINATION),
        Target.SERVICE,
    ),
    Fault("no-ready-endpoints", _nobody_selected, broken(LOOKUP, "NoReadyBackends"), Target.SERVICE),
)
