"""Foreign programs in addition to Cilium's, and stacks that drop packets which routes and Cilium would accept."""

from datapath_probe.api.vocabulary import HopName
from faults.fault import At, Fault, broken
from faults.inject import devices, foreign_programs, netfilter
from faults.modes import ALL_MODES, TUNNELED, WITH_ENDPOINT_ROUTES, Mode
from faults.scene import Scene, Target

FOREIGN = "ForeignProgram"
# In other modes a Cilium program ends the chain there, or packets do not pass there.
PER_POD, UPLINK = frozenset({Mode.VXLAN, Mode.TC}), frozenset({Mode.VXLAN})


def _inside(scene: Scene) -> str:
    return devices.netns(scene.lab, scene.far)


FAULTS = (
    Fault(
        "filter-before-the-destinations-device",
        lambda s: netfilter.rule(s.lab, s.destination, "FORWARD", "-d", s.far.ip, "-j", "DROP"),
        broken(HopName.ENDPOINT_LOOKUP, "NetfilterDrops", At.DESTINATION),
        modes=WITH_ENDPOINT_ROUTES,
    ),
    Fault(
        "filter-before-the-destinations-device-same-node",
        lambda s: netfilter.rule(s.lab, s.source, "FORWARD", "-d", s.near.ip, "-j", "DROP"),
        broken(HopName.ENDPOINT_LOOKUP, "NetfilterDrops"),
        Target.NEAR,
        modes=WITH_ENDPOINT_ROUTES,
    ),
    Fault(
        "filter-before-the-sources-device",
        lambda s: netfilter.rule(s.lab, s.source, "FORWARD", "-d", s.ship.ip, "-j", "DROP"),
        broken(HopName.REPLY_DELIVERY, "NetfilterDrops"),
        modes=WITH_ENDPOINT_ROUTES,
    ),
    Fault(
        "filter-on-the-destinations-device",
        lambda s: foreign_programs.tc_filter_on(s.lab, s.destination, s.lxc(s.far), "egress"),
        broken(HopName.DESTINATION_INTERFACE, FOREIGN, At.DESTINATION),
        modes=PER_POD,
    ),
    Fault(
        "filter-inside-the-destination-by-bpf",
        lambda s: foreign_programs.tc_filter_on(s.lab, s.destination, "eth0", "ingress", inside=_inside(s)),
        broken(HopName.DESTINATION_INTERFACE, FOREIGN, At.DESTINATION),
        modes=ALL_MODES,
    ),
    Fault(
        "filter-on-the-source-nodes-device",
        lambda s: foreign_programs.tc_filter_on(s.lab, s.source, "eth0", "egress"),
        broken(HopName.NODE_ROUTING, FOREIGN),
        modes=UPLINK,
    ),
    Fault(
        "xdp-drops-at-the-destinations-node",
        lambda s: foreign_programs.xdp_on(s.lab, s.destination, "eth0"),
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
        lambda s: netfilter.rule(
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
        lambda s: netfilter.rule_in_pod(
            s.lab, s.ship, "OUTPUT", "-p", "tcp", "--dport", "80", "-j", "REJECT"
        ),
        broken(HopName.SOURCE_INTERFACE, "NetfilterDrops"),
        Target.SERVICE,
    ),
)
