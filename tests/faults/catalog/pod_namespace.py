"""Faults inside a pod's network namespace: routes, filters, address, MAC. Cilium does not check these after setup."""

from dataclasses import replace

from datapath_probe.api.vocabulary import HopName
from e2e.galaxy import Pod
from faults.fault import At, Fault, broken, degraded, either, latent
from faults.inject import devices, netfilter
from faults.inject.in_place import Injected
from faults.modes import NODE_PORTS, PAST_QUEUES, PER_PACKET_LB, THROUGH_QUEUES, WITH_ENDPOINT_ROUTES, Mode
from faults.scene import OUTPOST, Scene, Target

# The node's stack receives the packets that leave a pod.
NATIVE = frozenset({Mode.NATIVE})
_QUERY = ("-p", "udp")
_EVERY_OTHER_SYN = ("-p", "tcp", "--syn", "-m", "statistic", "--mode", "nth", "--every", "2", "--packet", "0")
SOURCE, DESTINATION = HopName.SOURCE_INTERFACE, HopName.DESTINATION_INTERFACE


def _blackholed(scene: Scene, pod: Pod, address: str) -> Injected:
    """The pod has a blackhole route to an address."""
    return devices.blackhole_in_pod(scene.lab, pod, address)


def _wrong_gateway(scene: Scene, pod: Pod) -> Injected:
    gateway = devices.gateway(scene.lab, pod)
    return devices.wrong_neighbor(scene.lab, pod.node, gateway, "eth0", inside=devices.netns(scene.lab, pod))


def _service_destination(scene: Scene) -> str:
    """The destination of packets to the outpost in the ship's stack: socket LB translates it before routing."""
    return scene.far.ip if scene.mode in NODE_PORTS else scene.service_ip(OUTPOST)


def _redirected_to_near(scene: Scene) -> Injected:
    """Requests to the far deathstar go to the near one."""
    to = ("-p", "tcp", "-d", scene.far.ip, "-j", "DNAT", "--to-destination", scene.near.ip)
    return netfilter.rule_in_pod(scene.lab, scene.ship, "OUTPUT", *to, table="nat")


_WRONG_MACS = (
    Fault(
        "source-wrong-mac-inside",
        lambda s: devices.wrong_pod_mac(s.lab, s.ship),
        broken(SOURCE, "MACMismatch"),
    ),
    Fault(
        "destination-wrong-mac-inside",
        lambda s: devices.wrong_pod_mac(s.lab, s.far),
        broken(DESTINATION, "MACMismatch", At.DESTINATION),
    ),
)

FAULTS = (
    Fault(
        "source-swallows-requests", lambda s: _blackholed(s, s.ship, s.far.ip), broken(SOURCE, "RouteMissing")
    ),
    Fault(
        "source-swallows-requests-service",
        lambda s: _blackholed(s, s.ship, _service_destination(s)),
        broken(SOURCE, "RouteMissing"),
        Target.SERVICE,
    ),
    Fault(
        "filter-drops-inside-the-source-service",
        lambda s: netfilter.rule_in_pod(s.lab, s.ship, "OUTPUT", "-d", _service_destination(s), "-j", "DROP"),
        broken(SOURCE, "NetfilterDrops"),
        Target.SERVICE,
    ),
    Fault(
        "filter-drops-queries-inside-the-source",
        lambda s: netfilter.rule_in_pod(s.lab, s.ship, "OUTPUT", *_QUERY, "--dport", "53", "-j", "DROP"),
        broken(SOURCE, "NetfilterDrops"),
        Target.SERVICE,
    ),
    Fault(
        "filter-drops-answers-to-queries-inside-the-source",
        lambda s: netfilter.rule_in_pod(s.lab, s.ship, "INPUT", *_QUERY, "--sport", "53", "-j", "DROP"),
        broken(SOURCE, "NetfilterDrops"),
        Target.SERVICE,
    ),
    Fault(
        "source-swallows-queries",
        lambda s: _blackholed(s, s.ship, s.name_server_ip),
        broken(SOURCE, "RouteMissing"),
        Target.SERVICE,
        modes=PER_PACKET_LB,
    ),
    Fault(
        "source-leads-requests-elsewhere",
        _redirected_to_near,
        degraded(SOURCE, "NetfilterDrops"),
    ),
    Fault(
        "destination-drops-every-other-handshake",
        lambda s: netfilter.rule_in_pod(  # of the probe alone: kubelets' probes would count, too
            s.lab, s.far, "INPUT", "-s", s.ship.ip, *_EVERY_OTHER_SYN, "-j", "DROP"
        ),
        either(
            DESTINATION, "NetfilterDrops", At.DESTINATION
        ),  # depends on whether the retransmission is in time
    ),
    Fault(
        "destination-swallows-replies",
        lambda s: _blackholed(s, s.far, s.ship.ip),
        broken(DESTINATION, "RouteMissing", At.DESTINATION),
    ),
    Fault(
        "destination-swallows-replies-same-node",
        lambda s: _blackholed(s, s.near, s.ship.ip),
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
        lambda s: netfilter.rule_in_pod(
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
        modes=WITH_ENDPOINT_ROUTES,
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
    *(replace(fault, modes=THROUGH_QUEUES) for fault in _WRONG_MACS),
    *(latent(fault, PAST_QUEUES) for fault in _WRONG_MACS),
)
