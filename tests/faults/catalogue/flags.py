"""Single bits of map entries, and entries that nobody asked for: all else in them is as it should be."""

from datapath_probe.api.vocabulary import HopName
from faults.fault import At, Fault, broken
from faults.inject.in_place import Injected
from faults.inject.maps import MapEntry, added, changed, endpoint_entry, ipcache_entry
from faults.inject.policies import Direction, map_entry
from faults.modes import TUNNELED
from faults.scene import Target

_OF_ENDPOINT, _HOST = 8, 1  # octet of the flags, and the bit for the host's own addresses
_OF_IPCACHE, _SKIP_TUNNEL = 23, 1
_DENY_THIS_PORT = bytes((0, 0, 24 << 3 & 0xFF | 1, 0, 0, 0, 0, 0))  # all bits of protocol and port count


def _set(entry: MapEntry, octet: int, bit: int) -> Injected:
    return changed(entry, lambda value: value[:octet] + bytes((value[octet] | bit,)) + value[octet + 1 :])


TAKEN = "EndpointEntryMismatch"

FAULTS = (
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
    Fault(
        "ipcache-skips-the-tunnel",
        lambda s: _set(ipcache_entry(s.lab, s.source, s.far.ip), _OF_IPCACHE, _SKIP_TUNNEL),
        broken(HopName.IPCACHE_LOOKUP, "WrongTunnelEndpoint"),
        modes=TUNNELED,
    ),
    Fault(
        "policy-map-denies-what-no-policy-does-source",
        lambda s: added(map_entry(s.lab, s.ship, Direction.EGRESS, s.far.identity), _DENY_THIS_PORT),
        broken(HopName.EGRESS_POLICY, "PolicyMapMismatch"),
    ),
    Fault(
        "policy-map-denies-what-no-policy-does-destination",
        lambda s: added(map_entry(s.lab, s.far, Direction.INGRESS, s.ship.identity), _DENY_THIS_PORT),
        broken(HopName.INGRESS_POLICY, "PolicyMapMismatch", At.DESTINATION),
    ),
)
