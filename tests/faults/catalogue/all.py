"""Every fault, in path order."""

from collections.abc import Collection

from faults.catalogue import (
    application,
    cluster,
    endpoint_map,
    flags,
    forwarding,
    hosts,
    inside,
    interface,
    ipcache,
    mistaken,
    names,
    objects,
    overlay,
    policy,
    program,
    routing,
    service,
    strangers,
    swallowing,
    uplinks,
)
from faults.fault import Fault
from faults.modes import Mode

FAULTS: tuple[Fault, ...] = (
    *interface.FAULTS,
    *inside.FAULTS,
    *program.FAULTS,
    *names.FAULTS,
    *service.FAULTS,
    *ipcache.FAULTS,
    *policy.FAULTS,
    *flags.FAULTS,
    *mistaken.FAULTS,
    *overlay.FAULTS,
    *routing.FAULTS,
    *uplinks.FAULTS,
    *forwarding.FAULTS,
    *hosts.FAULTS,
    *strangers.FAULTS,
    *swallowing.FAULTS,
    *endpoint_map.FAULTS,
    *application.FAULTS,
    *cluster.FAULTS,
    *objects.FAULTS,
)


def faults_of(mode: Mode, only: Collection[str]) -> list[Fault]:
    """Those that are possible in a mode; `only`: parts of names, none means all."""
    possible = [fault for fault in FAULTS if mode in fault.modes]
    return [fault for fault in possible if not only or any(part in fault.name for part in only)]
