"""Hops `endpoint-lookup` and `reply-delivery` (a pod's own node has its entry), `locality-lookup` (no other node does).

All are lookups in the endpoint map `cilium_lxc`: an entry makes traffic local. Exercise 5.
Source: Cilium 1.18 `bpf/bpf_lxc.c` (`handle_ipv4_from_lxc`), `bpf/lib/local_delivery.h`.
"""

from collections.abc import Iterator
from dataclasses import replace

from ...addresses import IpAddress
from ...api.reasons import Reason
from ...api.vocabulary import Encapsulation
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ...plan.plan import PodFacts
from ...sources.agent import agent_endpoint
from ...sources.agent.agent_endpoint import AgentEndpoint
from ...sources.client_report import ClientFailure, ClientReport
from ...sources.maps import lxcmap
from ...sources.maps.lxcmap import TO_HOST
from ..context import CheckContext
from ..datapath.local_delivery import (
    as_inconclusive,
    missing_program,
    not_forwarded,
    passes_to_stack,
    uses_endpoint_map,
    uses_policy_program,
    wrong_route,
)
from ..datapath.policy_program import not_its_own, owner_is_known, program_in_slot
from ..datapath.tail_calls import call_missing, to_pod_calls
from ..failure_model.effect import Defect
from ..finding.faults import Fault, if_expected, worst_of
from ..finding.finding import Finding
from ..finding.hop_check import Contradiction, HopCheck
from ..netstack.kernel_filters import filtered
from ..netstack.local_addresses import Held, held_by
from ..netstack.netfilter import FORWARDED
from ..netstack.packet_model import request_packet


def check_locality_lookup(context: CheckContext, expected: ExpectedHop) -> Finding:
    """On a cross-node path, the source's node must have no entry for the destination: it keeps packets on the node."""
    address = context.address
    hop = context.hop(expected, f"cilium_lxc[{address}]")
    hop.intent(f"{address} is on another node", {"destinationNode": context.path.destination_node})
    fact = lxcmap.lookup(expected.node, address)
    hop.rests_on_maps(fact)
    record = context.reader.read(fact, lxcmap.parse)
    if isinstance(record, Unavailable):
        return hop.unknown(record)
    if isinstance(record, Absent):
        hop.programmed("no such endpoint here, so packets leave the node")
        return hop.ok(f"{expected.node} has no endpoint entry for {address}")
    hop.programmed("an endpoint of this node", {"ifindex": record.ifindex, "endpointID": record.endpoint_id})
    if record.flags & TO_HOST and isinstance(held := held_by(context, expected.node, address), Held):
        return hop.stale(_conflict(held, context.destination, (Defect.TREATED_AS_LOCAL,)))
    actual_node = context.path.destination_node or "no node"
    return hop.stale(_unexpected_entry(expected.node, address, actual_node, fact))


def unexpected_source_entry(context: CheckContext, hop: HopCheck) -> Fault:
    """The same for replies: the destination's node has an endpoint entry for the source."""
    if not context.path.cross_node:
        return None
    address, node = context.source.ip, hop.expected.node
    fact = lxcmap.lookup(node, address)
    hop.rests_on_maps(fact)
    record = context.reader.read(fact, lxcmap.parse)
    if isinstance(record, Unavailable):
        return if_expected(record)
    if isinstance(record, Absent):
        return None
    return _unexpected_entry(node, address, context.path.source_node, fact)


def _unexpected_entry(node: str, address: IpAddress, actual_node: str, fact: Fact) -> Contradiction:
    message = (
        f"the endpoint map of {node} has {address}, which is on {actual_node}: packets are delivered to an interface "
        "that is not the pod's"
    )
    return Contradiction(Reason.UNEXPECTED_LOCAL_ENDPOINT, message, (Defect.TREATED_AS_LOCAL,), (fact,))


def check_endpoint_lookup(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The destination's node must have its entry, with the interface, MACs and endpoint ID that the agent reports."""
    assert context.destination is not None  # the path has this hop only with a destination
    hop = context.hop(expected, f"cilium_lxc[{context.destination.ip}]")
    return _delivery(context, hop, context.destination, seen=context.connection.received)


def check_reply_delivery(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The source's node must have the source's entry, and a policy program that replies are tail-called into."""
    hop = context.hop(expected, f"cilium_lxc[{context.source.ip}]")
    delivery = _delivery(context, hop, context.source, seen=context.connection.replied)
    agent = context.agent_endpoint(context.source)
    if isinstance(agent, Unavailable):
        return delivery
    hop.object = f"programs before endpoint {agent.id}"
    missing = missing_program(context, hop, agent)
    if missing:
        return hop.fault(missing)
    if uses_policy_program(context):
        hop.object = f"cilium_call_policy[{agent.id}]"
        program = program_in_slot(context, hop, agent.id, lost="replies")
        if not isinstance(program, int):
            return hop.fault(program)
        delivery = worst_of(hop, delivery, not_its_own(context, expected.node, agent.id, program))
        if not owner_is_known(context, expected.node):
            delivery = replace(delivery, inconclusive=True)
    return worst_of(hop, delivery, call_missing(context, expected.node, agent.id, to_pod_calls(context)))


def _delivery(context: CheckContext, hop: HopCheck, pod: PodFacts, *, seen: bool) -> Finding:
    """The endpoint map's entry for the pod, the node's route to it, and faults of the node's stack for its packets."""
    address, node = pod.ip, hop.expected.node
    agent = context.agent_endpoint(pod)
    fact = lxcmap.lookup(node, address)
    hop.rests_on_maps(fact)
    record = context.reader.read(fact, lxcmap.parse)
    if seen:
        hop.observed("packets of this connection were delivered to the endpoint's policy program")
    missing = Contradiction(
        Reason.ENDPOINT_ENTRY_MISSING,
        f"the endpoint map of {node} has no entry for {address}: packets go to the host instead",
        (Defect.HANDED_TO_HOST,) if uses_endpoint_map(context) else (),
        (fact,),
    )
    held = _held_by_node(context, hop, pod, fact)
    if isinstance(held, Contradiction):
        return hop.stale(held)
    if isinstance(agent, Unavailable):
        return hop.stale(missing) if isinstance(record, Absent) else hop.unknown(agent)
    hop.intent(
        f"endpoint {agent.id} of this node",
        {"endpointID": agent.id, "identity": agent.identity, "ifindex": agent.ifindex, "mac": agent.mac},
    )
    misrouted = wrong_route(context, hop, pod, agent)
    if misrouted:
        return hop.fault(misrouted)
    if isinstance(record, Unavailable):
        return hop.unknown(record)
    if isinstance(record, Absent):
        hop.programmed("no entry")
        return hop.stale(missing)
    contradiction = _mismatch(context, hop, record, agent, fact)
    if contradiction:
        return hop.stale(contradiction)
    delivered = as_inconclusive(context, hop.ok(f"endpoint {record.endpoint_id}, interface {record.ifindex}"))
    dropped = _dropped_by_stack(context, pod, agent)
    return worst_of(hop, delivered, *dropped, _other_identity(hop, pod.ip, record, agent), held)


def _held_by_node(context: CheckContext, hop: HopCheck, pod: PodFacts, fact: Fact) -> Fault:
    """The pod's address on a device of its own node. Agents change the entry of the endpoint map (`fact`) back and
    forth, so an earlier reading counts, too; and so do packets of this connection that met the node's stack.
    """
    held = held_by(context, hop.expected.node, pod.ip)
    if not isinstance(held, Held):
        return held
    hop.programmed("an address of the node itself, too", {"devices": ", ".join(held.devices)})
    entries = context.reader.series(fact, lxcmap.parse)
    answers = (
        passes_to_stack(context)
        or any(_hands_to_host(context, entry) for entry in entries)
        or _met_by_stack(context, pod)
    )
    return _conflict(held, pod, (Defect.HANDED_TO_HOST,) if answers else ())


def _met_by_stack(context: CheckContext, pod: PodFacts) -> bool:
    """Whether packets of this connection to the pod met a stack that rejected them: a refusal although none is known to
    have reached the destination, or a RST for a reply to the source.
    """
    connection, report = context.connection, context.report
    if pod is context.source:
        return connection.client_reset
    rejected = isinstance(report, ClientReport) and report.failure is ClientFailure.NOT_CONNECTED
    return connection.answered_by_other or (rejected and isinstance(connection.incoming, Absent))


def _hands_to_host(context: CheckContext, record: lxcmap.EndpointRecord | Absent | Unavailable) -> bool:
    """Whether the endpoint map passes packets to the node's own stack."""
    if isinstance(record, Unavailable) or not uses_endpoint_map(context):
        return False
    return isinstance(record, Absent) or bool(record.flags & TO_HOST)


def _conflict(held: Held, pod: PodFacts | None, defects: tuple[Defect, ...]) -> Contradiction:
    """An address of a pod that is local to a node, too; no defect if packets of this path do not meet that."""
    name = f", although it is the address of pod {pod.pod.namespace}/{pod.pod.name}" if pod else ""
    effect = (
        "packets for the pod may go to the node's own stack, which answers in the pod's place"
        if defects
        else "connections from the node itself do not reach the pod, and none do once the endpoint map follows"
    )
    message = f"{held}{name}: {effect}"
    return Contradiction(Reason.ADDRESS_CONFLICT, message, defects, held.rests_on)


def _mismatch(
    context: CheckContext,
    hop: HopCheck,
    record: lxcmap.EndpointRecord,
    agent: AgentEndpoint,
    fact: Fact,
) -> Contradiction | None:
    """How the entry differs from the endpoint of the agent."""
    hop.programmed(
        "entry of this pod",
        {
            "endpointID": record.endpoint_id,
            "ifindex": record.ifindex,
            "mac": record.mac,
            "nodeMAC": record.node_mac,
            "identity": record.identity,
        },
    )
    wrong = _differences(record, agent)
    if not wrong:
        return None
    message = f"{hop.object} of {hop.expected.node} has {', '.join(wrong)}"
    defects = (_misdelivery(record, agent),) if uses_endpoint_map(context) else ()
    return Contradiction(Reason.ENDPOINT_ENTRY_MISMATCH, message, defects, (fact,))


def _misdelivery(record: lxcmap.EndpointRecord, agent: AgentEndpoint) -> Defect:
    """The defect of a wrong entry."""
    if record.flags & TO_HOST:
        return Defect.HANDED_TO_HOST
    return Defect.WRONG_INTERFACE if record.endpoint_id == agent.id else Defect.OTHER_ENDPOINT


def _dropped_by_stack(context: CheckContext, pod: PodFacts, agent: AgentEndpoint) -> Iterator[Fault]:
    """Faults of the node's stack, if it routes packets to the pod's own device: packet filters, and packets that it
    does not forward. With native routing from another node, the routing check reports them.
    """
    natively = context.path.cross_node and context.path.encapsulation is Encapsulation.NONE
    if natively or not context.config.routes_to_endpoints or context.outcome.met is not False:
        return
    node, other = pod.node.name, context.destination if pod is context.source else context.source
    device = f"cilium_{context.path.encapsulation}"
    if not context.path.cross_node:
        sender = context.agent_endpoint(other) if other else None
        if not isinstance(sender, AgentEndpoint):
            return
        device = sender.interface_name
    packet = request_packet(context, frozenset({device, agent.interface_name}), reply=pod is context.source)
    if packet is None:
        return
    yield not_forwarded(context, pod, agent, packet, device, Reason.ENDPOINT_ROUTE_MISSING)
    if not context.config.kube_proxy_replacement or not context.path.cross_node:
        yield filtered(context, node, FORWARDED, packet.arriving_at(device))


def _other_identity(
    hop: HopCheck, ip: IpAddress, record: lxcmap.EndpointRecord, agent: AgentEndpoint
) -> Contradiction | None:
    """A wrong identity in the entry, which no program reads on these paths."""
    node = hop.expected.node
    if record.identity == agent.identity:
        return None
    message = (
        f"the endpoint map of {node} has for {ip} identity {record.identity} instead of {agent.identity}"
    )
    rests_on = (lxcmap.lookup(node, ip), agent_endpoint.fact(node, agent.id))
    return Contradiction(Reason.ENDPOINT_ENTRY_MISMATCH, message, rests_on=rests_on)


def _differences(record: lxcmap.EndpointRecord, agent: AgentEndpoint) -> list[str]:
    """The fields needed for delivery that differ from the agent's endpoint, as "X instead of Y"."""
    pairs = [
        ("endpoint id", record.endpoint_id, agent.id),
        ("ifindex", record.ifindex, agent.ifindex),
        ("MAC", record.mac, agent.mac),
        ("node MAC", record.node_mac, agent.host_mac),
    ]
    wrong = [f"{name} {have} instead of {want}" for name, have, want in pairs if have != want]
    if record.flags & TO_HOST:
        wrong.insert(0, "the host flag set, so packets go to the host's stack instead of the pod")
    return wrong
