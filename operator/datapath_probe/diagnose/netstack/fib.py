"""Kernels, of nodes and of pods, that do not take, send or pass on this run's very packets: a rule that goes by their
addresses or ports, the reverse path filter, forwarding that is off. Routing tables do not show these.

Source: Linux 6.x `net/ipv4/route.c` (`inet_rtm_getroute`, which `ip route get` asks).
"""

from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...sources.iproute2 import links
from ...sources.packet import Packet
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.evidence_reader import Parser, Record
from ..finding.faults import Fault, if_expected
from ..finding.hop_check import Contradiction


def refused(
    context: CheckContext,
    node: str,
    packet: Packet,
    device: str,
    reason: Reason,
    defect: Defect = Defect.LOST,
    namespace: str | None = None,
) -> Fault:
    """A kernel, of a node or of a pod by its namespace, that does not take this packet for one of its own."""
    fact = links.arrival(node, packet, device, namespace)
    taken_in = _decision(context, packet, fact, links.parse_arrival)
    if taken_in is not False:
        return taken_in if isinstance(taken_in, Unavailable) else None
    message = (
        f"{_kernel(node, namespace)} refuses packets from {packet.source} to {packet.destination} at {device}: "
        "no such address, a rule, or its reverse path filter"
    )
    return Contradiction(reason, message, (defect,), (fact,))


def unsendable(
    context: CheckContext,
    node: str,
    packet: Packet,
    reason: Reason,
    defect: Defect = Defect.LOST,
    namespace: str | None = None,
) -> Fault:
    """A kernel that has no route for this very packet, whatever its routing table says of the address."""
    fact = links.departure(node, packet, namespace)
    route = _decision(context, packet, fact, links.parse_route)
    if not isinstance(route, Absent):
        return route if isinstance(route, Unavailable) else None
    to = f"{packet.destination}, port {packet.destination_port}/{packet.protocol}"
    message = (
        f"{_kernel(node, namespace)} has no route for packets to {to}: a rule keeps them from its routes"
    )
    return Contradiction(reason, message, (defect,), (fact,))


def unforwarded(
    context: CheckContext,
    node: str,
    packet: Packet,
    device: str,
    reason: Reason,
    out: str | None = None,
) -> Fault:
    """A node's kernel that does not pass this packet on as it comes in by a device; or not `out` of that device, where
    only Cilium knows which it is.
    """
    fact = links.arrival(node, packet, device)
    route = _decision(context, packet, fact, links.parse_route)
    if route is None or isinstance(route, Unavailable):
        return route
    flow = f"packets from {packet.source} to {packet.destination} that come in by {device}"
    if isinstance(route, Absent):
        message = f"the kernel of {node} does not forward {flow}: a rule, its reverse path filter, or forwarding is off"
    elif out and route.device != out:
        message = f"the kernel of {node} sends {flow} through {route.device}, not {out}"
    else:
        return None
    return Contradiction(reason, message, (Defect.LOST,), (fact,))


def _decision(
    context: CheckContext, packet: Packet, fact: Fact, parse: Parser[Record]
) -> Record | Unavailable | None:
    """What the kernel says of the packet; None where it need not be asked, or can't say."""
    to_itself = packet.source == packet.destination  # a pod through its Service: Cilium alone handles that
    if context.outcome.met is not False or to_itself:
        return None
    decision = context.reader.read(fact, parse)
    return if_expected(decision) if isinstance(decision, Unavailable) else decision


def _kernel(node: str, namespace: str | None) -> str:
    return f"the kernel of the pod on {node}" if namespace else f"the kernel of {node}"
