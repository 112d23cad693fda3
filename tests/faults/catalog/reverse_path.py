"""Packet filter rules that a look-up of the route back decides: as firewalls have them, and where packets do not meet
them.
"""

from datapath_probe.api.vocabulary import HopName
from faults.fault import At, Fault, broken, healthy
from faults.inject import devices, netfilter
from faults.inject.in_place import Injected
from faults.modes import TUNNELED, WITHOUT_ENDPOINT_ROUTES, Mode
from faults.scene import Scene, Target

DROPS = "NetfilterDrops"
NATIVE = frozenset({Mode.NATIVE})
_FROM_PODS = ("-i", "lxc+")
_STRICT = ("-m", "rpfilter", "--validmark", "--invert", "-j", "DROP")
_LOOSE = ("-m", "rpfilter", "--loose", "--validmark", "--invert", "-j", "DROP")


def _filtered(scene: Scene, node: str, *words: str, table: str = "mangle") -> Injected:
    return netfilter.rule(scene.lab, node, "PREROUTING", *words, table=table)


FAULTS = (
    Fault(
        "reverse-path-rule-drops-replies-to-the-host",
        lambda s: _filtered(s, s.source, *_FROM_PODS, *_STRICT),
        broken(HopName.REPLY_DELIVERY, DROPS),
        Target.FROM_HOST_TO_NEAR,
        modes=WITHOUT_ENDPOINT_ROUTES,
    ),
    Fault(
        "reverse-path-rule-drops-requests-to-the-host",
        lambda s: _filtered(s, s.source, *_FROM_PODS, *_STRICT, table="raw"),
        broken(HopName.ENDPOINT_LOOKUP, DROPS),
        Target.OWN_HOST,
        modes=WITHOUT_ENDPOINT_ROUTES,
    ),
    Fault(
        "device-of-a-pod-filters-by-reverse-path-for-the-host",
        lambda s: devices.sysctl(s.lab, s.source, f"ipv4/conf/{s.lxc(s.near)}/rp_filter", "1"),
        broken(HopName.REPLY_DELIVERY, "NodeRouteMissing"),
        Target.FROM_HOST_TO_NEAR,
        modes=WITHOUT_ENDPOINT_ROUTES,
    ),
    Fault(
        "reverse-path-rule-drops-what-pods-send",
        lambda s: _filtered(s, s.source, *_FROM_PODS, *_STRICT),
        broken(HopName.NODE_ROUTING, DROPS),
        modes=NATIVE,
    ),
    Fault(
        "reverse-path-rule-drops-replies-of-pods",
        lambda s: _filtered(s, s.destination, *_FROM_PODS, *_STRICT),
        broken(HopName.REPLY_ROUTING, DROPS, At.DESTINATION),
        modes=NATIVE,
    ),
    Fault(
        "healthy-beside-a-reverse-path-rule-that-tunnels-pass",
        lambda s: _filtered(s, s.source, *_FROM_PODS, *_STRICT),
        healthy(),
        modes=TUNNELED,
    ),
    Fault(
        "healthy-beside-a-loose-reverse-path-rule",
        lambda s: _filtered(s, s.source, *_FROM_PODS, *_LOOSE),
        healthy(),
        Target.FROM_HOST_TO_NEAR,
    ),
)
