"""The map key of each entry of Cilium's maps, by kind of fact.

Called by collectors that read maps, and by checks that need the name of the map.
"""

from collections.abc import Callable, Mapping
from typing import Final

from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ..bpf import bpftool
from ..bpf.map_key import MapKey
from . import conntrack, egress_gateway, ipcache, ipmasq, lbmap, lxcmap, natmap, policymap

MAP_KEYS: Final[Mapping[FactKind, Callable[[Fact], MapKey]]] = {
    FactKind.IPCACHE_ENTRY: ipcache.key,
    FactKind.ENDPOINT_ENTRY: lxcmap.key,
    FactKind.POLICY_ENTRY: policymap.key,
    FactKind.SERVICE_SLOT: lbmap.slot_key,
    FactKind.SERVICE_BACKEND: lbmap.backend_key,
    FactKind.REVERSE_NAT_ENTRY: lbmap.revnat_key,
    FactKind.CONNTRACK_ENTRY: conntrack.key,
    FactKind.NAT_ENTRY: natmap.key,
    FactKind.EGRESS_GATEWAY_ENTRY: egress_gateway.key,
    FactKind.MASQUERADE_EXCEPTION: ipmasq.key,
    FactKind.POLICY_PROGRAM: bpftool.policy_call_key,
    FactKind.ENDPOINT_TAIL_CALL: bpftool.endpoint_call_key,
    FactKind.OVERLAY_TAIL_CALL: bpftool.overlay_call_key,
}


def map_of(entry: Fact) -> str:
    """The name under which the map of an entry is pinned."""
    return MAP_KEYS[entry.kind](entry).map
