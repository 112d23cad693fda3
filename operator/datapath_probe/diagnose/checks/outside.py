"""Hops `masquerade` and `cluster-exit`: how packets to a destination outside the cluster leave the source's node. What
is beyond its device is not judged.

Source: Cilium 1.18 `pkg/datapath/iptables/iptables.go`, `bpf/bpf_host.c` (`cil_to_netdev`), `bpf/lib/nat.h`; Linux 6.x
netfilter (a connection gets its conntrack entry in POSTROUTING, so an entry shows that its packet passed it).
"""

from collections.abc import Iterator
from dataclasses import replace

from ...addresses import IpAddress, with_port
from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ...sources.bpf.bpftool import Direction
from ...sources.iproute2 import links
from ...sources.iproute2.links import CILIUM_HOST
from ...sources.maps import egress_gateway
from ...sources.maps.egress_gateway import EgressGateway
from ...sources.netfilter import masquerade_rules
from ..context import CheckContext
from ..datapath.departure import Departure, by_bpf, by_netfilter
from ..datapath.masquerading import Masquerading, masquerading
from ..datapath.native_device_programs import faults_at_exit
from ..failure_model.effect import Defect
from ..finding.faults import Fault, if_expected, worst_of
from ..finding.finding import Finding
from ..finding.hop_check import Contradiction, HopCheck
from ..netstack.fib import unforwarded
from ..netstack.foreign_programs import foreign_programs_dropping
from ..netstack.kernel_filters import filtered
from ..netstack.netfilter import FORWARDED, LEAVING
from ..netstack.next_hop import next_hop_unanswered
from ..netstack.packet_model import arriving_at, pod_device, request_packet
from ..netstack.qdisc import qdisc_drops

_LOOPBACK = "lo"


def check_masquerade(context: CheckContext, expected: ExpectedHop) -> Finding:
    """Packets get an address of the node, or keep the pod's, as configured."""
    hop = context.hop(expected, f"source address towards {context.address}")
    how = masquerading(context)
    if isinstance(how, Unavailable):
        return hop.unknown(how)
    if isinstance(how, EgressGateway):
        return _by_gateway(context, hop, how)
    hop.intent(how.value)
    if how is Masquerading.BY_BPF:
        return _by_bpf(context, hop)
    if how is Masquerading.BY_IPTABLES:
        return _by_iptables(context, hop)
    return hop.ok(f"{how.value}, as configured")


def check_cluster_exit(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The node's route out of the cluster, and what may drop packets on it in either direction."""
    node, target = expected.node, context.address
    hop = context.hop(expected, f"route to {target}")
    hop.intent(f"{target} is outside the cluster")
    if context.connection.replied:
        hop.observed("replies came back")
    fact = links.route_to(node, target)
    route = context.reader.read(fact, links.parse_route)
    if isinstance(route, Unavailable):
        return hop.unknown(route)
    wrong = _wrong_route(node, target, route)
    if isinstance(route, Absent) or wrong:
        hop.programmed(wrong or "no route")
        message = wrong or f"{node} has no route to {target}"
        return hop.stale(Contradiction(Reason.EXIT_ROUTE_MISSING, message, (Defect.LOST,), (fact,)))
    via = f"{route.gateway} on {route.device}" if route.gateway else route.device
    hop.programmed(f"via {via}", {"gateway": route.gateway or "", "device": route.device})
    finding = hop.ok(f"packets leave the cluster at {route.device} of {node}")
    end = None if route.gateway else str(target)
    unanswered = next_hop_unanswered(context, node, route, target, end)
    return worst_of(hop, finding, unanswered, *_dropped(context, node, route.device))


# ---- masquerade


def _by_gateway(context: CheckContext, hop: HopCheck, gateway: EgressGateway) -> Finding:
    """The gateway is judged only if it is the source's own node."""
    node = hop.expected.node
    fact = egress_gateway.entry(node, context.source.ip, context.address)
    hop.programmed(f"through egress gateway {gateway.node or '-'}", {"gateway": gateway.node or ""})
    selected = f"an egress gateway policy applies to packets from {context.source.ip} to {context.address}"
    if gateway.node and gateway.node not in context.source.node.addresses:
        return hop.not_followed(f"{selected}, and sends them through the node with address {gateway.node}")
    if not gateway.node or not gateway.source:
        lacks = f"{node}, its gateway, has no address for them" if gateway.node else "no node is its gateway"
        message = f"{selected}, but {lacks}: {node} drops them"
        return hop.stale(Contradiction(Reason.NO_EGRESS_GATEWAY, message, (Defect.LOST,), (fact,)))
    hop.intent(f"{selected}, and gives them the address {gateway.source}")
    return _by_bpf(context, hop, gateway.source)


def _by_bpf(context: CheckContext, hop: HopCheck, chosen: IpAddress | None = None) -> Finding:
    """The program of Cilium, and its entry of this connection. `chosen`: the address that an egress gateway gives."""
    node, seen = hop.expected.node, by_bpf(context)
    missing = faults_at_exit(context, node, _device(context, node))
    if isinstance(seen, Departure):
        wrong = _wrongly_translated(context, hop, seen, chosen)
        return worst_of(hop, hop.ok(f"{context.source.ip} is translated to {seen.source}"), wrong, *missing)
    not_read = if_expected(seen) if isinstance(seen, Unavailable) else None
    return worst_of(hop, hop.ok(Masquerading.BY_BPF.value), *missing, not_read)


def _by_iptables(context: CheckContext, hop: HopCheck) -> Finding:
    """The rule of Cilium, and what the kernel did to this connection."""
    node, seen = hop.expected.node, by_netfilter(context)
    of_rules = masquerade_rules.fact(node, context.address.version)
    rules = context.reader.read(of_rules, masquerade_rules.parse)
    if isinstance(rules, Unavailable):
        return hop.unknown(rules)
    if isinstance(seen, Departure):
        wrong = _wrongly_translated(context, hop, seen)
        if wrong:
            return hop.stale(wrong)
    missing = _rule_missing(context, hop, rules, of_rules)
    if isinstance(seen, Departure):  # another rule than Cilium's may have translated it
        return hop.ok(f"{context.source.ip} is translated to {seen.source}")
    if missing:
        return hop.fault(missing)
    if isinstance(seen, Unavailable) and context.outcome.met is not None:
        return hop.unknown(seen)
    return hop.ok(f"{context.source.ip} is translated to an address of the node")


def _rule_missing(
    context: CheckContext, hop: HopCheck, rules: masquerade_rules.Rules | Absent, fact: Fact
) -> Contradiction | Unavailable | None:
    """No rule of Cilium masquerades these packets."""
    node, device = hop.expected.node, _device(context, hop.expected.node)
    packet = request_packet(context, frozenset({device} if device else ()))
    assert packet is not None  # the backend is known
    found = masquerade_rules.translation_of(() if isinstance(rules, Absent) else rules, packet)
    hop.programmed(found.rule or f"no rule in {masquerade_rules.CHAIN}")
    if found.translates:
        return None
    if not found.certain:
        message = f"whether a rule in {masquerade_rules.CHAIN} on {node} matches these packets is unknown"
        return Unavailable(Reason.NOT_OBSERVED, message)
    message = f"no rule in {masquerade_rules.CHAIN} on {node} masquerades packets from {context.source.ip}"
    return Contradiction(Reason.NOT_MASQUERADED, message, (Defect.NOT_MASQUERADED,), (fact,))


def _wrongly_translated(
    context: CheckContext, hop: HopCheck, seen: Departure, chosen: IpAddress | None = None
) -> Contradiction | None:
    """The packets left with an address to which no replies come back, or with another one than the chosen."""
    node, fact = hop.expected.node, seen.shown_by
    hop.observed(f"left as {with_port(seen.source, seen.source_port)}", {"source": seen.source})
    if seen.source in context.source.addresses:
        message = f"packets to {context.address} left {node} with the pod's address {seen.source}"
        return Contradiction(Reason.NOT_MASQUERADED, message, (Defect.NOT_MASQUERADED,), (fact,))
    if chosen and seen.source != chosen:
        message = f"packets to {context.address} left {node} as {seen.source}, not as {chosen}, their egress gateway's"
        return Contradiction(Reason.WRONG_MASQUERADE_ADDRESS, message, (Defect.WRONGLY_MASQUERADED,), (fact,))
    of_devices = links.holders(node, seen.source)
    devices = context.reader.read(of_devices, links.parse_holders)
    if isinstance(devices, Unavailable) or devices:
        return None
    message = f"packets to {context.address} left {node} as {seen.source}, which is no address of {node}"
    return Contradiction(
        Reason.WRONG_MASQUERADE_ADDRESS, message, (Defect.WRONGLY_MASQUERADED,), (fact, of_devices)
    )


# ---- cluster-exit


def _device(context: CheckContext, node: str) -> str | None:
    """The device of the route, if there is one."""
    route = context.reader.read(links.route_to(node, context.address), links.parse_route)
    return route.device if isinstance(route, links.Route) else None


def _wrong_route(node: str, target: IpAddress, route: links.Route | Absent) -> str:
    """What is wrong with a route that does not lead out of the cluster."""
    if isinstance(route, Absent):
        return ""
    if route.to_itself or route.device == _LOOPBACK:
        return f"{node} delivers packets to {target} to itself"
    return f"{node} sends packets to {target} to {CILIUM_HOST}" if route.device == CILIUM_HOST else ""


def _dropped(context: CheckContext, node: str, uplink: str) -> Iterator[Fault]:
    """Faults of requests at this device, and of their replies."""
    yield qdisc_drops(context, node, uplink)
    yield foreign_programs_dropping(context, node, uplink, Direction.EGRESS)
    yield _of_replies(foreign_programs_dropping(context, node, uplink, Direction.INGRESS))
    packet, reply = (request_packet(context, frozenset({uplink}), reply=reply) for reply in (False, True))
    assert packet is not None  # the backend is known
    assert reply is not None
    if context.source.pod.host_network:
        yield filtered(context, node, LEAVING, packet)
        return
    if context.config.bpf_host_routing:
        return
    devices = pod_device(context, context.source)
    yield filtered(context, node, FORWARDED, arriving_at(packet, devices))
    for device in devices:
        yield unforwarded(context, node, packet, device, Reason.EXIT_ROUTE_MISSING, out=uplink)
    returning = replace(reply, devices=devices | {uplink, CILIUM_HOST}).arriving_at(uplink)
    yield _of_replies(filtered(context, node, FORWARDED, returning))


def _of_replies(fault: Fault) -> Fault:
    """A fault that only replies meet: no entry shows how far requests got beyond the node."""
    if not isinstance(fault, Contradiction):
        return fault
    return replace(fault, defects=(Defect.HOST_ANSWERS_LOST,) if fault.defects else ())
