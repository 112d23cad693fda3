"""Faults of the endpoint map, by which a node delivers packets to its own pods.

With endpoint routes the node's stack delivers them: then a wrong map breaks no request.
"""

from dataclasses import replace

from datapath_probe.api.vocabulary import HopName
from e2e.galaxy import Pod
from faults.fault import At, Fault, broken, degraded, either, latent
from faults.inject.in_place import Injected
from faults.inject.maps import MapEntry, added, changed, deleted, endpoint_entry, patched
from faults.modes import PAST_QUEUES, THROUGH_QUEUES, WITH_ENDPOINT_ROUTES, WITHOUT_ENDPOINT_ROUTES
from faults.scene import Scene, Target

_IFINDEX, _ENDPOINT, _MAC, _IDENTITY = 0, 6, 16, 32
_LOOPBACK = (1).to_bytes(4, "little")
_UNUSED_MAC = bytes.fromhex("020000000099")


def _entry(scene: Scene, pod: Pod) -> MapEntry:
    return endpoint_entry(scene.lab, pod.node, pod.ip)


def _copied_to_the_source(scene: Scene) -> Injected:
    """The ship's node has an entry for the far deathstar."""
    value = _entry(scene, scene.far).read()
    return added(endpoint_entry(scene.lab, scene.source, scene.far.ip), value)


def _source_copied_to_the_destination(scene: Scene) -> Injected:
    """The far deathstar's node has an entry for the ship."""
    value = endpoint_entry(scene.lab, scene.source, scene.ship.ip).read()
    return added(endpoint_entry(scene.lab, scene.destination, scene.ship.ip), value)


FORWARD, REPLY = HopName.ENDPOINT_LOOKUP, HopName.REPLY_DELIVERY
MISSING, WRONG = "EndpointEntryMissing", "EndpointEntryMismatch"

_OF_PODS = (
    Fault("endpoint-missing", lambda s: deleted(_entry(s, s.far)), broken(FORWARD, MISSING, At.DESTINATION)),
    Fault(
        "endpoint-missing-same-node",
        lambda s: deleted(_entry(s, s.near)),
        broken(FORWARD, MISSING),
        Target.NEAR,
    ),
    Fault(
        "endpoint-missing-service",
        lambda s: deleted(_entry(s, s.far)),
        broken(FORWARD, MISSING, At.DESTINATION),
        Target.SERVICE,
    ),
    Fault(
        "endpoint-wrong-ifindex",
        lambda s: changed(_entry(s, s.far), patched(_IFINDEX, _LOOPBACK)),
        either(FORWARD, WRONG, At.DESTINATION),
    ),
    Fault(
        "endpoint-wrong-id",
        lambda s: changed(_entry(s, s.far), patched(_ENDPOINT, (3999).to_bytes(2, "little"))),
        broken(FORWARD, WRONG, At.DESTINATION),
    ),
    Fault(
        "endpoint-of-another-pod",
        lambda s: changed(_entry(s, s.far), lambda _: _entry(s, s.on_far_node).read()),
        broken(FORWARD, WRONG, At.DESTINATION),
    ),
    Fault("reply-endpoint-missing", lambda s: deleted(_entry(s, s.ship)), broken(REPLY, MISSING)),
    Fault(
        "reply-endpoint-wrong-ifindex",
        lambda s: changed(_entry(s, s.ship), patched(_IFINDEX, _LOOPBACK)),
        either(REPLY, WRONG),
    ),
)

_WRONG_MACS = (
    Fault(
        "endpoint-wrong-mac",
        lambda s: changed(_entry(s, s.far), patched(_MAC, _UNUSED_MAC)),
        broken(FORWARD, WRONG, At.DESTINATION),
    ),
    Fault(
        "reply-endpoint-wrong-mac",
        lambda s: changed(_entry(s, s.ship), patched(_MAC, _UNUSED_MAC)),
        broken(REPLY, WRONG),
    ),
)

FAULTS = (
    *(replace(fault, modes=WITHOUT_ENDPOINT_ROUTES) for fault in _OF_PODS),
    *(latent(fault, WITH_ENDPOINT_ROUTES) for fault in _OF_PODS),
    *(replace(fault, modes=WITHOUT_ENDPOINT_ROUTES & THROUGH_QUEUES) for fault in _WRONG_MACS),
    *(latent(fault, WITH_ENDPOINT_ROUTES | PAST_QUEUES) for fault in _WRONG_MACS),
    Fault(
        "endpoint-with-another-identity",
        lambda s: changed(_entry(s, s.far), patched(_IDENTITY, (99).to_bytes(4, "little"))),
        degraded(FORWARD, WRONG, At.DESTINATION),
    ),
    Fault(
        "endpoint-of-another-node",
        _copied_to_the_source,
        broken(HopName.LOCALITY_LOOKUP, "UnexpectedLocalEndpoint"),
        modes=WITHOUT_ENDPOINT_ROUTES,
    ),
    Fault(
        "source-endpoint-of-another-node",
        _source_copied_to_the_destination,
        broken(HopName.REPLY_IPCACHE, "UnexpectedLocalEndpoint", At.DESTINATION),
        modes=WITHOUT_ENDPOINT_ROUTES,
    ),
)
