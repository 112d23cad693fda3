"""What is wrong inside a pod: routes, filters, address, MAC. Cilium sets them up, and looks at them no more."""

from datapath_probe.api.vocabulary import HopName
from e2e.galaxy import Pod
from faults.fault import At, Fault, broken, degraded, either
from faults.inject import devices, filters
from faults.inject.in_place import Injected
from faults.modes import BY_ROUTES, PER_PACKET_LB, Mode
from faults.scene import OUTPOST, Scene, Target

# Where the node's stack takes what leaves a pod.
NATIVE = frozenset({Mode.NATIVE})
_QUERY = ("-p", "udp")
_EVERY_OTHER_SYN = ("-p", "tcp", "--syn", "-m", "statistic", "--mode", "nth", "--every", "2", "--packet", "0")
SOURCE, DESTINATION = HopName.SOURCE_INTERFACE, HopName.DESTINATION_INTERFACE


def _swallows(scene: Scene, pod: Pod, address: str) -> Injected:
    """The pod's own kernel throws away what is meant for an address."""
    return devices.blackhole_inside(scene.lab, pod, address)


def _wrong_gateway(scene: Scene, pod: Pod) -> Injected:
    gateway = devices.gateway(scene.lab, pod)
    return devices.wrong_neighbor(scene.lab, pod.node, gateway, "eth0", inside=devices.netns(scene.lab, pod))


def _spoken_to(scene: Scene) -> str:
    """Whom the ship's packets to the outpost are for as its kernel sees them: sockets translate before it routes."""
    return scene.far.ip if scene.mode is Mode.KPR else scene.service_ip(OUTPOST)


def _leads_elsewhere(scene: Scene) -> Injected:
    """Requests to the deathstar far away go to the near one."""
    to = ("-p", "tcp", "-d", scene.far.ip, "-j", "DNAT", "--to-destination", scene.near.ip)
    return filters.rule_in_pod(scene.lab, scene.ship, "OUTPUT", *to, table="nat")


FAULTS = (
    Fault(
        "source-swallows-requests", lambda s: _swallows(s, s.ship, s.far.ip), broken(SOURCE, "RouteMissing")
    ),
    Fault(
        "source-swallows-requests-service",
        lambda s: _swallows(s, s.ship, _spoken_to(s)),
        broken(SOURCE, "RouteMissing"),
        Target.SERVICE,
    ),
    Fault(
        "filter-drops-inside-the-source-service",
        lambda s: filters.rule_in_pod(s.lab, s.ship, "OUTPUT", "-d", _spoken_to(s), "-j", "DROP"),
        broken(SOURCE, "NetfilterDrops"),
        Target.SERVICE,
    ),
    Fault(
        "filter-drops-queries-inside-the-source",
        lambda s: filters.rule_in_pod(s.lab, s.ship, "OUTPUT", *_QUERY, "--dport", "53", "-j", "DROP"),
        broken(SOURCE, "NetfilterDrops"),
        Target.SERVICE,
    ),
    Fault(
        "filter-drops-answers-to-queries-inside-the-source",
        lambda s: filters.rule_in_pod(s.lab, s.ship, "INPUT", *_QUERY, "--sport", "53", "-j", "DROP"),
        broken(SOURCE, "NetfilterDrops"),
        Target.SERVICE,
    ),
    Fault(
        "source-swallows-queries",
        lambda s: _swallows(s, s.ship, s.name_server_ip),
        broken(SOURCE, "RouteMissing"),
        Target.SERVICE,
        modes=PER_PACKET_LB,
    ),
    Fault(
        "source-leads-requests-elsewhere",
        _leads_elsewhere,
        degraded(SOURCE, "NetfilterDrops"),
    ),
    Fault(
        "destination-drops-every-other-handshake",
        lambda s: filters.rule_in_pod(s.lab, s.far, "INPUT", *_EVERY_OTHER_SYN, "-j", "DROP"),
        either(DESTINATION, "NetfilterDrops", At.DESTINATION),  # as the kernel tries again in time or not
    ),
    Fault(
        "destination-swallows-replies",
        lambda s: _swallows(s, s.far, s.ship.ip),
        broken(DESTINATION, "RouteMissing", At.DESTINATION),
    ),
    Fault(
        "destination-swallows-replies-same-node",
        lambda s: _swallows(s, s.near, s.ship.ip),
        broken(DESTINATION, "RouteMissing"),
        Target.NEAR,
    ),
    Fault(
        "source-speaks-from-another-address",
        lambda s: devices.other_source_address(s.lab, s.ship),
        broken(SOURCE, "InterfaceMismatch"),
    ),
    Fault(
        "filter-drops-data-inside-the-source",
        lambda s: filters.rule_in_pod(
            s.lab,
            s.ship,
            "OUTPUT",
            *("-p", "tcp", "--dport", "80", "--tcp-flags", "PSH", "PSH", "-j", "DROP"),
        ),
        broken(SOURCE, "NetfilterDrops"),
    ),
    Fault(
        "source-sends-to-a-wrong-gateway",
        lambda s: _wrong_gateway(s, s.ship),
        broken(SOURCE, "NeighborMACMismatch"),
        modes=NATIVE,
    ),
    Fault(
        "source-does-not-ask-for-its-gateway",
        lambda s: devices.arp_off(s.lab, s.ship),
        broken(SOURCE, "NeighborMACMismatch"),
        modes=NATIVE,
    ),
    Fault(
        "destination-sends-to-a-wrong-gateway",
        lambda s: _wrong_gateway(s, s.far),
        broken(DESTINATION, "NeighborMACMismatch", At.DESTINATION),
        modes=NATIVE,
    ),
    Fault(
        "destination-sends-to-a-wrong-gateway-same-node",
        lambda s: _wrong_gateway(s, s.near),
        broken(DESTINATION, "NeighborMACMismatch"),
        Target.NEAR,
        modes=BY_ROUTES,
    ),
    Fault(
        "source-other-mac-of-the-nodes-end",
        lambda s: devices.wrong_mac(s.lab, s.source, s.lxc(s.ship)),
        broken(SOURCE, "MACMismatch"),
        modes=NATIVE,
    ),
    Fault(
        "destination-other-mac-of-the-nodes-end",
        lambda s: devices.wrong_mac(s.lab, s.destination, s.lxc(s.far)),
        broken(DESTINATION, "MACMismatch", At.DESTINATION),
        modes=NATIVE,
    ),
    Fault(
        "source-wrong-mac-inside",
        lambda s: devices.wrong_mac_inside(s.lab, s.ship),
        broken(SOURCE, "MACMismatch"),
    ),
    Fault(
        "destination-wrong-mac-inside",
        lambda s: devices.wrong_mac_inside(s.lab, s.far),
        broken(DESTINATION, "MACMismatch", At.DESTINATION),
    ),
)
