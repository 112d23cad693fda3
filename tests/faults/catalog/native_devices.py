"""Programs detached from the native devices between nodes: packets between pods do not need them."""

from datapath_probe.api.vocabulary import HopName
from faults.fault import At, Fault, degraded
from faults.inject import programs
from faults.inject.in_place import Injected
from faults.modes import ALL_MODES, NODE_PORTS, Mode
from faults.scene import Scene

FORWARD, REPLY, MISSING = HopName.NODE_ROUTING, HopName.REPLY_ROUTING, "ProgramMissing"
FROM_NETDEV, TO_NETDEV = "cil_from_netdev", "cil_to_netdev"
BY_LINKS = ALL_MODES - {Mode.TC}
"""The modes in which a bpf_link shows that a program is missing."""


def _detached(scene: Scene, node: str, program: str) -> Injected:
    return programs.detached_from_node(scene.lab, scene.api, node, "eth0", program)


FAULTS = (
    Fault(
        "from-netdev-detached-destination",
        lambda s: _detached(s, s.destination, FROM_NETDEV),
        degraded(FORWARD, MISSING, At.DESTINATION),
        modes=BY_LINKS,
    ),
    Fault(
        "from-netdev-detached-source",
        lambda s: _detached(s, s.source, FROM_NETDEV),
        degraded(REPLY, MISSING),
        modes=BY_LINKS,
    ),
    Fault(
        "to-netdev-detached-source",
        lambda s: _detached(s, s.source, TO_NETDEV),
        degraded(FORWARD, MISSING),
        modes=NODE_PORTS,
    ),
    Fault(
        "to-netdev-detached-destination",
        lambda s: _detached(s, s.destination, TO_NETDEV),
        degraded(REPLY, MISSING, At.DESTINATION),
        modes=NODE_PORTS,
    ),
)
