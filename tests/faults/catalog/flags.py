"""Faults of single bits in map entries, and of unexpected entries; the rest of each entry is correct."""

from dataclasses import replace

from datapath_probe.api.vocabulary import HopName
from e2e.galaxy import Pod
from faults.fault import At, Fault, broken, latent
from faults.inject.in_place import Injected
from faults.inject.maps import MapEntry, added, changed, endpoint_entry, ipcache_entry, patched
from faults.inject.policies import Direction, allow_all_entry, map_entry
from faults.modes import NODE_PORTS, TUNNELED, WITH_ENDPOINT_ROUTES, WITHOUT_ENDPOINT_ROUTES
from faults.scene import OUTPOST, Scene, Target

# offset of the flags, and the bits for addresses of the host and for endpoints in the host network
_OF_ENDPOINT, _HOST, _AT_HOST = 8, 1, 2
_OF_IPCACHE, _SKIP_TUNNEL = 23, 1
_OF_FRONTEND, _EXTERNAL_IP = 8, 1
_DENY_THIS_PORT = bytes((0, 0, 24 << 3 & 0xFF | 1, 0))  # all bits of protocol and port count
# offsets of authentication type and proxy port in a policy map entry
_AUTHENTICATED, _TO_A_PROXY = (3, bytes((1 << 7 | 1,))), (0, (10999).to_bytes(2, "big"))
_SIZE_1_18 = 8  # of a policy map entry; later versions have a precedence


def _set(entry: MapEntry, octet: int, bit: int) -> Injected:
    return changed(entry, lambda value: value[:octet] + bytes((value[octet] | bit,)) + value[octet + 1 :])


def _denied(scene: Scene, pod: Pod, direction: Direction, peer: Pod) -> Injected:
    size = len(allow_all_entry(scene.lab, pod, direction).read())
    precedence = b"\xff" * 4 if size > _SIZE_1_18 else b""
    value = (_DENY_THIS_PORT + precedence).ljust(size, b"\0")
    return added(map_entry(scene.lab, pod, direction, peer.identity), value)


MISMATCH = "EndpointEntryMismatch"

_HOST_FLAGS = (
    Fault(
        "endpoint-taken-for-the-host",
        lambda s: _set(endpoint_entry(s.lab, s.destination, s.far.ip), _OF_ENDPOINT, _HOST),
        broken(HopName.ENDPOINT_LOOKUP, MISMATCH, At.DESTINATION),
    ),
    Fault(
        "endpoint-taken-for-the-host-same-node",
        lambda s: _set(endpoint_entry(s.lab, s.source, s.near.ip), _OF_ENDPOINT, _HOST),
        broken(HopName.ENDPOINT_LOOKUP, MISMATCH),
        Target.NEAR,
    ),
    Fault(
        "endpoint-taken-for-one-of-the-hosts-network",
        lambda s: _set(endpoint_entry(s.lab, s.destination, s.far.ip), _OF_ENDPOINT, _AT_HOST),
        broken(HopName.ENDPOINT_LOOKUP, MISMATCH, At.DESTINATION),
    ),
    Fault(
        "reply-endpoint-taken-for-the-host",
        lambda s: _set(endpoint_entry(s.lab, s.source, s.ship.ip), _OF_ENDPOINT, _HOST),
        broken(HopName.REPLY_DELIVERY, MISMATCH),
    ),
)

FAULTS = (
    *(replace(fault, modes=TUNNELED & WITHOUT_ENDPOINT_ROUTES) for fault in _HOST_FLAGS),
    *(latent(fault, WITH_ENDPOINT_ROUTES) for fault in _HOST_FLAGS),
    Fault(
        "ipcache-skips-the-tunnel",
        lambda s: _set(ipcache_entry(s.lab, s.source, s.far.ip), _OF_IPCACHE, _SKIP_TUNNEL),
        broken(HopName.IPCACHE_LOOKUP, "WrongTunnelEndpoint"),
        modes=TUNNELED,
    ),
    Fault(
        "frontend-taken-for-an-external-ip",
        lambda s: _set(s.slot(OUTPOST, 0), _OF_FRONTEND, _EXTERNAL_IP),
        broken(HopName.SERVICE_LOOKUP, "ServiceFlagsMismatch"),
        Target.SERVICE,
        modes=NODE_PORTS,  # only socket load balancing uses it
    ),
    Fault(
        "policy-map-wants-an-authentication-source",
        lambda s: changed(allow_all_entry(s.lab, s.ship, Direction.EGRESS), patched(*_AUTHENTICATED)),
        broken(HopName.EGRESS_POLICY, "PolicyMapMismatch"),
    ),
    Fault(
        "policy-map-wants-an-authentication-destination",
        lambda s: changed(allow_all_entry(s.lab, s.far, Direction.INGRESS), patched(*_AUTHENTICATED)),
        broken(HopName.INGRESS_POLICY, "PolicyMapMismatch", At.DESTINATION),
    ),
    Fault(
        "policy-map-leads-to-a-proxy-source",
        lambda s: changed(allow_all_entry(s.lab, s.ship, Direction.EGRESS), patched(*_TO_A_PROXY)),
        broken(HopName.EGRESS_POLICY, "PolicyMapMismatch"),
    ),
    Fault(
        "policy-map-leads-to-a-proxy-destination",
        lambda s: changed(allow_all_entry(s.lab, s.far, Direction.INGRESS), patched(*_TO_A_PROXY)),
        broken(HopName.INGRESS_POLICY, "PolicyMapMismatch", At.DESTINATION),
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
