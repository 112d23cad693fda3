"""The ipcache of either node: what it knows of the pod at the other end."""

from ipaddress import ip_address

from datapath_probe.api.vocabulary import HopName
from faults.fault import At, Expected, Fault, degraded, either
from faults.inject.in_place import Injected
from faults.inject.maps import MapEntry, changed, deleted, ipcache_entry, not_used, patched
from faults.modes import TUNNELED, Mode
from faults.scene import Scene, Target

_NOBODY = ip_address("172.30.0.99").packed
_STRANGER = (4242).to_bytes(4, "little")
_IDENTITY, _TUNNEL = 0, 4


def _way_there(scene: Scene) -> MapEntry:
    return ipcache_entry(scene.lab, scene.source, scene.far.ip)


def _way_back(scene: Scene) -> MapEntry:
    return ipcache_entry(scene.lab, scene.destination, scene.ship.ip)


def _near(scene: Scene) -> MapEntry:
    return ipcache_entry(scene.lab, scene.source, scene.near.ip)


def _missing(entry: MapEntry) -> Injected:
    return deleted(entry)


def _wrong_identity(entry: MapEntry) -> Injected:
    return changed(entry, patched(_IDENTITY, _STRANGER))


def _wrong_node(entry: MapEntry) -> Injected:
    return changed(entry, patched(_TUNNEL, _NOBODY))


def _no_tunnel(entry: MapEntry) -> Injected:
    return changed(entry, lambda value: value[:4] + bytes(20))


THERE, BACK = HopName.IPCACHE_LOOKUP, HopName.REPLY_IPCACHE

FAULTS = (
    Fault("ipcache-entry-missing", lambda s: _missing(_way_there(s)), either(THERE, "IpcacheEntryMissing")),
    Fault("ipcache-wrong-identity", lambda s: _wrong_identity(_way_there(s)), either(THERE, "WrongIdentity")),
    Fault(
        "ipcache-wrong-tunnel-endpoint",
        lambda s: _wrong_node(_way_there(s)),
        either(THERE, "WrongTunnelEndpoint"),
    ),
    Fault(
        "ipcache-wrong-tunnel-endpoint-service",
        lambda s: _wrong_node(_way_there(s)),
        either(THERE, "WrongTunnelEndpoint"),
        Target.SERVICE,
    ),
    Fault(
        "ipcache-tunnel-endpoint-unset",
        lambda s: _no_tunnel(_way_there(s)),
        either(THERE, "WrongTunnelEndpoint"),
    ),
    Fault(
        "ipcache-not-used",
        lambda s: not_used(s.lab, s.source, "cilium_ipcache_v2"),
        # while the agent is young, it may still load its programs anew
        (*degraded(THERE, "StaleMapInUse"), Expected("Unknown", "InTransition")),
    ),
    Fault(
        "ipcache-entry-missing-same-node",
        lambda s: _missing(_near(s)),
        degraded(THERE, "IpcacheEntryMissing"),
        Target.NEAR,
    ),
    Fault(
        "reply-ipcache-entry-missing",
        lambda s: _missing(_way_back(s)),
        either(BACK, "IpcacheEntryMissing", At.DESTINATION),
        modes=TUNNELED,
    ),
    Fault(
        "reply-ipcache-wrong-identity",
        lambda s: _wrong_identity(_way_back(s)),
        either(BACK, "WrongIdentity", At.DESTINATION),
        modes=TUNNELED,
    ),
    # natively routed packets carry no identity: the node takes the source's from there
    Fault(
        "reply-ipcache-entry-missing",
        lambda s: _missing(_way_back(s)),
        either(HopName.SOURCE_IDENTITY, "IpcacheEntryMissing", At.DESTINATION),
        modes=frozenset({Mode.NATIVE}),
    ),
    Fault(
        "reply-ipcache-wrong-identity",
        lambda s: _wrong_identity(_way_back(s)),
        either(HopName.SOURCE_IDENTITY, "WrongIdentity", At.DESTINATION),
        modes=frozenset({Mode.NATIVE}),
    ),
    Fault(
        "reply-ipcache-wrong-tunnel-endpoint",
        lambda s: _wrong_node(_way_back(s)),
        either(BACK, "WrongTunnelEndpoint", At.DESTINATION),
    ),
)
