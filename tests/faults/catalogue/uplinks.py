"""Programs taken off the devices by which nodes reach each other: packets between pods go on without them."""

from datapath_probe.api.vocabulary import HopName
from faults.fault import At, Fault, degraded
from faults.inject import programs
from faults.inject.in_place import Injected
from faults.modes import EVERY, NODE_PORTS, Mode
from faults.scene import Scene

THERE, BACK, MISSING = HopName.NODE_ROUTING, HopName.REPLY_ROUTING, "ProgramMissing"
FROM_NETDEV, TO_NETDEV = "cil_from_netdev", "cil_to_netdev"
BY_LINKS = EVERY - {Mode.TC}
"""Where a link tells of a program that is gone."""


def _detached(scene: Scene, node: str, program: str) -> Injected:
    return programs.detached_from_node(scene.lab, scene.api, node, "eth0", program)


FAULTS = (
    Fault(
        "from-netdev-detached-destination",
        lambda s: _detached(s, s.destination, FROM_NETDEV),
        degraded(THERE, MISSING, At.DESTINATION),
        modes=BY_LINKS,
    ),
    Fault(
        "from-netdev-detached-source",
        lambda s: _detached(s, s.source, FROM_NETDEV),
        degraded(BACK, MISSING),
        modes=BY_LINKS,
    ),
    Fault(
        "to-netdev-detached-source",
        lambda s: _detached(s, s.source, TO_NETDEV),
        degraded(THERE, MISSING),
        modes=NODE_PORTS,
    ),
    Fault(
        "to-netdev-detached-destination",
        lambda s: _detached(s, s.destination, TO_NETDEV),
        degraded(BACK, MISSING, At.DESTINATION),
        modes=NODE_PORTS,
    ),
)
