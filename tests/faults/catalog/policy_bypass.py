"""Packets that bypass their policy or are matched with a wrong identity: they pass although denied, or the reverse. The
fault lies before the policy.
"""

from datapath_probe.api.vocabulary import HopName
from e2e.api import Object
from e2e.galaxy import NAMESPACE
from faults.catalog.policy import CNP, SHIPS, STARS
from faults.fault import At, Fault, broken
from faults.inject import objects, programs
from faults.inject.in_place import Injected
from faults.inject.maps import changed, ipcache_entry, patched
from faults.inject.policies import CILIUM, Direction, enforced, map_entry, policy
from faults.inject.probing import all_of, expected_denied
from faults.modes import WITH_ENDPOINT_ROUTES, Mode
from faults.scene import SHIP, Scene, Target

_OTHER_IDENTITY = (4242).to_bytes(4, "little")
_NO_STARS: Object = {
    "endpointSelector": SHIPS,
    "egress": [{"toEntities": ["all"]}],
    "egressDeny": [{"toEndpoints": [STARS]}],
}
_NO_SHIPS: Object = {
    "endpointSelector": STARS,
    "ingress": [{"fromEntities": ["all"]}],
    "ingressDeny": [{"fromEndpoints": [SHIPS]}],
}
_ONLY_STARS: Object = {
    "endpointSelector": SHIPS,
    "egress": [
        {"toEndpoints": [STARS]},
        {"toEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": "kube-system"}}]},
    ],
}


def _denied_on_egress(scene: Scene, fault: Injected) -> Injected:
    denial = enforced(
        scene.lab, scene.api, policy(CNP, _NO_STARS), scene.ship, Direction.EGRESS, scene.far.identity
    )
    return expected_denied(scene.api, f"{SHIP}-to-{Target.FAR}", denial, fault)


def _denied_on_ingress(scene: Scene, fault: Injected) -> Injected:
    denial = enforced(
        scene.lab, scene.api, policy(CNP, _NO_SHIPS), scene.far, Direction.INGRESS, scene.ship.identity
    )
    return expected_denied(scene.api, f"{SHIP}-to-{Target.FAR}", denial, fault)


def _only_to_the_stars(scene: Scene) -> Injected:
    """A policy that allows the ship to reach the deathstars only."""
    entry = map_entry(scene.lab, scene.ship, Direction.EGRESS, scene.far.identity)
    others = map_entry(scene.lab, scene.ship, Direction.EGRESS, 0)
    path = f"{CILIUM}/namespaces/{NAMESPACE}/ciliumnetworkpolicies"
    only_stars = policy(CNP, _ONLY_STARS)
    return objects.created(
        scene.api, path, only_stars, lambda: entry.find() is not None and others.find() is None
    )


def _wrong_identity(scene: Scene, node: str, ip: str) -> Injected:
    return changed(ipcache_entry(scene.lab, node, ip), patched(0, _OTHER_IDENTITY))


FAULTS = (
    Fault(
        "denial-bypassed-without-the-sources-program",
        lambda s: _denied_on_egress(s, programs.detached_from_pod(s.lab, s.ship, "cil_from_container")),
        broken(HopName.SOURCE_PROGRAM, "ProgramMissing"),
    ),
    Fault(
        "denial-passed-by-a-wrong-identity-of-the-destination",
        lambda s: _denied_on_egress(s, _wrong_identity(s, s.source, s.far.ip)),
        broken(HopName.IPCACHE_LOOKUP, "WrongIdentity"),
    ),
    Fault(
        "denial-passed-by-a-wrong-identity-of-the-source",
        lambda s: _denied_on_ingress(s, _wrong_identity(s, s.destination, s.ship.ip)),
        broken(HopName.SOURCE_IDENTITY, "WrongIdentity", At.DESTINATION),
        modes=frozenset({Mode.NATIVE}),
    ),
    Fault(
        "denial-bypassed-without-the-destinations-program",
        lambda s: _denied_on_ingress(s, programs.detached_from_pod(s.lab, s.far, "cil_to_container")),
        broken(HopName.DESTINATION_PROGRAM, "ProgramMissing", At.DESTINATION),
        modes=WITH_ENDPOINT_ROUTES,
    ),
    Fault(
        "denied-for-a-wrong-identity-of-the-destination",
        lambda s: all_of(_only_to_the_stars(s), _wrong_identity(s, s.source, s.far.ip)),
        broken(HopName.IPCACHE_LOOKUP, "WrongIdentity"),
    ),
    Fault(
        "denied-for-a-wrong-identity-of-the-destination-service",
        lambda s: all_of(_only_to_the_stars(s), _wrong_identity(s, s.source, s.far.ip)),
        broken(HopName.IPCACHE_LOOKUP, "WrongIdentity"),
        Target.SERVICE,
    ),
)
