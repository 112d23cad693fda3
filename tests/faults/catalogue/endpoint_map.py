"""The endpoint map, which leads to the pods of a node, and only to those."""

from datapath_probe.api.vocabulary import HopName
from e2e.galaxy import Pod
from faults.fault import At, Fault, broken, either
from faults.inject.in_place import Injected
from faults.inject.maps import MapEntry, added, changed, deleted, endpoint_entry, patched
from faults.scene import Scene, Target

_IFINDEX, _ENDPOINT, _MAC = 0, 6, 16
_LOOPBACK = (1).to_bytes(4, "little")
_NOBODY = bytes.fromhex("020000000099")


def _entry(scene: Scene, pod: Pod) -> MapEntry:
    return endpoint_entry(scene.lab, pod.node, pod.ip)


def _copied_to_the_source(scene: Scene) -> Injected:
    """The ship's node takes the far deathstar for one of its own."""
    value = _entry(scene, scene.far).read()
    return added(endpoint_entry(scene.lab, scene.source, scene.far.ip), value)


FORWARD, BACK = HopName.ENDPOINT_LOOKUP, HopName.REPLY_DELIVERY
MISSING, WRONG = "EndpointEntryMissing", "EndpointEntryMismatch"

FAULTS = (
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
        "endpoint-wrong-mac",
        lambda s: changed(_entry(s, s.far), patched(_MAC, _NOBODY)),
        broken(FORWARD, WRONG, At.DESTINATION),
    ),
    Fault("reply-endpoint-missing", lambda s: deleted(_entry(s, s.ship)), broken(BACK, MISSING)),
    Fault(
        "reply-endpoint-wrong-ifindex",
        lambda s: changed(_entry(s, s.ship), patched(_IFINDEX, _LOOPBACK)),
        either(BACK, WRONG),
    ),
    Fault(
        "reply-endpoint-wrong-mac",
        lambda s: changed(_entry(s, s.ship), patched(_MAC, _NOBODY)),
        broken(BACK, WRONG),
    ),
    Fault(
        "endpoint-of-another-node",
        _copied_to_the_source,
        broken(HopName.LOCALITY_LOOKUP, "UnexpectedLocalEndpoint"),
    ),
)
