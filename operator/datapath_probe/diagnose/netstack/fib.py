"""Routing decisions of the kernels of nodes and pods for this run's packets. They include policy rules for addresses or
ports, the reverse path filter, and disabled forwarding, which routing tables do not show.

Source: Linux 6.x `net/ipv{4,6}/route.c` (`inet_rtm_getroute`, `inet6_rtm_getroute`, which `ip route get` asks).
"""

from ...addresses import family_of
from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...sources.iproute2 import links, rules
from ...sources.packet import Packet
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.evidence_reader import Parser, Record
from ..finding.faults import Fault, if_expected
from ..finding.hop_check import Contradiction


def rejected_on_input(
    context: CheckContext,
    node: str,
    packet: Packet,
    device: str,
    reason: Reason,
    defect: Defect = Defect.LOST,
    namespace: str | None = None,
) -> Fault:
    """A kernel that does not accept this packet as local: of a node, or of a pod, given its network namespace."""
    fact = links.arrival(node, packet, device, namespace)
    accepted = _decision(context, packet, fact, links.parse_arrival)
    if accepted is not False:
        return accepted if isinstance(accepted, Unavailable) else None
    of_rules = rules.fact(node, namespace, family_of(packet.destination))
    known = context.reader.read(of_rules, rules.parse)
    if not isinstance(known, Unavailable) and not any(rule.finds_own_addresses for rule in known):
        message = (
            f"{_kernel(node, namespace)} has no rule that looks up table {rules.LOCAL_TABLE}, so it accepts no packets "
            "to its own addresses"
        )
        return Contradiction(Reason.ROUTING_RULE_MISSING, message, (defect,), (fact, of_rules))
    message = (
        f"{_kernel(node, namespace)} rejects packets from {packet.source} to {packet.destination} on {device}: "
        "no such address, a rule, or its reverse path filter"
    )
    return Contradiction(reason, message, (defect,), (fact,))


def unroutable(
    context: CheckContext,
    node: str,
    packet: Packet,
    reason: Reason,
    defect: Defect = Defect.LOST,
    namespace: str | None = None,
) -> Fault:
    """A kernel that has no route for this packet, although its routing table may have one for the address."""
    fact = links.departure(node, packet, namespace)
    route = _decision(context, packet, fact, links.parse_route)
    if not isinstance(route, Absent):
        return route if isinstance(route, Unavailable) else None
    to = f"{packet.destination}, port {packet.destination_port}/{packet.protocol}"
    message = f"{_kernel(node, namespace)} has no route for packets to {to}: a rule bypasses its routes"
    return Contradiction(reason, message, (defect,), (fact,))


def unforwarded(
    context: CheckContext,
    node: str,
    packet: Packet,
    device: str,
    reason: Reason,
    out: str | None = None,
) -> Fault:
    """A node's kernel that does not forward this packet as received on a device, or does not forward it through the
    device `out`.
    """
    fact = links.arrival(node, packet, device)
    route = _decision(context, packet, fact, links.parse_route)
    if route is None or isinstance(route, Unavailable):
        return route
    packets = f"packets from {packet.source} to {packet.destination} received on {device}"
    if isinstance(route, Absent):
        reasons = "a rule, its reverse path filter, or disabled forwarding"
        message = f"the kernel of {node} does not forward {packets}: {reasons}"
    elif out and route.device != out:
        message = f"the kernel of {node} sends {packets} through {route.device}, not {out}"
    else:
        return None
    return Contradiction(reason, message, (Defect.LOST,), (fact,))


def _decision(
    context: CheckContext, packet: Packet, fact: Fact, parse: Parser[Record]
) -> Record | Unavailable | None:
    """The kernel's decision about the packet; None if it is not needed or not available."""
    to_itself = (
        packet.source == packet.destination
    )  # a pod that calls itself through its Service: only Cilium handles that
    if context.outcome.met is not False or to_itself:
        return None
    decision = context.reader.read(fact, parse)
    return if_expected(decision) if isinstance(decision, Unavailable) else decision


def _kernel(node: str, namespace: str | None) -> str:
    return f"the kernel of the pod on {node}" if namespace else f"the kernel of {node}"
