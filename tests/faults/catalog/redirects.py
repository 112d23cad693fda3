"""Rules of nodes that redirect packets for a pod or a node, so that something else answers them."""

from datapath_probe.api.vocabulary import HopName
from faults.fault import At, Fault, broken, healthy
from faults.inject import netfilter
from faults.inject.in_place import Injected
from faults.modes import TUNNELED, Mode
from faults.scene import Scene, Target

DROPS = "NetfilterDrops"
NATIVE = frozenset({Mode.NATIVE})
_AWAY = ("-j", "REDIRECT", "--to-ports", "9")


def _redirected(scene: Scene, node: str, chain: str, *words: str) -> Injected:
    return netfilter.rule(scene.lab, node, chain, *words, *_AWAY, table="nat")


def _to_far(scene: Scene, port: int = 80) -> tuple[str, ...]:
    return "-d", scene.far.ip, "-p", "tcp", "--dport", str(port)


FAULTS = (
    Fault(
        "redirect-of-what-the-source-node-forwards",
        lambda s: _redirected(s, s.source, "PREROUTING", *_to_far(s)),
        broken(HopName.NODE_ROUTING, DROPS),
        modes=NATIVE,
    ),
    Fault(
        "redirect-of-what-the-destination-node-forwards",
        lambda s: _redirected(s, s.destination, "PREROUTING", *_to_far(s)),
        broken(HopName.NODE_ROUTING, DROPS, At.DESTINATION),
        modes=NATIVE,
    ),
    Fault(
        "redirect-of-what-a-host-sends",
        lambda s: _redirected(s, s.source, "OUTPUT", *_to_far(s)),
        broken(HopName.NODE_ROUTING, DROPS),
        Target.FROM_HOST_TO_FAR,
    ),
    Fault(
        "redirect-of-tunnel-packets",
        lambda s: _redirected(s, s.destination, "PREROUTING", "-p", "udp", "--dport", "8472"),
        broken(HopName.OVERLAY_DECAPSULATION, DROPS, At.DESTINATION),
        modes=TUNNELED,
    ),
    Fault(
        "healthy-beside-a-redirect-of-another-port",
        lambda s: _redirected(s, s.source, "PREROUTING", *_to_far(s, 8080)),
        healthy(),
    ),
)
