"""On the way to what is in a node's own network: the health responder of Cilium's agents stands for it."""

from datapath_probe.api.vocabulary import HopName
from faults.fault import At, Fault, broken
from faults.inject import filters
from faults.modes import EVERY, PER_PACKET_LB
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
        lambda s: filters.rule(s.lab, s.destination, "INPUT", *_TO_HEALTH, *_RESET),
        broken(ROUTING, DROPS, At.DESTINATION),
        Target.HOST,
        modes=EVERY,
    ),
    Fault(
        "filter-drops-at-the-host",
        lambda s: filters.rule(s.lab, s.destination, "INPUT", *_TO_HEALTH, "-j", "DROP"),
        broken(ROUTING, DROPS, At.DESTINATION),
        Target.HOST,
        modes=EVERY,
    ),
    Fault(
        "filter-drops-on-the-way-to-the-host",
        lambda s: filters.rule(s.lab, s.source, "FORWARD", *_to_the_other_node(s), "-j", "DROP"),
        broken(ROUTING, DROPS),
        Target.HOST,
        modes=PER_PACKET_LB,  # else the program may send packets out past the stack
    ),
    Fault(
        "filter-rejects-at-the-source-nodes-host",
        lambda s: filters.rule(s.lab, s.source, "INPUT", *_TO_HEALTH, *_RESET),
        broken(LOOKUP, DROPS),
        Target.OWN_HOST,
        modes=EVERY,
    ),
)
