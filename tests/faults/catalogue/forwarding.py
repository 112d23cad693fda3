"""Nodes whose stack does not forward: by its settings, rules and filters. Without a tunnel it carries all packets
between pod and wire; with a route per endpoint those to the pods.
"""

from collections.abc import Callable

from datapath_probe.api.vocabulary import HopName
from e2e.galaxy import Pod
from faults.fault import At, Fault, broken, degraded
from faults.inject import devices, filters
from faults.inject.in_place import Injected
from faults.modes import BY_ROUTES, TUNNELED, Mode
from faults.scene import Scene, Target

NATIVE = frozenset({Mode.NATIVE})
THERE, BACK = HopName.NODE_ROUTING, HopName.REPLY_ROUTING
ROUTE_MISSING, FILTER = "NodeRouteMissing", "NetfilterDrops"
_DEAD = "172.30.0.99"


def _forwarding_off(scene: Scene, node: str, device: str) -> Injected:
    return devices.setting(scene.lab, node, f"ipv4/conf/{device}/forwarding", "0")


def _reverse_path(scene: Scene, node: str, device: str) -> Injected:
    return devices.setting(scene.lab, node, f"ipv4/conf/{device}/rp_filter", "1")


def _filtered_from(scene: Scene, pod: Pod) -> Injected:
    return filters.rule(scene.lab, pod.node, "FORWARD", "-i", scene.lxc(pod), "-j", "DROP")


def _by_dead_gateway(
    pod: Callable[[Scene], Pod], node: Callable[[Scene], str]
) -> Callable[[Scene], Injected]:
    """The other node behind a router that is not there."""
    return lambda s: devices.route(s.lab, node(s), f"{s.node_ip(pod(s).node)}/32", "via", _DEAD)


FAULTS = (
    Fault(
        "source-node-does-not-forward",
        lambda s: devices.setting(s.lab, s.source, "ipv4/ip_forward", "0"),
        broken(THERE, ROUTE_MISSING),
        modes=NATIVE,
    ),
    Fault(
        "destination-node-does-not-forward",
        lambda s: devices.setting(s.lab, s.destination, "ipv4/ip_forward", "0"),
        broken(THERE, ROUTE_MISSING, At.DESTINATION),
        modes=NATIVE,
    ),
    Fault(
        "source-device-does-not-forward",
        lambda s: _forwarding_off(s, s.source, s.lxc(s.ship)),
        broken(THERE, ROUTE_MISSING),
        modes=NATIVE,
    ),
    Fault(
        "destination-device-does-not-forward",
        lambda s: _forwarding_off(s, s.destination, s.lxc(s.far)),
        broken(BACK, ROUTE_MISSING, At.DESTINATION),
        modes=NATIVE,
    ),
    Fault(
        "source-device-filters-by-reverse-path",
        lambda s: _reverse_path(s, s.source, s.lxc(s.ship)),
        broken(THERE, ROUTE_MISSING),
        modes=NATIVE,
    ),
    Fault(
        "rule-throws-away-what-comes-from-the-source",
        lambda s: devices.rule(s.lab, s.source, "from", s.ship.ip, "iif", s.lxc(s.ship), "blackhole"),
        broken(THERE, ROUTE_MISSING),
        modes=NATIVE,
    ),
    Fault(
        "rule-throws-away-what-comes-for-the-destination",
        lambda s: devices.rule(s.lab, s.destination, "to", s.far.ip, "iif", "eth0", "blackhole"),
        broken(THERE, ROUTE_MISSING, At.DESTINATION),
        modes=NATIVE,
    ),
    Fault(
        "rule-throws-away-replies",
        lambda s: devices.rule(s.lab, s.source, "to", s.ship.ip, "iif", "eth0", "blackhole"),
        broken(BACK, ROUTE_MISSING),
        modes=NATIVE,
    ),
    Fault(
        "forward-filter-by-the-sources-device",
        lambda s: _filtered_from(s, s.ship),
        broken(THERE, FILTER),
        modes=NATIVE,
    ),
    Fault(
        "forward-filter-by-the-destinations-device",
        lambda s: _filtered_from(s, s.far),
        broken(BACK, FILTER, At.DESTINATION),
        modes=NATIVE,
    ),
    Fault(
        "destination-node-does-not-forward-to-endpoints",
        lambda s: devices.setting(s.lab, s.destination, "ipv4/ip_forward", "0"),
        broken(HopName.ENDPOINT_LOOKUP, "EndpointRouteMissing", At.DESTINATION),
        modes=BY_ROUTES,
    ),
    Fault(
        "source-node-does-not-forward-to-endpoints",
        lambda s: devices.setting(s.lab, s.source, "ipv4/ip_forward", "0"),
        broken(HopName.REPLY_DELIVERY, "EndpointRouteMissing"),
        modes=BY_ROUTES,
    ),
    Fault(
        "node-does-not-forward-between-endpoints",
        lambda s: devices.setting(s.lab, s.source, "ipv4/ip_forward", "0"),
        broken(HopName.ENDPOINT_LOOKUP, "EndpointRouteMissing"),
        Target.NEAR,
        modes=BY_ROUTES,
    ),
    Fault(
        "forward-filter-drops-what-leaves-the-tunnel",
        lambda s: filters.rule(s.lab, s.destination, "FORWARD", "-i", "cilium_vxlan", "-j", "DROP"),
        broken(HopName.ENDPOINT_LOOKUP, FILTER, At.DESTINATION),
        modes=BY_ROUTES,
    ),
    Fault(
        "route-by-way-of-a-dead-gateway",
        _by_dead_gateway(lambda s: s.far, lambda s: s.source),
        broken(THERE, "NeighborUnreachable"),
        modes=TUNNELED,
    ),
    Fault(
        "reply-route-by-way-of-a-dead-gateway",
        _by_dead_gateway(lambda s: s.ship, lambda s: s.destination),
        broken(BACK, "NeighborUnreachable", At.DESTINATION),
        modes=TUNNELED,
    ),
    Fault(
        "source-node-masquerades-pods",
        lambda s: filters.rule(
            s.lab, s.source, "POSTROUTING", "-s", s.ship.ip, "-d", s.far.ip, "-j", "MASQUERADE", table="nat"
        ),
        degraded(HopName.SOURCE_IDENTITY, "WrongIdentity", At.DESTINATION),
        modes=NATIVE,
    ),
)
