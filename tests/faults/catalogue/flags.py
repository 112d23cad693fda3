"""Single bits of map entries, and entries that nobody asked for: all else in them is as it should be."""

from dataclasses import replace

from datapath_probe.api.vocabulary import HopName
from e2e.galaxy import Pod
from faults.fault import At, Fault, broken, latent
from faults.inject.in_place import Injected
from faults.inject.maps import MapEntry, added, changed, endpoint_entry, ipcache_entry
from faults.inject.policies import Direction, allow_all_entry, map_entry
from faults.modes import BY_ENDPOINT_MAP, BY_ROUTES, TUNNELED
from faults.scene import Scene, Target

_OF_ENDPOINT, _HOST = 8, 1  # octet of the flags, and the bit for the host's own addresses
_OF_IPCACHE, _SKIP_TUNNEL = 23, 1
_DENY_THIS_PORT = bytes((0, 0, 24 << 3 & 0xFF | 1, 0))  # all bits of protocol and port count
_SIZE_1_18 = 8  # of an entry of a policy map; later ones have a precedence


def _set(entry: MapEntry, octet: int, bit: int) -> Injected:
    return changed(entry, lambda value: value[:octet] + bytes((value[octet] | bit,)) + value[octet + 1 :])


def _denied(scene: Scene, pod: Pod, direction: Direction, peer: Pod) -> Injected:
    size = len(allow_all_entry(scene.lab, pod, direction).read())
    precedence = b"\xff" * 4 if size > _SIZE_1_18 else b""
    value = (_DENY_THIS_PORT + precedence).ljust(size, b"\0")
    return added(map_entry(scene.lab, pod, direction, peer.identity), value)


TAKEN = "EndpointEntryMismatch"

_TAKEN_FOR_THE_HOST = (
    Fault(
        "endpoint-taken-for-the-host",
        lambda s: _set(endpoint_entry(s.lab, s.destination, s.far.ip), _OF_ENDPOINT, _HOST),
        broken(HopName.ENDPOINT_LOOKUP, TAKEN, At.DESTINATION),
    ),
    Fault(
        "endpoint-taken-for-the-host-same-node",
        lambda s: _set(endpoint_entry(s.lab, s.source, s.near.ip), _OF_ENDPOINT, _HOST),
        broken(HopName.ENDPOINT_LOOKUP, TAKEN),
        Target.NEAR,
    ),
    Fault(
        "reply-endpoint-taken-for-the-host",
        lambda s: _set(endpoint_entry(s.lab, s.source, s.ship.ip), _OF_ENDPOINT, _HOST),
        broken(HopName.REPLY_DELIVERY, TAKEN),
    ),
)

FAULTS = (
    *(replace(fault, modes=TUNNELED & BY_ENDPOINT_MAP) for fault in _TAKEN_FOR_THE_HOST),
    *(latent(fault, BY_ROUTES) for fault in _TAKEN_FOR_THE_HOST),
    Fault(
        "ipcache-skips-the-tunnel",
        lambda s: _set(ipcache_entry(s.lab, s.source, s.far.ip), _OF_IPCACHE, _SKIP_TUNNEL),
        broken(HopName.IPCACHE_LOOKUP, "WrongTunnelEndpoint"),
        modes=TUNNELED,
    ),
    Fault(
        "policy-map-denies-what-no-policy-does-source",
        lambda s: _denied(s, s.ship, Direction.EGRESS, s.far),
        broken(HopName.EGRESS_POLICY, "PolicyMapMismatch"),
    ),
    Fault(
        "policy-map-denies-what-no-policy-does-destination",
        lambda s: _denied(s, s.far, Direction.INGRESS, s.ship),
        broken(HopName.INGRESS_POLICY, "PolicyMapMismatch", At.DESTINATION),
    ),
)
