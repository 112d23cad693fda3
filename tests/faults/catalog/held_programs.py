"""Programs with Cilium's names that the agent does not hold, and others that look alike and do no harm."""

from collections.abc import Iterator
from contextlib import contextmanager

from datapath_probe.api.vocabulary import HopName
from e2e.galaxy import Pod
from faults.fault import At, Expected, Fault, broken, degraded, either
from faults.inject import foreign_programs, programs
from faults.inject.in_place import Injected, InPlace
from faults.modes import ALL_MODES, NODE_PORTS, TUNNELED, Mode
from faults.scene import Scene, Target

FOREIGN, HEALTHY = "ForeignProgram", (Expected("Healthy", ""),)
ENCAP, DECAP = HopName.OVERLAY_ENCAPSULATION, HopName.OVERLAY_DECAPSULATION
REPLY_ENCAP, REPLY_DECAP = HopName.REPLY_ENCAPSULATION, HopName.REPLY_DECAPSULATION
BY_LINKS, BY_TC = ALL_MODES - {Mode.TC}, frozenset({Mode.TC})
TUNNELED_BY_LINKS, NATIVE = TUNNELED & BY_LINKS, frozenset({Mode.NATIVE})
CUT_OFF = (Expected("Unknown", "EvidenceTimeout"), Expected("Unknown", "AgentNotResponding"))
"""The old program also drops what the node itself sends: nothing can be read there."""
VXLAN, UPLINK, HOST = "cilium_vxlan", "eth0", "cilium_host"


def _twice(scene: Scene, node: str, device: str, program: str) -> Injected:
    at = node, device, f"devices/{device}"
    return programs.attached_twice(scene.lab, scene.api, at, program, scene.wait_stable)


def _twice_at_pod(scene: Scene, pod: Pod) -> Injected:
    at = pod.node, scene.lxc(pod), f"endpoints/{pod.endpoint}"
    return programs.attached_twice(scene.lab, scene.api, at, "cil_from_container", scene.wait_stable)


@contextmanager
def _agent_replaced(scene: Scene) -> Iterator[InPlace | None]:
    """An ordinary restart: the agent finds its links and replaces the programs in them."""
    programs.replace_agent(scene.lab, scene.api, scene.destination)
    scene.wait_stable()
    yield None


FAULTS = (
    # An old program that needs tail calls drops packets: its program array is empty when nothing pins it.
    Fault(
        "source-program-attached-twice",
        lambda s: _twice_at_pod(s, s.ship),
        broken(HopName.SOURCE_PROGRAM, FOREIGN),
        modes=BY_LINKS,
    ),
    Fault(
        "reply-program-attached-twice",
        lambda s: _twice_at_pod(s, s.far),
        broken(HopName.REPLY_PROGRAM, FOREIGN, At.DESTINATION),
        modes=BY_LINKS,
    ),
    Fault(
        "from-overlay-attached-twice-destination",
        lambda s: _twice(s, s.destination, VXLAN, "cil_from_overlay"),
        broken(DECAP, FOREIGN, At.DESTINATION),
        modes=TUNNELED_BY_LINKS,
    ),
    Fault(
        "from-overlay-attached-twice-source",
        lambda s: _twice(s, s.source, VXLAN, "cil_from_overlay"),
        broken(REPLY_DECAP, FOREIGN),
        modes=TUNNELED_BY_LINKS,
    ),
    Fault(
        "to-overlay-attached-twice-source",
        lambda s: _twice(s, s.source, VXLAN, "cil_to_overlay"),
        either(ENCAP, FOREIGN),
        modes=TUNNELED_BY_LINKS,
    ),
    Fault(
        "to-overlay-attached-twice-destination",
        lambda s: _twice(s, s.destination, VXLAN, "cil_to_overlay"),
        either(REPLY_ENCAP, FOREIGN, At.DESTINATION),
        modes=TUNNELED_BY_LINKS,
    ),
    Fault(
        "from-netdev-attached-twice-destination",
        lambda s: _twice(s, s.destination, UPLINK, "cil_from_netdev"),
        either(HopName.NODE_ROUTING, FOREIGN, At.DESTINATION),
        modes=BY_LINKS,
    ),
    Fault(
        "to-netdev-attached-twice-source",
        lambda s: _twice(s, s.source, UPLINK, "cil_to_netdev"),
        either(HopName.NODE_ROUTING, FOREIGN) + CUT_OFF,
        modes=NODE_PORTS,
    ),
    Fault(
        "from-host-attached-twice-destination",
        lambda s: _twice(s, s.destination, HOST, "cil_from_host"),
        either(HopName.DESTINATION_PROGRAM, FOREIGN, At.DESTINATION),
        modes=NATIVE,
    ),
    Fault(
        "from-host-attached-twice-source",
        lambda s: _twice(s, s.source, HOST, "cil_from_host"),
        either(HopName.REPLY_DELIVERY, FOREIGN),
        modes=NATIVE,
    ),
    Fault(
        "from-overlay-filtered-twice-destination",
        lambda s: programs.filtered_twice(s.lab, s.destination, VXLAN, "ingress", "cil_from_overlay"),
        degraded(DECAP, FOREIGN, At.DESTINATION),
        modes=BY_TC,
    ),
    Fault(
        "sockets-attached-to-another-cgroup",
        lambda s: programs.socket_lb_elsewhere(s.lab, s.api, s.source),
        broken(HopName.SERVICE_TRANSLATION, "ProgramMissing"),
        Target.SERVICE,
        modes=NODE_PORTS,
    ),
    # the same to look at, and harmless
    Fault("agent-replaced", _agent_replaced, HEALTHY),
    Fault(
        "observer-before-the-sources-program",
        lambda s: foreign_programs.observer_on(s.lab, s.source, s.lxc(s.ship), "tcx/ingress"),
        HEALTHY,
        modes=BY_LINKS,
    ),
    Fault(
        "observer-before-the-tunnels-program",
        lambda s: foreign_programs.observer_on(s.lab, s.destination, VXLAN, "tcx/ingress"),
        HEALTHY,
        modes=TUNNELED_BY_LINKS,
    ),
    Fault(
        "observer-before-the-program-of-the-nodes-device",
        lambda s: foreign_programs.observer_on(s.lab, s.destination, UPLINK, "tcx/ingress"),
        HEALTHY,
        modes=BY_LINKS,
    ),
    Fault(
        "observer-of-sockets",
        lambda s: foreign_programs.observer_of_sockets(s.lab, s.source),
        HEALTHY,
        Target.SERVICE,
        modes=NODE_PORTS,
    ),
)
