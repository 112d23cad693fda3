"""All faults, in path order. Called by `make faults`."""

from collections.abc import Collection

from faults.catalog import (
    address_conflicts,
    application,
    backends,
    cluster,
    dns,
    endpoint_map,
    flags,
    foreign_programs,
    forwarding,
    held_programs,
    host_network,
    host_routes,
    interface,
    ipcache,
    ipsec_policies,
    native_devices,
    objects,
    outside,
    overlay,
    pod_namespace,
    policy,
    policy_bypass,
    program,
    protocols,
    redirects,
    reverse_path,
    routing,
    service,
    silent_drops,
)
from faults.fault import Fault
from faults.modes import Mode

FAULTS: tuple[Fault, ...] = (
    *interface.FAULTS,
    *pod_namespace.FAULTS,
    *program.FAULTS,
    *dns.FAULTS,
    *service.FAULTS,
    *ipcache.FAULTS,
    *policy.FAULTS,
    *flags.FAULTS,
    *policy_bypass.FAULTS,
    *overlay.FAULTS,
    *routing.FAULTS,
    *native_devices.FAULTS,
    *forwarding.FAULTS,
    *host_network.FAULTS,
    *host_routes.FAULTS,
    *reverse_path.FAULTS,
    *redirects.FAULTS,
    *ipsec_policies.FAULTS,
    *foreign_programs.FAULTS,
    *held_programs.FAULTS,
    *silent_drops.FAULTS,
    *endpoint_map.FAULTS,
    *address_conflicts.FAULTS,
    *application.FAULTS,
    *protocols.FAULTS,
    *cluster.FAULTS,
    *backends.FAULTS,
    *objects.FAULTS,
    *outside.FAULTS,
)

_OVER_IPV6 = (
    *interface.FAULTS,
    *program.FAULTS,
    *service.FAULTS,
    *ipcache.FAULTS,
    *policy.FAULTS,
    *flags.FAULTS,
    *overlay.FAULTS,
    *silent_drops.FAULTS,
    *endpoint_map.FAULTS,
    *application.FAULTS,
)
"""Those that concern IPv6 as they concern IPv4, in the modes of VXLAN."""
_ONLY_IPV4 = ("mtu", "default-route", "without-address", "older-entry")
"""Parts of their names: routes, addresses and entries of IPv4, and MTUs below the minimum of IPv6."""


def faults_of(mode: Mode, only: Collection[str]) -> list[Fault]:
    """The faults that are possible in a mode. `only`: substrings of names; empty means all."""
    if mode is Mode.IPV6:
        possible = [
            fault
            for fault in _OVER_IPV6
            if Mode.VXLAN in fault.modes and not any(part in fault.name for part in _ONLY_IPV4)
        ]
    else:
        possible = [fault for fault in FAULTS if mode in fault.modes]
    return [fault for fault in possible if not only or any(part in fault.name for part in only)]
