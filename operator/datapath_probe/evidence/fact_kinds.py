"""The kinds of facts, and the parameters of each: the closed list of what a collector can be asked for.

The name of a map is a parameter if it depends on the version of Cilium: an upgraded node has maps of both versions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from .parameters import (
    Check,
    address,
    bits,
    cgroup,
    device_name,
    fitting,
    name,
    namespace_name,
    one_of,
    path,
    several,
    uid,
)


class FactKind(StrEnum):
    """Values are written into evidence bundles. Never rename one."""

    # entries of Cilium's maps
    IPCACHE_ENTRY = "ipcache-entry"
    ENDPOINT_ENTRY = "endpoint-entry"
    POLICY_ENTRY = "policy-entry"
    SERVICE_SLOT = "service-slot"
    SERVICE_BACKEND = "service-backend"
    REVERSE_NAT_ENTRY = "reverse-nat-entry"
    CONNTRACK_ENTRY = "conntrack-entry"
    NAT_ENTRY = "nat-entry"
    EGRESS_GATEWAY_ENTRY = "egress-gateway-entry"
    MASQUERADE_EXCEPTION = "masquerade-exception"
    POLICY_PROGRAM = "policy-program"
    ENDPOINT_TAIL_CALL = "endpoint-tail-call"
    OVERLAY_TAIL_CALL = "overlay-tail-call"
    # eBPF objects of the kernel
    PINNED_MAP = "pinned-map"
    MAPS_BY_NAME = "maps-by-name"
    PROGRAM = "program"
    PROGRAM_CODE = "program-code"
    PROGRAMS_BY_NAME = "programs-by-name"
    ATTACHED_PROGRAMS = "attached-programs"
    ENDPOINT_PROGRAM_LINK = "endpoint-program-link"
    DEVICE_PROGRAM_LINK = "device-program-link"
    CGROUP_PROGRAM_LINK = "cgroup-program-link"
    CGROUP_PROGRAMS = "cgroup-programs"
    # the network stack of a node, or of a pod by its network namespace
    LINK = "link"
    LINK_COUNTERS = "link-counters"
    ROUTE = "route"
    ROUTES = "routes"
    LOCAL_ADDRESS = "local-address"
    ROUTING_RULES = "routing-rules"
    NEIGHBOR = "neighbor"
    NEIGHBORS = "neighbors"
    QDISCS = "qdiscs"
    TC_FILTERS = "tc-filters"
    SOCKETS = "sockets"
    IPTABLES_RULES = "iptables-rules"
    NFTABLES_RULES = "nftables-rules"
    MASQUERADE_RULES = "masquerade-rules"
    KERNEL_CONNTRACK_ENTRY = "kernel-conntrack-entry"
    XFRM_POLICIES = "xfrm-policies"
    XFRM_DEFAULTS = "xfrm-defaults"
    XFRM_STATES = "xfrm-states"
    KERNEL_COUNTERS = "kernel-counters"
    NAMESPACE_ADDRESSES = "namespace-addresses"
    NAMESPACE_DEVICES = "namespace-devices"
    UPTIME = "uptime"
    # the Cilium agent
    AGENT_VERSION = "agent-version"
    AGENT_CONFIG = "agent-config"
    AGENT_ENDPOINT = "agent-endpoint"
    AGENT_ENDPOINT_BY_ADDRESS = "agent-endpoint-by-address"
    POLICY_RULES = "policy-rules"
    POLICY_SELECTORS = "policy-selectors"
    BPF_METRICS = "bpf-metrics"
    MAP_PRESSURE = "map-pressure"
    # what happens to packets
    HUBBLE_SOCKET = "hubble-socket"
    FLOWS = "flows"
    ICMP_FLOWS = "icmp-flows"
    NEWEST_FLOW = "newest-flow"
    MONITOR_DROPS = "monitor-drops"
    MONITOR_TRACES = "monitor-traces"
    CAPTURE = "capture"


@dataclass(frozen=True, slots=True)
class Parameters:
    """The required and the optional parameters of a kind. A fact keeps them in this order."""

    required: Mapping[str, Check]
    optional: Mapping[str, Check]


def _endpoint(value: object) -> int:
    return fitting(value, 16)


_BYTE, _PORT, _LONG = bits(8), bits(16), bits(32)
_FAMILY, _DIRECTION = one_of(4, 6), one_of("ingress", "egress")
# Where the version of IP is a parameter of its own, IPv4 is the default.
_VERSION: Final[Mapping[str, Check]] = {"family": one_of(6)}
_SECONDS = bits(32)
_INSIDE: Final[Mapping[str, Check]] = {"namespace": namespace_name}
_SERVICE: Final[Mapping[str, Check]] = {
    "address": address,
    "port": _PORT,
    "protocol": _BYTE,
    "scope": one_of("external", "internal"),
    "slot": _PORT,
}
_POLICY: Final[Mapping[str, Check]] = {
    "map": name,
    "endpoint": _endpoint,
    "direction": _DIRECTION,
    "identity": _LONG,
    "protocol": _BYTE,
    "port": _PORT,
}
_TUPLE: Final[Mapping[str, Check]] = {
    "client": address,
    "client_port": _PORT,
    "server": address,
    "server_port": _PORT,
}
_CONNTRACK: Final[Mapping[str, Check]] = {
    "entry": one_of("service", "out", "in", "related"),
    **_TUPLE,
    "protocol": _BYTE,
}
_PACKET: Final[Mapping[str, Check]] = {
    "source": address,
    "input_device": device_name,
    "protocol": one_of("tcp", "udp"),
    "source_port": _PORT,
    "destination_port": _PORT,
    "mark": _LONG,
    **_INSIDE,
}


def _of(optional: Mapping[str, Check] | None = None, **required: Check) -> Parameters:
    return Parameters(required, optional or {})


PARAMETERS: Final[Mapping[FactKind, Parameters]] = {
    FactKind.IPCACHE_ENTRY: _of(map=name, address=address, prefix_length=_BYTE),
    FactKind.ENDPOINT_ENTRY: _of(address=address),
    FactKind.POLICY_ENTRY: Parameters(_POLICY, {}),
    FactKind.SERVICE_SLOT: Parameters(_SERVICE, {}),
    FactKind.SERVICE_BACKEND: _of(id=_LONG, family=_FAMILY),
    FactKind.REVERSE_NAT_ENTRY: _of(id=_PORT, family=_FAMILY),
    FactKind.CONNTRACK_ENTRY: Parameters(_CONNTRACK, {}),
    FactKind.NAT_ENTRY: Parameters(_TUPLE, {}),
    FactKind.EGRESS_GATEWAY_ENTRY: _of(source=address, destination=address),
    FactKind.MASQUERADE_EXCEPTION: _of(destination=address),
    FactKind.POLICY_PROGRAM: _of(endpoint=_endpoint),
    FactKind.ENDPOINT_TAIL_CALL: _of(endpoint=_endpoint, index=_LONG),
    FactKind.OVERLAY_TAIL_CALL: _of(index=_LONG),
    FactKind.PINNED_MAP: _of(map=name),
    FactKind.MAPS_BY_NAME: _of(name=name),
    FactKind.PROGRAM: _of(id=_LONG),
    FactKind.PROGRAM_CODE: _of(id=_LONG),
    FactKind.PROGRAMS_BY_NAME: _of(name=name),
    FactKind.ATTACHED_PROGRAMS: _of(_INSIDE, device=device_name),
    FactKind.ENDPOINT_PROGRAM_LINK: _of(endpoint=_endpoint, program=name),
    FactKind.DEVICE_PROGRAM_LINK: _of(device=device_name, program=name),
    FactKind.CGROUP_PROGRAM_LINK: _of(program=name),
    FactKind.CGROUP_PROGRAMS: _of(root=cgroup, pod=uid),
    FactKind.LINK: _of(_INSIDE, device=device_name),
    FactKind.LINK_COUNTERS: _of(device=device_name),
    FactKind.ROUTE: _of(_PACKET, destination=address),
    FactKind.ROUTES: _of({"match": address, **_VERSION, **_INSIDE}),
    FactKind.LOCAL_ADDRESS: _of(address=address),
    FactKind.ROUTING_RULES: _of({**_VERSION, **_INSIDE}),
    FactKind.NEIGHBOR: _of(address=address, device=device_name),
    FactKind.NEIGHBORS: _of(device=device_name, namespace=namespace_name),
    FactKind.QDISCS: _of(_INSIDE),
    FactKind.TC_FILTERS: _of(_INSIDE, device=device_name, direction=_DIRECTION),
    FactKind.SOCKETS: _of(_INSIDE, port=_PORT),
    FactKind.IPTABLES_RULES: _of({"backend": one_of("legacy", "nft"), **_VERSION, **_INSIDE}),
    FactKind.NFTABLES_RULES: _of(_INSIDE),
    FactKind.MASQUERADE_RULES: _of(family=_FAMILY),
    FactKind.KERNEL_CONNTRACK_ENTRY: Parameters(_TUPLE, {}),
    FactKind.XFRM_POLICIES: _of(_INSIDE),
    FactKind.XFRM_DEFAULTS: _of(_INSIDE),
    FactKind.XFRM_STATES: _of(_INSIDE),
    FactKind.KERNEL_COUNTERS: _of(_INSIDE),
    FactKind.NAMESPACE_ADDRESSES: _of(),
    FactKind.NAMESPACE_DEVICES: _of(),
    FactKind.UPTIME: _of(),
    FactKind.AGENT_VERSION: _of(),
    FactKind.AGENT_CONFIG: _of(),
    FactKind.AGENT_ENDPOINT: _of(endpoint=_endpoint),
    FactKind.AGENT_ENDPOINT_BY_ADDRESS: _of(address=address),
    FactKind.POLICY_RULES: _of(),
    FactKind.POLICY_SELECTORS: _of(),
    FactKind.BPF_METRICS: _of(),
    FactKind.MAP_PRESSURE: _of(),
    FactKind.HUBBLE_SOCKET: _of(path=path),
    FactKind.FLOWS: _of(address=address, port=_PORT, since_s=_SECONDS),
    FactKind.ICMP_FLOWS: _of(address=address, since_s=_SECONDS),
    FactKind.NEWEST_FLOW: _of(),
    FactKind.MONITOR_DROPS: _of(window_s=_SECONDS),
    FactKind.MONITOR_TRACES: _of(endpoints=several(_endpoint), window_s=_SECONDS),
    FactKind.CAPTURE: _of({"tunnel_port": _PORT}, clients=several(address), port=_PORT, duration_s=_SECONDS),
}
