"""Faults of the ipcache on either node: the entry of the pod on the other node."""

from ipaddress import ip_address

from datapath_probe.api.vocabulary import HopName
from faults.fault import At, Expected, Fault, degraded, either
from faults.inject.in_place import Injected
from faults.inject.maps import MapEntry, changed, deleted, ipcache_entry, patched, replaced_by_empty
from faults.modes import TUNNELED, Mode
from faults.scene import Scene, Target

_UNUSED_IP = ip_address("172.30.0.99").packed
_OTHER_IDENTITY = (4242).to_bytes(4, "little")
_IDENTITY, _TUNNEL = 0, 4


def _forward_entry(scene: Scene) -> MapEntry:
    return ipcache_entry(scene.lab, scene.source, scene.far.ip)


def _reply_entry(scene: Scene) -> MapEntry:
    return ipcache_entry(scene.lab, scene.destination, scene.ship.ip)


def _near_entry(scene: Scene) -> MapEntry:
    return ipcache_entry(scene.lab, scene.source, scene.near.ip)


def _missing(entry: MapEntry) -> Injected:
    return deleted(entry)


def _wrong_identity(entry: MapEntry) -> Injected:
    return changed(entry, patched(_IDENTITY, _OTHER_IDENTITY))


def _wrong_node(entry: MapEntry) -> Injected:
    return changed(entry, patched(_TUNNEL, _UNUSED_IP))


def _no_tunnel(entry: MapEntry) -> Injected:
    return changed(entry, lambda value: value[:4] + bytes(20))


FORWARD, REPLY = HopName.IPCACHE_LOOKUP, HopName.REPLY_IPCACHE

FAULTS = (
    Fault(
        "ipcache-entry-missing", lambda s: _missing(_forward_entry(s)), either(FORWARD, "IpcacheEntryMissing")
    ),
    Fault(
        "ipcache-wrong-identity",
        lambda s: _wrong_identity(_forward_entry(s)),
        either(FORWARD, "WrongIdentity"),
    ),
    Fault(
        "ipcache-wrong-tunnel-endpoint",
        lambda s: _wrong_node(_forward_entry(s)),
        either(FORWARD, "WrongTunnelEndpoint"),
    ),
    Fault(
        "ipcache-wrong-tunnel-endpoint-service",
        lambda s: _wrong_node(_forward_entry(s)),
        either(FORWARD, "WrongTunnelEndpoint"),
        Target.SERVICE,
    ),
    Fault(
        "ipcache-tunnel-endpoint-unset",
        lambda s: _no_tunnel(_forward_entry(s)),
        either(FORWARD, "WrongTunnelEndpoint"),
    ),
    Fault(
        "ipcache-not-used",
        lambda s: replaced_by_empty(s.lab, s.source, "cilium_ipcache_v2"),
        # an agent that has just started may still reload its programs
        (*degraded(FORWARD, "StaleMapInUse"), Expected("Unknown", "InTransition")),
    ),
    Fault(
        "ipcache-entry-missing-same-node",
        lambda s: _missing(_near_entry(s)),
        degraded(FORWARD, "IpcacheEntryMissing"),
        Target.NEAR,
    ),
    Fault(
        "reply-ipcache-entry-missing",
        lambda s: _missing(_reply_entry(s)),
        either(REPLY, "IpcacheEntryMissing", At.DESTINATION),
        modes=TUNNELED,
    ),
    Fault(
        "reply-ipcache-wrong-identity",
        lambda s: _wrong_identity(_reply_entry(s)),
        either(REPLY, "WrongIdentity", At.DESTINATION),
        modes=TUNNELED,
    ),
    # natively routed packets carry no identity: the node looks it up in the ipcache
    Fault(
        "reply-ipcache-entry-missing",
        lambda s: _missing(_reply_entry(s)),
        either(HopName.SOURCE_IDENTITY, "IpcacheEntryMissing", At.DESTINATION),
        modes=frozenset({Mode.NATIVE}),
    ),
    Fault(
        "reply-ipcache-wrong-identity",
        lambda s: _wrong_identity(_reply_entry(s)),
        either(HopName.SOURCE_IDENTITY, "WrongIdentity", At.DESTINATION),
        modes=frozenset({Mode.NATIVE}),
    ),
    Fault(
        "reply-ipcache-wrong-tunnel-endpoint",
        lambda s: _wrong_node(_reply_entry(s)),
        either(REPLY, "WrongTunnelEndpoint", At.DESTINATION),
    ),
)
