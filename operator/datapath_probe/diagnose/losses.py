"""What swallows packets on their way although Cilium is as it should be: lossy queues, kernels that refuse, holes
between programs. For packet filters see `filters`.

Asked only after a request has failed: a rule or a queue that is there does no harm to a request that came through.
Called by the checks, each for the objects that its hop owns: None is nothing found, `Unavailable` an answer that says
nothing. A node without iptables or tc has none of theirs.
"""

from collections.abc import Sequence

from ..api.reasons import Reason
from ..api.vocabulary import HopVerdict
from ..cilium import bpftool, links, queues
from ..cilium.filter_terms import Packet
from ..cilium.layout import Layout
from ..evidence.errors import EvidenceError
from ..evidence.question import Question
from ..evidence.reading import Absent, Unavailable
from ..plan.plan import NodeFacts
from .case import Case
from .findings import Finding, Rung
from .judge import Contradiction, Hop
from .sizes import BY_SIZE, OUTER_HEADERS

# CILIUM_CALL_IPV4_FROM_LXC, …_CT_EGRESS, …_FROM_LXC_CONT; CILIUM_CALL_IPV4_CT_INGRESS, …_TO_ENDPOINT
# (cil_to_container); …_CT_INGRESS_POLICY_ONLY, …_TO_LXC_POLICY_ONLY (cil_lxc_policy); CILIUM_CALL_IPV4_FROM_OVERLAY.
# Source: Cilium 1.18, 1.19 `bpf/lib/tailcall.h`, `bpf/bpf_lxc.c`.
_VERSIONS_OF_CALLS = ("1.18.", "1.19.")
_FROM_POD_CALLS, _BALANCING_CALLS = (7,), (30, 26)
_TO_CONTAINER_CALLS, _POLICY_CALLS = (28, 13), (29, 11)
FROM_OVERLAY_CALL = 7
CALLS_FROM_POD = (7, 26)
"""Where the endpoint's policy for what leaves it is looked up: with load-balancing in its programs in the second."""

# Shares: of a request's timeout by which a packet is delayed, of packets that are damaged.
_TOO_LATE, _DAMAGED = 0.5, 0.05

Suspect = Contradiction | Unavailable | None

# Not asked, as in recordings of an earlier version, or there is no such tool: nothing is held against the hop.
_NOTHING_TO_HEAR = frozenset({EvidenceError.NOT_COLLECTED, EvidenceError.NO_SUCH_EXECUTABLE})


def unless(hop: Hop, finding: Finding, *suspects: Suspect) -> Finding:
    """The finding of a hop, unless it is Ok and something that the hop owns swallows packets, or can't be seen."""
    if finding.verdict is not HopVerdict.OK:
        return finding
    for suspect in suspects:
        if isinstance(suspect, Contradiction):
            return hop.stale(suspect)
    why = next((suspect for suspect in suspects if isinstance(suspect, Unavailable)), None)
    return hop.unknown(why) if why else finding


def unheard(reading: Unavailable) -> Unavailable | None:
    """The reading itself where it should have told something."""
    return None if reading.reason in _NOTHING_TO_HEAR else reading


def refused(
    case: Case,
    node: str,
    packet: Packet,
    device: str,
    reason: Reason,
    predicts: frozenset[Rung],
    namespace: str | None = None,
) -> Suspect:
    """A kernel, of a node or of a pod by its namespace, that does not take this packet for one of its own."""
    if case.outcome.met is not False or packet.source == packet.destination:  # to itself, through its Service
        return None
    question = links.arrival(node, packet, device, namespace)
    taken_in = case.lens.read(question, links.parse_arrival)
    if isinstance(taken_in, Unavailable):
        return unheard(taken_in)
    if taken_in:
        return None
    message = (
        f"{_kernel(node, namespace)} refuses packets from {packet.source} to {packet.destination} at {device}: "
        "no such address, a rule, or its reverse path filter"
    )
    return Contradiction(reason, message, predicts, (question,))


def unsendable(
    case: Case,
    node: str,
    packet: Packet,
    reason: Reason,
    predicts: frozenset[Rung],
    namespace: str | None = None,
) -> Suspect:
    """A kernel that has no way for this very packet, whatever its routing table says of the address."""
    if case.outcome.met is not False or packet.source == packet.destination:
        return None
    question = links.departure(node, packet, namespace)
    route = case.lens.read(question, links.parse_route)
    if isinstance(route, Unavailable):
        return unheard(route)
    if not isinstance(route, Absent):
        return None
    to = f"{packet.destination}, port {packet.destination_port}/{packet.protocol}"
    message = f"{_kernel(node, namespace)} has no way for packets to {to}: a rule keeps them from its routes"
    return Contradiction(reason, message, predicts, (question,))


def unforwarded(
    case: Case,
    node: str,
    packet: Packet,
    device: str,
    reason: Reason,
    predicts: frozenset[Rung],
    out: str | None = None,
) -> Suspect:
    """A node's kernel that does not pass this packet on as it comes in by a device; or not `out` of that device, where
    nobody but Cilium says which it is.
    """
    if case.outcome.met is not False or packet.source == packet.destination:
        return None
    question = links.arrival(node, packet, device)
    route = case.lens.read(question, links.parse_route)
    if isinstance(route, Unavailable):
        return unheard(route)
    way = f"packets from {packet.source} to {packet.destination} that come in by {device}"
    if isinstance(route, Absent):
        message = f"the kernel of {node} does not forward {way}: a rule, its reverse path filter, or forwarding is off"
    elif out and route.device != out:
        message = f"the kernel of {node} sends {way} through {route.device}, not {out}"
    else:
        return None
    return Contradiction(reason, message, predicts, (question,))


def _kernel(node: str, namespace: str | None) -> str:
    return f"the kernel of the pod on {node}" if namespace else f"the kernel of {node}"


def tunnel_packet(case: Case, sender: NodeFacts, receiver: NodeFacts) -> Packet | None:
    """The outer packet from one node to another; None where a node has no CiliumNode with an address."""
    ips = [
        node.cilium.internal_ips[0] for node in (sender, receiver) if node.cilium and node.cilium.internal_ips
    ]
    if len(ips) < 2:
        return None
    source, destination = ips
    devices = uplinks(case, sender, receiver)
    outer = Packet("udp", source, destination, case.config.tunnel_port, devices=devices)
    return outer.of_handshake(OUTER_HEADERS)


def pod_packet(case: Case, devices: frozenset[str], *, reply: bool = False) -> Packet | None:
    """The request's packet, or its reply's, between the nodes; None while the destination is not known."""
    if case.backend is None:
        return None
    client, server = (case.source.pod.ip, case.client_port), (case.backend.ip, case.backend.port)
    (source, source_port), (destination, destination_port) = (server, client) if reply else (client, server)
    state = "ESTABLISHED" if reply else "NEW"
    l4 = case.protocol.lower()
    packet = Packet(l4, source, destination, destination_port, source_port, devices, state)
    return packet.of_handshake()


def uplinks(case: Case, one: NodeFacts, another: NodeFacts, of: str | None = None) -> frozenset[str]:
    """The devices by which two nodes reach each other, or those of one of them."""
    found = set()
    for node, other in ((one, another), (another, one)):
        if of not in (None, node.name) or other.cilium is None or not other.cilium.internal_ips:
            continue
        route = case.lens.read(links.route_to(node.name, other.cilium.internal_ips[0]), links.parse_route)
        if isinstance(route, links.Route):
            found.add(route.device)
    return frozenset(found)


def queue_loses(
    case: Case, node: str, device: str, predicts: frozenset[Rung], question: Question | None = None
) -> Suspect:
    """A queue of the device that loses packets."""
    if case.outcome.met is not False:
        return None
    question = question or queues.losing(node)
    losing = case.lens.read(question, queues.parse_losing)
    if isinstance(losing, Unavailable):
        return unheard(losing)
    if device not in losing:
        return None
    queue = losing[device]
    message = f"the queue of {device} on {node} is {queue.told}"
    late = queue.delay_s is not None and queue.delay_s >= case.plan.request.timeout_s * _TOO_LATE
    if late or queue.damaged >= _DAMAGED:  # what comes late or damaged may be seen further on
        predicts |= {rung for rung in Rung if min(predicts) <= rung <= Rung.CONNECTED}
    elif not queue.loses:
        return Unavailable(Reason.NOT_OBSERVED, message) if queue.delay_s is None else None
    return Contradiction(Reason.QUEUE_LOSES, message, predicts | BY_SIZE, (question,))


def from_pod_calls(case: Case) -> tuple[int, ...]:
    """The tail calls that every packet from a pod needs. Where sockets choose the backends there is but one, the others
    are compiled into it (unless for L7 load balancing or SCTP, which is not held against their absence).
    """
    return _FROM_POD_CALLS if case.config.socket_lb else (*_FROM_POD_CALLS, *_BALANCING_CALLS)


def to_pod_calls(case: Case) -> Sequence[int]:
    """The same for packets to a pod. With IPv4 alone they are compiled into the policy program that others call."""
    if case.config.routes_to_endpoints:
        return _TO_CONTAINER_CALLS
    return _POLICY_CALLS if case.config.ipv6 else ()


def knows_calls(layout: Layout) -> bool:
    """Whether this version's programs and tail calls are known."""
    return layout.version.startswith(_VERSIONS_OF_CALLS)


def call_missing(
    case: Case, node: str, endpoint: int, calls: Sequence[int], predicts: frozenset[Rung]
) -> Suspect:
    """A hole among the tail calls that this endpoint's packets need."""
    questions = [bpftool.endpoint_call(node, endpoint, call) for call in calls]
    return _hole(case, node, f"endpoint {endpoint}", dict(zip(calls, questions, strict=True)), predicts)


def overlay_call_missing(case: Case, node: str, predicts: frozenset[Rung]) -> Suspect:
    """The same for packets that come out of the tunnel."""
    questions = {FROM_OVERLAY_CALL: bpftool.overlay_call(node, FROM_OVERLAY_CALL)}
    return _hole(case, node, "the tunnel device", questions, predicts)


def _hole(
    case: Case, node: str, owner: str, questions: dict[int, Question], predicts: frozenset[Rung]
) -> Suspect:
    if case.outcome.met is not False:
        return None
    layout = case.layout(node)
    if not isinstance(layout, Unavailable) and not knows_calls(layout):
        return None
    found = {call: case.lens.read(question, bpftool.parse_call) for call, question in questions.items()}
    missing = [call for call, program in found.items() if isinstance(program, Absent)]
    if not missing:
        silent = (unheard(program) for program in found.values() if isinstance(program, Unavailable))
        return next((reading for reading in silent if reading), None)
    if isinstance(layout, Unavailable):  # of another version these may not be needed
        return unheard(layout)
    numbers = ", ".join(map(str, missing))
    message = f"the programs of {owner} on {node} lack tail call {numbers}: packets are dropped (140)"
    rests_on = tuple(questions[call] for call in missing)
    return Contradiction(Reason.PROGRAM_MISSING, message, predicts, rests_on)
