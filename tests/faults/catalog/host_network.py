"""Faults on paths to the host network; the destination is the health port of Cilium agents."""

from datapath_probe.api.vocabulary import HopName
from faults.fault import At, Fault, broken
from faults.inject import netfilter
from faults.modes import ALL_MODES, PER_PACKET_LB
from faults.scene import HEALTH_PORT, Scene, Target

ROUTING, LOOKUP = HopName.NODE_ROUTING, HopName.ENDPOINT_LOOKUP
DROPS = "NetfilterDrops"
_TO_HEALTH = ("-p", "tcp", "--dport", str(HEALTH_PORT))
_RESET = ("-j", "REJECT", "--reject-with", "tcp-reset")


def _to_the_other_node(scene: Scene) -> tuple[str, ...]:
    return ("-d", scene.node_ip(scene.destination), *_TO_HEALTH)


FAULTS = (
    Fault(
        "filter-rejects-at-the-host",
        lambda s: netfilter.rule(s.lab, s.destination, "INPUT", *_TO_HEALTH, *_RESET),
        broken(ROUTING, DROPS, At.DESTINATION),
        Target.HOST,
        modes=ALL_MODES,
    ),
    Fault(
        "filter-drops-at-the-host",
        lambda s: netfilter.rule(s.lab, s.destination, "INPUT", *_TO_HEALTH, "-j", "DROP"),
        broken(ROUTING, DROPS, At.DESTINATION),
        Target.HOST,
        modes=ALL_MODES,
    ),
    Fault(
        "filter-drops-on-the-way-to-the-host",
        lambda s: netfilter.rule(s.lab, s.source, "FORWARD", *_to_the_other_node(s), "-j", "DROP"),
        broken(ROUTING, DROPS),
        Target.HOST,
        modes=PER_PACKET_LB,  # otherwise the program may redirect packets past the stack
    ),
    Fault(
        "filter-rejects-at-the-source-nodes-host",
        lambda s: netfilter.rule(s.lab, s.source, "INPUT", *_TO_HEALTH, *_RESET),
        broken(LOOKUP, DROPS),
        Target.OWN_HOST,
        modes=ALL_MODES,
    ),
)
