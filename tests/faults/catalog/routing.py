"""Faults between the nodes: routes, neighbors, netfilter, queues."""

from dataclasses import replace

from datapath_probe.api.vocabulary import HopName
from e2e.galaxy import Pod
from faults.fault import At, Fault, broken, either, healthy
from faults.inject import devices, netfilter
from faults.inject.in_place import Injected
from faults.modes import PAST_QUEUES, THROUGH_QUEUES, TUNNELED, WITH_ENDPOINT_ROUTES, Mode
from faults.scene import CONTROL_PLANE, SHIP_ON_FAR_NODE, Scene, Target

FORWARD, REPLY = HopName.NODE_ROUTING, HopName.REPLY_ROUTING
NATIVE = frozenset({Mode.NATIVE})
ROUTE_MISSING, ENDPOINT_ROUTE_MISSING = "NodeRouteMissing", "EndpointRouteMissing"


def _blackhole(scene: Scene, node: str, towards: str) -> Injected:
    """A blackhole route to the other node or, with native routing, to the pod."""
    return devices.route(scene.lab, node, "blackhole", f"{towards}/32")


def _outer(scene: Scene, node: str, pod: str) -> str:
    """The destination address by which packets to a pod are routed."""
    return pod if scene.mode is Mode.NATIVE else scene.node_ip(node)


def _endpoint_route_missing(scene: Scene, pod: Pod) -> Injected:
    return devices.without_route(scene.lab, pod.node, pod.ip)


def _endpoint_route_to_another(scene: Scene, pod: Pod) -> Injected:
    """The endpoint route points to the ship on the same node."""
    other = scene.galaxy.pod(SHIP_ON_FAR_NODE)
    return devices.rerouted(scene.lab, pod.node, pod.ip, "dev", scene.lxc(other))


def _detour(scene: Scene, node: str, pod: Pod) -> Injected:
    """A route to a pod through a third node, which forwards the packets."""
    via = scene.node_ip(CONTROL_PLANE)
    return devices.route(scene.lab, node, f"{pod.ip}/32", "via", via)


def _node_detour(scene: Scene, node: str, other: str) -> Injected:
    """A route to a directly connected node through a third node."""
    return devices.route(scene.lab, node, f"{scene.node_ip(other)}/32", "via", scene.node_ip(CONTROL_PLANE))


def _wrong_neighbor(scene: Scene, node: str, other: str) -> Injected:
    return devices.wrong_neighbor(scene.lab, node, scene.node_ip(other), "eth0")


_QUEUES_OF_PODS = (
    Fault(
        "queue-loses-all-to-the-destination",
        lambda s: devices.blackhole_qdisc(s.lab, s.destination, s.lxc(s.far)),
        broken(HopName.DESTINATION_INTERFACE, "QdiscDrops", At.DESTINATION),
    ),
    Fault(
        "queue-loses-all-to-the-source",
        lambda s: devices.blackhole_qdisc(s.lab, s.source, s.lxc(s.ship)),
        broken(HopName.SOURCE_INTERFACE, "QdiscDrops"),
    ),
)
FAULTS = (
    Fault(
        "route-blackhole",
        lambda s: _blackhole(s, s.source, _outer(s, s.destination, s.far.ip)),
        broken(FORWARD, ROUTE_MISSING),
    ),
    Fault(
        "reply-route-blackhole",
        lambda s: _blackhole(s, s.destination, _outer(s, s.source, s.ship.ip)),
        broken(REPLY, ROUTE_MISSING, At.DESTINATION),
    ),
    Fault(
        "route-missing",
        lambda s: devices.without_route(s.lab, s.source, s.pod_cidr(s.destination)),
        broken(FORWARD, ROUTE_MISSING),
        modes=NATIVE,
    ),
    Fault(
        "reply-route-missing",
        lambda s: devices.without_route(s.lab, s.destination, s.pod_cidr(s.source)),
        broken(REPLY, ROUTE_MISSING, At.DESTINATION),
        modes=NATIVE,
    ),
    Fault(
        "route-to-the-wrong-node",
        lambda s: devices.route(s.lab, s.source, f"{s.far.ip}/32", "via", "172.30.0.99"),
        broken(FORWARD, ROUTE_MISSING),
        modes=NATIVE,
    ),
    Fault(
        "route-by-way-of-another-node",
        lambda s: _detour(s, s.source, s.far),
        either(FORWARD, ROUTE_MISSING),
        modes=NATIVE,
    ),
    Fault(
        "reply-route-by-way-of-another-node",
        lambda s: _detour(s, s.destination, s.ship),
        either(REPLY, ROUTE_MISSING, At.DESTINATION),
        modes=NATIVE,
    ),
    Fault(
        "route-to-the-node-by-way-of-another",
        lambda s: _node_detour(s, s.source, s.destination),
        either(FORWARD, ROUTE_MISSING),
        modes=TUNNELED,
    ),
    Fault(
        "reply-route-to-the-node-by-way-of-another",
        lambda s: _node_detour(s, s.destination, s.source),
        either(REPLY, ROUTE_MISSING, At.DESTINATION),
        modes=TUNNELED,
    ),
    Fault(
        "route-to-the-node-leads-back",
        lambda s: devices.route(s.lab, s.source, "local", f"{s.node_ip(s.destination)}/32", "dev", "lo"),
        broken(FORWARD, ROUTE_MISSING),
        modes=TUNNELED,
    ),
    Fault(
        "endpoint-route-missing",
        lambda s: _endpoint_route_missing(s, s.far),
        either(HopName.ENDPOINT_LOOKUP, ENDPOINT_ROUTE_MISSING, At.DESTINATION),
        modes=WITH_ENDPOINT_ROUTES,
    ),
    Fault(
        "endpoint-route-missing-same-node",
        lambda s: _endpoint_route_missing(s, s.near),
        either(HopName.ENDPOINT_LOOKUP, ENDPOINT_ROUTE_MISSING),
        Target.NEAR,
        modes=WITH_ENDPOINT_ROUTES,
    ),
    Fault(
        "endpoint-route-to-another-pod",
        lambda s: _endpoint_route_to_another(s, s.far),
        either(HopName.ENDPOINT_LOOKUP, ENDPOINT_ROUTE_MISSING, At.DESTINATION),
        modes=WITH_ENDPOINT_ROUTES,
    ),
    Fault(
        "reply-endpoint-route-missing",
        lambda s: _endpoint_route_missing(s, s.ship),
        either(HopName.REPLY_DELIVERY, ENDPOINT_ROUTE_MISSING),
        modes=WITH_ENDPOINT_ROUTES,
    ),
    Fault(
        "neighbour-wrong",
        lambda s: _wrong_neighbor(s, s.source, s.destination),
        broken(FORWARD, "NeighborMACMismatch"),
    ),
    Fault(
        "reply-neighbour-wrong",
        lambda s: _wrong_neighbor(s, s.destination, s.source),
        broken(REPLY, "NeighborMACMismatch", At.DESTINATION),
    ),
    Fault(
        "forward-filter-drops-pod",
        lambda s: netfilter.rule(s.lab, s.source, "FORWARD", "-d", s.far.ip, "-j", "DROP"),
        broken(FORWARD, "NetfilterDrops"),
        modes=NATIVE,
    ),
    Fault(
        "reply-tunnel-dropped-by-its-sender",
        lambda s: netfilter.rule(
            s.lab, s.destination, "OUTPUT", "-p", "udp", "--dport", "8472", "-j", "DROP"
        ),
        broken(REPLY, "NetfilterDrops", At.DESTINATION),
        modes=TUNNELED,
    ),
    Fault(
        "reply-tunnel-dropped-by-its-receiver",
        lambda s: netfilter.rule(s.lab, s.source, "INPUT", "-p", "udp", "--dport", "8472", "-j", "DROP"),
        broken(HopName.REPLY_DECAPSULATION, "NetfilterDrops"),
        modes=TUNNELED,
    ),
    Fault(
        "raw-filter-drops-at-destination",
        lambda s: netfilter.rule(
            s.lab,
            s.destination,
            "PREROUTING",
            "-s",
            s.node_ip(s.source),
            "-p",
            "udp",
            "-j",
            "DROP",
            table="raw",
        ),
        broken(HopName.OVERLAY_DECAPSULATION, "NetfilterDrops", At.DESTINATION),
        modes=TUNNELED,
    ),
    *(replace(fault, modes=THROUGH_QUEUES) for fault in _QUEUES_OF_PODS),
    *(replace(fault, expected=healthy(), modes=PAST_QUEUES) for fault in _QUEUES_OF_PODS),
    Fault(
        "filter-drops-inside-the-destination",
        lambda s: netfilter.rule_in_pod(s.lab, s.far, "INPUT", "-p", "tcp", "--dport", "80", "-j", "DROP"),
        broken(HopName.DESTINATION_INTERFACE, "NetfilterDrops", At.DESTINATION),
    ),
    Fault(
        "filter-rejects-inside-the-destination",
        lambda s: netfilter.rule_in_pod(
            s.lab, s.far, "INPUT", "-p", "tcp", "--dport", "80", "-j", "REJECT", "--reject-with", "tcp-reset"
        ),
        broken(HopName.DESTINATION_INTERFACE, "NetfilterDrops", At.DESTINATION),
    ),
    Fault(
        "queue-loses-all-to-the-tunnel",
        lambda s: devices.blackhole_qdisc(s.lab, s.source, "cilium_vxlan"),
        broken(HopName.OVERLAY_ENCAPSULATION, "QdiscDrops"),
        modes=TUNNELED,
    ),
)
