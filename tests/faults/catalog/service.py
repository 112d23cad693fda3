"""Faults of load balancing on the ship's node, and of Service objects."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address

from datapath_probe.api.vocabulary import HopName
from e2e.galaxy import Pod
from faults.fault import At, Fault, broken, degraded, either, latent
from faults.inject import conntrack, maps, objects, programs
from faults.inject.in_place import Injected, InPlace
from faults.inject.maps import (
    added,
    affinity,
    affinity_match,
    affinity_value,
    changed,
    deleted,
    patched,
    reverse_nat,
    service_backend,
)
from faults.modes import NODE_PORTS, PER_PACKET_LB
from faults.scene import BOTH, LOCAL, OUTPOST, Scene, Target, service_path

_ADDRESS = 0  # of a backend, and of a reverse NAT entry
_COUNT, _REVERSE_NAT = 4, 6  # of slot 0
_FLAGS, _HAS_AFFINITY = 8, 0x10  # of slot 0
_AFFINITY_BACKEND = slice(8, 12)  # of a session affinity value
_FREE_ADDRESS = 250


def _port_at(scene: Scene) -> int:
    """The offset of the port, which follows the address."""
    return len(_packed(scene.far))


def _packed(pod: Pod) -> bytes:
    return ip_address(pod.ip).packed


def _free_address(scene: Scene) -> bytes:
    """An unused address of the far deathstar's node."""
    return _packed(scene.far)[:-1] + bytes((_FREE_ADDRESS,))


def _moved_backend(scene: Scene) -> Injected:
    """The backend has an unused address of the right node."""
    return changed(service_backend(scene.slot(OUTPOST, 1)), patched(_ADDRESS, _free_address(scene)))


def _wrong_port(scene: Scene) -> Injected:
    return changed(service_backend(scene.slot(OUTPOST, 1)), patched(_port_at(scene), (81).to_bytes(2, "big")))


def _no_pod_selected(scene: Scene) -> Injected:
    selects = "statefulset.kubernetes.io/pod-name"
    return objects.changed(
        scene.api,
        service_path(OUTPOST),
        {"spec": {"selector": {selects: "none"}}},
        {"spec": {"selector": {selects: scene.far.name}}},
        scene.slots_are(OUTPOST, 0),
    )


@contextmanager
def _extra_backend(scene: Scene) -> Iterator[InPlace]:
    """The near deathstar is a backend of a Service that does not select it."""
    near = next(
        slot
        for slot in (scene.slot(BOTH, 1), scene.slot(BOTH, 2))
        if service_backend(slot).read().startswith(_packed(scene.near))
    )
    count = patched(_COUNT, (2).to_bytes(2, "little"))
    with (
        added(scene.slot(OUTPOST, 2), near.read()) as slot,
        changed(scene.slot(OUTPOST, 0), count) as counted,
    ):
        yield lambda: slot() and counted()


@contextmanager
def _affinity_to_stale_backend(scene: Scene) -> Iterator[InPlace]:
    """Session affinity refers to a backend with an unused address that is in no slot."""
    frontend, stale = scene.slot(OUTPOST, 0), (60_001).to_bytes(4, "little")
    backend = service_backend(scene.slot(OUTPOST, 1))
    address = _free_address(scene)
    wanted, back = ({"spec": {"sessionAffinity": kind}} for kind in ("ClientIP", "None"))

    def applied() -> bool:
        return bool(frontend.read()[_FLAGS] & _HAS_AFFINITY)

    with (
        objects.changed(scene.api, service_path(OUTPOST), wanted, back, applied),
        added(replace(backend, key=stale), address + backend.read()[len(address) :]),
        added(affinity_match(frontend, stale), b"\0"),
    ):
        known = affinity(frontend, scene.ship.ip)
        known.write(affinity_value(scene.lab, scene.source, stale))
        try:
            yield (
                lambda: (known.find() or b"")[_AFFINITY_BACKEND] == stale
            )  # the other bytes change with each use
        finally:
            if known.find() is not None:
                known.delete()


def _wrong_target_port(scene: Scene) -> Injected:
    """The Service has a targetPort without a listener, and the datapath follows."""

    def applied() -> bool:
        backend = service_backend(scene.slot(OUTPOST, 1)).find()  # None while it is replaced
        return backend is not None and backend[_port_at(scene) :][:2] == (81).to_bytes(2, "big")

    path = service_path(OUTPOST)
    ports = [[{"name": "http", "port": 80, "targetPort": target}] for target in (81, 80)]
    wrong, right = ({"spec": {"ports": spec}} for spec in ports)
    return objects.changed(scene.api, path, wrong, right, applied)


def _one_of_two_backends(scene: Scene) -> maps.MapEntry:
    """The far backend of the Service of both deathstars."""
    slots = (scene.slot(BOTH, number) for number in (1, 2))
    backends = (service_backend(slot) for slot in slots)
    return next(one for one in backends if one.read().startswith(_packed(scene.far)))


def _leftover_entry(scene: Scene) -> Injected:
    """Conntrack sends the ship's next connections to the near deathstar, which is not a backend of that Service."""
    near = scene.slot(LOCAL, 1).read()[:4]
    return conntrack.backend_chosen_before(scene.lab, scene.ship, scene.service_ip(OUTPOST), near)


def _unexpected_affinity(scene: Scene) -> Injected:
    """A frontend with session affinity, although the Service has none."""
    frontend = scene.slot(OUTPOST, 0)
    flags = frontend.read()[_FLAGS] | _HAS_AFFINITY
    return changed(frontend, patched(_FLAGS, bytes((flags,))))


def _socket_lb_detached(scene: Scene, *, unpinned: bool) -> Injected:
    return programs.socket_lb_detached(scene.lab, scene.api, scene.source, unpinned=unpinned)


LOOKUP = HopName.SERVICE_LOOKUP

_OTHER_REVERSE_NAT = Fault(
    "frontend-with-the-reverse-nat-of-another",
    lambda s: changed(s.slot(OUTPOST, 0), patched(_REVERSE_NAT, s.slot(LOCAL, 0).read()[6:8])),
    broken(LOOKUP, "ReverseNATMismatch"),
    Target.SERVICE,
)

FAULTS = (
    Fault(
        "backend-chosen-by-an-older-entry",
        _leftover_entry,
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
        "node-port-frontend-missing",  # socket load balancing finds the wildcard entry
        lambda s: deleted(s.node_port_slot(OUTPOST, 0)),
        degraded(LOOKUP, "FrontendMissing"),
        Target.NODE_PORT,
        modes=NODE_PORTS,
    ),
    Fault("backend-wrong-address", _moved_backend, broken(LOOKUP, "BackendMismatch"), Target.SERVICE),
    Fault("backend-wrong-port", _wrong_port, broken(LOOKUP, "BackendMismatch"), Target.SERVICE),
    Fault("backend-stale", _extra_backend, either(LOOKUP, "BackendStale"), Target.SERVICE),
    Fault(
        "affinity-remembers-a-dead-backend",
        _affinity_to_stale_backend,
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
        lambda s: changed(reverse_nat(s.slot(OUTPOST, 0)), patched(_port_at(s), (81).to_bytes(2, "big"))),
        broken(HopName.REPLY_TRANSLATION, "ReverseNATMismatch"),
        Target.SERVICE,
        modes=PER_PACKET_LB,
    ),
    replace(_OTHER_REVERSE_NAT, modes=PER_PACKET_LB),
    latent(_OTHER_REVERSE_NAT, NODE_PORTS),
    Fault(
        "affinity-that-nobody-asked-for",
        _unexpected_affinity,
        degraded(LOOKUP, "AffinityMismatch"),
        Target.SERVICE,
    ),
    Fault(
        "sockets-detached",
        lambda s: _socket_lb_detached(s, unpinned=False),
        broken(HopName.SERVICE_TRANSLATION, "ProgramMissing"),
        Target.SERVICE,
        modes=NODE_PORTS,
    ),
    Fault(
        "sockets-unpinned",
        lambda s: _socket_lb_detached(s, unpinned=True),
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
    Fault("no-ready-endpoints", _no_pod_selected, broken(LOOKUP, "NoReadyBackends"), Target.SERVICE),
)
