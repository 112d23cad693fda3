"""Faults of forwarding in a node's stack: sysctls, rules and filters. With native routing the stack forwards all
packets between pod and network; with endpoint routes those to the pods.
"""

from collections.abc import Callable

from datapath_probe.api.vocabulary import HopName
from e2e.galaxy import Pod
from faults.fault import At, Fault, broken, degraded
from faults.inject import devices, netfilter
from faults.inject.in_place import Injected
from faults.modes import TUNNELED, WITH_ENDPOINT_ROUTES, Mode
from faults.scene import Scene, Target

NATIVE = frozenset({Mode.NATIVE})
FORWARD, REPLY = HopName.NODE_ROUTING, HopName.REPLY_ROUTING
ROUTE_MISSING, FILTER = "NodeRouteMissing", "NetfilterDrops"
_UNUSED_IP = "172.30.0.99"


def _forwarding_off(scene: Scene, node: str, device: str) -> Injected:
    return devices.sysctl(scene.lab, node, f"ipv4/conf/{device}/forwarding", "0")


def _reverse_path(scene: Scene, node: str, device: str) -> Injected:
    return devices.sysctl(scene.lab, node, f"ipv4/conf/{device}/rp_filter", "1")


def _filtered_from(scene: Scene, pod: Pod) -> Injected:
    return netfilter.rule(scene.lab, pod.node, "FORWARD", "-i", scene.lxc(pod), "-j", "DROP")


def _by_missing_gateway(
    pod: Callable[[Scene], Pod], node: Callable[[Scene], str]
) -> Callable[[Scene], Injected]:
    """A route to the other node with a gateway that does not exist."""
    return lambda s: devices.route(s.lab, node(s), f"{s.node_ip(pod(s).node)}/32", "via", _UNUSED_IP)


FAULTS = (
    Fault(
        "source-node-does-not-forward",
        lambda s: devices.sysctl(s.lab, s.source, "ipv4/ip_forward", "0"),
        broken(FORWARD, ROUTE_MISSING),
        modes=NATIVE,
    ),
    Fault(
        "destination-node-does-not-forward",
        lambda s: devices.sysctl(s.lab, s.destination, "ipv4/ip_forward", "0"),
        broken(FORWARD, ROUTE_MISSING, At.DESTINATION),
        modes=NATIVE,
    ),
    Fault(
        "source-device-does-not-forward",
        lambda s: _forwarding_off(s, s.source, s.lxc(s.ship)),
        broken(FORWARD, ROUTE_MISSING),
        modes=NATIVE,
    ),
    Fault(
        "destination-device-does-not-forward",
        lambda s: _forwarding_off(s, s.destination, s.lxc(s.far)),
        broken(REPLY, ROUTE_MISSING, At.DESTINATION),
        modes=NATIVE,
    ),
    Fault(
        "source-device-filters-by-reverse-path",
        lambda s: _reverse_path(s, s.source, s.lxc(s.ship)),
        broken(FORWARD, ROUTE_MISSING),
        modes=NATIVE,
    ),
    Fault(
        "rule-throws-away-what-comes-from-the-source",
        lambda s: devices.rule(s.lab, s.source, "from", s.ship.ip, "iif", s.lxc(s.ship), "blackhole"),
        broken(FORWARD, ROUTE_MISSING),
        modes=NATIVE,
    ),
    Fault(
        "rule-throws-away-what-comes-for-the-destination",
        lambda s: devices.rule(s.lab, s.destination, "to", s.far.ip, "iif", "eth0", "blackhole"),
        broken(FORWARD, ROUTE_MISSING, At.DESTINATION),
        modes=NATIVE,
    ),
    Fault(
        "rule-throws-away-replies",
        lambda s: devices.rule(s.lab, s.source, "to", s.ship.ip, "iif", "eth0", "blackhole"),
        broken(REPLY, ROUTE_MISSING),
        modes=NATIVE,
    ),
    Fault(
        "forward-filter-by-the-sources-device",
        lambda s: _filtered_from(s, s.ship),
        broken(FORWARD, FILTER),
        modes=NATIVE,
    ),
    Fault(
        "forward-filter-by-the-destinations-device",
        lambda s: _filtered_from(s, s.far),
        broken(REPLY, FILTER, At.DESTINATION),
        modes=NATIVE,
    ),
    Fault(
        "destination-node-does-not-forward-to-endpoints",
        lambda s: devices.sysctl(s.lab, s.destination, "ipv4/ip_forward", "0"),
        broken(HopName.ENDPOINT_LOOKUP, "EndpointRouteMissing", At.DESTINATION),
        modes=WITH_ENDPOINT_ROUTES,
    ),
    Fault(
        "source-node-does-not-forward-to-endpoints",
        lambda s: devices.sysctl(s.lab, s.source, "ipv4/ip_forward", "0"),
        broken(HopName.REPLY_DELIVERY, "EndpointRouteMissing"),
        modes=WITH_ENDPOINT_ROUTES,
    ),
    Fault(
        "node-does-not-forward-between-endpoints",
        lambda s: devices.sysctl(s.lab, s.source, "ipv4/ip_forward", "0"),
        broken(HopName.ENDPOINT_LOOKUP, "EndpointRouteMissing"),
        Target.NEAR,
        modes=WITH_ENDPOINT_ROUTES,
    ),
    Fault(
        "forward-filter-drops-what-leaves-the-tunnel",
        lambda s: netfilter.rule(s.lab, s.destination, "FORWARD", "-i", "cilium_vxlan", "-j", "DROP"),
        broken(HopName.ENDPOINT_LOOKUP, FILTER, At.DESTINATION),
        modes=WITH_ENDPOINT_ROUTES,
    ),
    Fault(
        "route-by-way-of-a-dead-gateway",
        _by_missing_gateway(lambda s: s.far, lambda s: s.source),
        broken(FORWARD, "NeighborUnreachable"),
        modes=TUNNELED,
    ),
    Fault(
        "reply-route-by-way-of-a-dead-gateway",
        _by_missing_gateway(lambda s: s.ship, lambda s: s.destination),
        broken(REPLY, "NeighborUnreachable", At.DESTINATION),
        modes=TUNNELED,
    ),
    Fault(
        "source-node-masquerades-pods",
        lambda s: netfilter.rule(
            s.lab, s.source, "POSTROUTING", "-s", s.ship.ip, "-d", s.far.ip, "-j", "MASQUERADE", table="nat"
        ),
        degraded(HopName.SOURCE_IDENTITY, "WrongIdentity", At.DESTINATION),
        modes=NATIVE,
    ),
)
