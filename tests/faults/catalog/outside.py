"""Paths out of the cluster: masquerading, the way to the router, policies for CIDRs and names, and what is beyond."""

from contextlib import nullcontext
from dataclasses import replace

from datapath_probe.api.vocabulary import HopName
from e2e.api import Object
from faults.fault import Expected, Fault, broken, healthy
from faults.inject import devices, netfilter, outside, programs
from faults.inject.in_place import Injected
from faults.inject.policies import Direction, enforced, policy
from faults.modes import MASQUERADED_BY_BPF, MASQUERADED_BY_NETFILTER
from faults.scene import Scene, Target
from lab.outside import HOST_NAME
from lab.settings import OUTSIDE_IP

MASQUERADE, EXIT, RESPONSE = HopName.MASQUERADE, HopName.CLUSTER_EXIT, HopName.DESTINATION_RESPONSE
OUT, NAME = Target.OUTSIDE, Target.OUTSIDE_NAME
NOT_MASQUERADED, NO_ROUTE = "NotMasqueraded", "ExitRouteMissing"
BEYOND = (Expected("Broken", "LostOutsideCluster", segment=(EXIT, RESPONSE)),)
SHIPS = {"matchLabels": {"class": "xwing"}}
DNS = {
    "toEndpoints": [
        {"matchLabels": {"k8s:io.kubernetes.pod.namespace": "kube-system", "k8s-app": "kube-dns"}}
    ]
}
OTHER_RANGE = {"toCIDR": ["198.51.100.0/24"]}
WORLD = 2


def _nat(scene: Scene, *target: str) -> Injected:
    """A rule before those of Cilium, for packets from the ship to the host."""
    of_packet = ("-s", scene.ship.ip, "-d", OUTSIDE_IP)
    return netfilter.rule(scene.lab, scene.source, "POSTROUTING", *of_packet, *target, table="nat")


def _forward(scene: Scene, *words: str) -> Injected:
    return netfilter.rule(scene.lab, scene.source, "FORWARD", *words)


def _policy(scene: Scene, spec: Object) -> Injected:
    denying = policy("CiliumNetworkPolicy", {"endpointSelector": SHIPS, **spec})
    return enforced(scene.lab, scene.api, denying, scene.ship, Direction.EGRESS, WORLD)


_IN_NETFILTER = (
    Fault(
        "masquerade-skipped",
        lambda s: _nat(s, "-j", "ACCEPT"),
        broken(MASQUERADE, NOT_MASQUERADED),
        OUT,
    ),
    Fault(
        "masquerade-rule-missing",
        lambda s: netfilter.flushed(s.lab, s.source, "CILIUM_POST_nat", table="nat"),
        broken(MASQUERADE, NOT_MASQUERADED),
        NAME,
    ),
    Fault(
        "masquerade-as-another",
        lambda s: _nat(s, "-j", "SNAT", "--to-source", "172.30.0.99"),
        broken(MASQUERADE, "WrongMasqueradeAddress"),
        OUT,
    ),
    Fault(
        "exit-filtered",
        lambda s: _forward(s, "-d", OUTSIDE_IP, "-j", "DROP"),
        broken(EXIT, "NetfilterDrops"),
        OUT,
    ),
    Fault(
        "exit-rejected",
        lambda s: _forward(s, "-d", OUTSIDE_IP, "-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset"),
        broken(EXIT, "NetfilterDrops"),
        NAME,
    ),
    Fault(
        "exit-replies-filtered",
        lambda s: _forward(s, "-s", OUTSIDE_IP, "-j", "DROP"),
        broken(EXIT, "NetfilterDrops"),
        OUT,
    ),
)

FAULTS = (
    Fault("outside", lambda _: nullcontext(), healthy(), OUT),
    Fault("outside-by-name", lambda _: nullcontext(), healthy(), NAME),
    Fault(
        "masquerade-by-another-rule",
        lambda s: _nat(s, "-j", "SNAT", "--to-source", s.node_ip(s.source)),
        healthy(),
        OUT,
    ),
    Fault(
        "exit-without-default-route",
        lambda s: devices.without_route(s.lab, s.source, "default"),
        broken(EXIT, NO_ROUTE),
        OUT,
    ),
    Fault(
        "exit-route-blackhole",
        lambda s: devices.route(s.lab, s.source, "blackhole", "203.0.113.0/24"),
        broken(EXIT, NO_ROUTE),
        NAME,
    ),
    Fault(
        "exit-through-a-dead-gateway",
        lambda s: devices.route(s.lab, s.source, f"{OUTSIDE_IP}/32", "via", "172.30.0.99"),
        broken(EXIT, "NeighborUnreachable"),
        OUT,
    ),
    Fault(
        "exit-not-forwarded",
        lambda s: devices.rule(s.lab, s.source, "from", s.ship.ip, "to", OUTSIDE_IP, "prohibit"),
        broken(EXIT, NO_ROUTE),
        OUT,
    ),
    Fault(
        "outside-denied-by-cidr",
        lambda s: _policy(s, {"egress": [OTHER_RANGE]}),
        broken(HopName.EGRESS_POLICY, "PolicyDenied"),
        OUT,
    ),
    Fault(
        "outside-name-denied-by-cidr",
        lambda s: _policy(s, {"egress": [DNS, OTHER_RANGE]}),
        broken(HopName.EGRESS_POLICY, "PolicyDenied"),
        NAME,
    ),
    Fault(
        "outside-name-not-learned",  # no rule redirects the queries to the DNS proxy
        lambda s: _policy(s, {"egress": [DNS, {"toFQDNs": [{"matchName": HOST_NAME}]}]}),
        broken(HopName.EGRESS_POLICY, "FQDNNotLearned"),
        NAME,
    ),
    Fault(
        "outside-firewall",
        lambda _: outside.firewall("-d", OUTSIDE_IP, "-p", "tcp", "--dport", "80", "-j", "DROP"),
        BEYOND,
        OUT,
    ),
    Fault(
        "outside-firewall-by-name",
        lambda _: outside.firewall("-d", OUTSIDE_IP, "-p", "tcp", "--dport", "80", "-j", "DROP"),
        BEYOND,
        NAME,
    ),
    Fault("outside-gone", lambda _: outside.without_address(), BEYOND, OUT),
    Fault(
        "outside-refuses",
        lambda _: outside.firewall(
            *("-d", OUTSIDE_IP, "-p", "tcp", "--dport", "80"),
            *("-j", "REJECT", "--reject-with", "tcp-reset"),
        ),
        broken(RESPONSE, "ConnectionRefused"),
        OUT,
    ),
    Fault(
        "outside-name-unknown",
        lambda _: outside.without_name_server(),
        broken(HopName.NAME_RESOLUTION, "DNSLookupFailed") + broken(HopName.NAME_RESOLUTION, "DNSTimeout"),
        NAME,
    ),
    Fault(
        "masquerade-program-detached",
        lambda s: programs.detached_from_node(s.lab, s.api, s.source, "eth0", "cil_to_netdev"),
        broken(MASQUERADE, "ProgramMissing"),
        OUT,
        modes=MASQUERADED_BY_BPF,
    ),
    Fault(
        "masquerade-program-for-replies-detached",
        lambda s: programs.detached_from_node(s.lab, s.api, s.source, "eth0", "cil_from_netdev"),
        broken(MASQUERADE, "ProgramMissing"),
        OUT,
        modes=MASQUERADED_BY_BPF,
    ),
    *(replace(fault, modes=MASQUERADED_BY_NETFILTER) for fault in _IN_NETFILTER),
    *(replace(fault, expected=healthy(), modes=MASQUERADED_BY_BPF) for fault in _IN_NETFILTER),
)
