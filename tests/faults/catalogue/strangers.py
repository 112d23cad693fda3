"""Programs of another make beside Cilium's, and kernels that refuse what routing tables and Cilium would let pass."""

from datapath_probe.api.vocabulary import HopName
from faults.fault import At, Fault, broken
from faults.inject import devices, filters, strangers
from faults.modes import BY_ROUTES, EVERY, TUNNELED, Mode
from faults.scene import Scene, Target

FOREIGN = "ForeignProgram"
# With the other modes a program of Cilium's ends the chain there, or packets do not pass there.
PER_POD, UPLINK = frozenset({Mode.VXLAN, Mode.TC}), frozenset({Mode.VXLAN})


def _inside(scene: Scene) -> str:
    return devices.netns(scene.lab, scene.far)


FAULTS = (
    Fault(
        "filter-before-the-destinations-device",
        lambda s: filters.rule(s.lab, s.destination, "FORWARD", "-d", s.far.ip, "-j", "DROP"),
        broken(HopName.ENDPOINT_LOOKUP, "NetfilterDrops", At.DESTINATION),
        modes=BY_ROUTES,
    ),
    Fault(
        "filter-before-the-destinations-device-same-node",
        lambda s: filters.rule(s.lab, s.source, "FORWARD", "-d", s.near.ip, "-j", "DROP"),
        broken(HopName.ENDPOINT_LOOKUP, "NetfilterDrops"),
        Target.NEAR,
        modes=BY_ROUTES,
    ),
    Fault(
        "filter-before-the-sources-device",
        lambda s: filters.rule(s.lab, s.source, "FORWARD", "-d", s.ship.ip, "-j", "DROP"),
        broken(HopName.REPLY_DELIVERY, "NetfilterDrops"),
        modes=BY_ROUTES,
    ),
    Fault(
        "filter-on-the-destinations-device",
        lambda s: strangers.filter_on(s.lab, s.destination, s.lxc(s.far), "egress"),
        broken(HopName.DESTINATION_INTERFACE, FOREIGN, At.DESTINATION),
        modes=PER_POD,
    ),
    Fault(
        "filter-inside-the-destination-by-bpf",
        lambda s: strangers.filter_on(s.lab, s.destination, "eth0", "ingress", inside=_inside(s)),
        broken(HopName.DESTINATION_INTERFACE, FOREIGN, At.DESTINATION),
        modes=EVERY,
    ),
    Fault(
        "filter-on-the-source-nodes-device",
        lambda s: strangers.filter_on(s.lab, s.source, "eth0", "egress"),
        broken(HopName.NODE_ROUTING, FOREIGN),
        modes=UPLINK,
    ),
    Fault(
        "xdp-drops-at-the-destinations-node",
        lambda s: strangers.xdp_on(s.lab, s.destination, "eth0"),
        broken(HopName.OVERLAY_DECAPSULATION, FOREIGN, At.DESTINATION),
        modes=TUNNELED,
    ),
    Fault(
        "destination-does-not-know-its-own-address",
        lambda s: devices.without_local_address(s.lab, s.far),
        broken(HopName.DESTINATION_INTERFACE, "RouteMissing", At.DESTINATION),
    ),
    Fault(
        "source-does-not-know-its-own-address",
        lambda s: devices.without_local_address(s.lab, s.ship),
        broken(HopName.SOURCE_INTERFACE, "RouteMissing"),
    ),
    Fault(
        "rule-keeps-the-tunnel-from-its-routes",
        lambda s: devices.rule(s.lab, s.source, "ipproto", "udp", "dport", "8472", "blackhole"),
        broken(HopName.NODE_ROUTING, "NodeRouteMissing"),
        modes=TUNNELED,
    ),
    Fault(
        "filter-by-state-drops-the-tunnel",
        lambda s: filters.rule(
            s.lab,
            s.destination,
            "INPUT",
            *("-p", "udp", "--dport", "8472", "-m", "conntrack", "--ctstate", "NEW,ESTABLISHED,UNTRACKED"),
            *("-j", "DROP"),
        ),
        broken(HopName.OVERLAY_DECAPSULATION, "NetfilterDrops", At.DESTINATION),
        modes=TUNNELED,
    ),
    Fault(
        "filter-rejects-inside-the-source-service",
        lambda s: filters.rule_in_pod(s.lab, s.ship, "OUTPUT", "-p", "tcp", "--dport", "80", "-j", "REJECT"),
        broken(HopName.SOURCE_INTERFACE, "NetfilterDrops"),
        Target.SERVICE,
    ),
)
