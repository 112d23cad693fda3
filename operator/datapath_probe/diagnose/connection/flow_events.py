"""Flow events of this connection's packets on every node of its path, part of the *observed* witness.

Events are read in the second look, after the rings have moved on since the request ended; a healthy run does not read
them. An event is evidence. A missing event proves nothing: rings overflow, monitor aggregation omits events, and the
newest event of a node can't be read. Called by `conntrack_lookup`, and by `context_builder` while the request hangs.
Source: Cilium 1.18 `pkg/hubble/container/ring.go`, `bpf/lib/trace.h`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ...addresses import IpAddress
from ...api.reasons import Reason
from ...api.vocabulary import HopName
from ...evidence.fact import Fact
from ...evidence.reading import Unavailable
from ...plan.plan import Plan
from ...sources.client_report import ClientReport
from ...sources.flows import hubble, monitor
from ...sources.flows.flow import Flow, Flows, Point
from ..finding.evidence_reader import EvidenceReader
from ..run.run import PathRun
from .drops import Drop, DropContext, owner

# The time from the request's timeout until its events are read.
_MARGIN_S = 30
_MONITOR_WINDOW_S = 4
# The number of endpoints of a node to trace: the source, and candidates for the destination.
_MONITORED = 8
# The tolerated clock skew between operator and node for ICMP errors.
_CLOCK_SKEW_S = 2.0
_LEAVES_THE_NODE = frozenset({Point.TO_OVERLAY, Point.TO_STACK, Point.TO_NETWORK})
_ICMP_ERRORS = ("DestinationUnreachable", "TimeExceeded", "ParameterProblem")

SocketAddress = tuple[IpAddress | None, int]
"""Address and port."""
_Sighting = tuple[str, Point, bool, SocketAddress]  # node, point, reply, destination


@dataclass(frozen=True, slots=True)
class Observation:
    """Packets of this connection that were forwarded at one point. `to`: their destination address and port."""

    node: str
    point: Point
    reply: bool
    to: SocketAddress
    flags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Events:
    """The events of a connection; empty until they are read.

    `lost`: by node, the number of lost events that it reports. `icmp`: ICMP errors to the source during the run, of any
    of its connections. `unread`: by node, why its events could not be read. `events_to_reread`: the facts to read
    again, because the ring of a node has not moved on since the request ended.
    """

    drops: tuple[Drop, ...] = ()
    observations: tuple[Observation, ...] = ()
    icmp: tuple[str, ...] = ()
    lost: Mapping[str, int] = field(default_factory=dict)
    unread: Mapping[str, Unavailable] = field(default_factory=dict)
    events_to_reread: tuple[Fact, ...] = ()

    def sent_on(self, node: str, *, reply: bool = False) -> Iterator[Observation]:
        """Packets that this node sent to another node, or to its own stack."""
        return (
            s for s in self.observations if (s.node, s.reply) == (node, reply) and s.point in _LEAVES_THE_NODE
        )

    def delivered(self, node: str, *, reply: bool = False) -> Iterator[Observation]:
        """Packets that were delivered to an endpoint of this node."""
        return (
            s for s in self.observations if (s.node, s.reply, s.point) == (node, reply, Point.TO_ENDPOINT)
        )

    @property
    def refused(self) -> bool:
        """The destination replied with a RST and nothing else."""
        flags: frozenset[str] = frozenset().union(*(s.flags for s in self.observations if s.reply))
        return "RST" in flags and "SYN" not in flags


def observe(
    reader: EvidenceReader, run: PathRun, report: ClientReport | None, destination_node: str | None
) -> Events:
    """The events of the run's connection on the nodes of the path. Empty until the second look, and without a report
    that a packet was sent. `destination_node`: None if it is not known.
    """
    source_node = run.plan.source.node.name
    nodes = tuple(dict.fromkeys((source_node, destination_node or source_node)))
    if run.hanging:
        _watch(reader, run.plan, nodes)
    elif report and run.second_look:
        return _reported(reader, run, nodes, destination_node)
    elif report and not report.responded:
        _mark_newest(reader, run.plan, nodes)
    return Events()


def _reported(
    reader: EvidenceReader, run: PathRun, nodes: Sequence[str], destination_node: str | None
) -> Events:
    """The events of the connection after the request ended."""
    answers = {node: _ask(reader, run, node) for node in nodes}
    flows_of = {node: answer for node, answer in answers.items() if isinstance(answer, Flows)}
    ours = [(node, flow) for node, flows in flows_of.items() for flow in flows.flows if _is_ours(flow, run)]
    return Events(
        drops=_drops(run, destination_node, ours),
        observations=_observations(run, ours),
        icmp=_icmp(reader, run, nodes),
        lost={node: flows.lost for node, flows in flows_of.items() if flows.lost},
        unread={node: answer for node, answer in answers.items() if isinstance(answer, Unavailable)},
        events_to_reread=tuple(fact for node in nodes for fact in _to_reread(reader, run, node)),
    )


def _mark_newest(reader: EvidenceReader, plan: Plan, nodes: Sequence[str]) -> None:
    """After a failure, read each ring's newest event, so that the second look shows whether the ring has moved on."""
    if _hubble_is_on(plan):
        for node in nodes:
            reader.read(hubble.newest(node), hubble.parse)


def _hubble_is_on(plan: Plan) -> bool:
    return plan.config.get("enable-hubble", "true").lower() == "true"


def _watch(reader: EvidenceReader, plan: Plan, nodes: Sequence[str]) -> None:
    """While the request hangs and Hubble keeps no events, monitor its retransmissions."""
    path = hubble.socket_path(plan.config)
    for node in nodes:
        if not _hubble_is_on(plan) or reader.read(hubble.socket(node, path), hubble.parse_socket) is False:
            reader.read(monitor.fact(node, _MONITOR_WINDOW_S), monitor.parse)
            for fact in _traces(plan, node):
                reader.read(fact, monitor.parse)


def _traces(plan: Plan, node: str) -> Iterator[Fact]:
    """The monitor facts of the endpoints on this node; none if neither end has an endpoint there."""
    pods = (plan.source, *(backend.pod_facts for backend in plan.backends if backend.pod_facts))
    here = (pod.endpoint.endpoint_id for pod in pods if pod.endpoint and pod.node.name == node)
    endpoints = tuple(dict.fromkeys(here))[:_MONITORED]
    if endpoints:
        yield monitor.traces(node, endpoints, _MONITOR_WINDOW_S)


def _from_monitor(reader: EvidenceReader, plan: Plan, node: str) -> Flows | None:
    """The events from the monitor; None if it did not run for drops. Both of its runs count the same lost events."""
    dropped = reader.series(monitor.fact(node, _MONITOR_WINDOW_S), monitor.parse)
    passed = (flows for fact in _traces(plan, node) for flows in reader.series(fact, monitor.parse))
    captured = [flows for flows in (*dropped, *passed) if isinstance(flows, Flows)]
    if not any(isinstance(flows, Flows) for flows in dropped):
        return None
    return Flows(
        tuple(flow for flows in captured for flow in flows.flows), max(flows.lost for flows in captured)
    )


def _connection(run: PathRun, node: str) -> Fact:
    return hubble.connection(node, run.plan.source.ip, run.request.local_port, _since_s(run))


def _icmp_fact(run: PathRun, node: str) -> Fact:
    return hubble.icmp(node, run.plan.source.ip, _since_s(run))


def _since_s(run: PathRun) -> int:
    return int(run.plan.request.timeout_s) + _MARGIN_S


def _ask(reader: EvidenceReader, run: PathRun, node: str) -> Flows | Unavailable:
    """The connection's events from Hubble; otherwise from the monitor, if it ran."""
    answer: Flows | Unavailable = Unavailable(Reason.NOT_COLLECTED, f"Hubble is off on {node}")
    if _hubble_is_on(run.plan):
        reader.read(hubble.newest(node), hubble.parse)  # before the others, so that they include it
        answer = reader.read(_connection(run, node), hubble.parse)
        reader.read(_icmp_fact(run, node), hubble.parse)
    if isinstance(answer, Unavailable):
        return _from_monitor(reader, run.plan, node) or answer
    return answer


def _to_reread(reader: EvidenceReader, run: PathRun, node: str) -> tuple[Fact, ...]:
    """The facts to read again while the newest readable event is the one of the first look."""
    newest = hubble.newest(node)
    readings = [flows for flows in reader.series(newest, hubble.parse) if isinstance(flows, Flows)]
    if not readings or any(flows.flows != readings[0].flows for flows in readings[1:]):
        return ()
    return newest, _connection(run, node), _icmp_fact(run, node)


def _is_ours(flow: Flow, run: PathRun) -> bool:
    ends = (flow.source, flow.source_port), (flow.destination, flow.destination_port)
    return flow.protocol == "TCP" and (run.plan.source.ip, run.request.local_port) in ends


def _is_reply(flow: Flow, run: PathRun) -> bool:
    return (flow.destination, flow.destination_port) == (run.plan.source.ip, run.request.local_port)


def _drops(run: PathRun, destination_node: str | None, flows: Sequence[tuple[str, Flow]]) -> tuple[Drop, ...]:
    """A denial causes two events: a policy verdict (with the policies) and a drop (with the file)."""
    equal: dict[tuple[str, HopName | None, int, bool], list[Flow]] = {}
    frontend = run.plan.frontend
    for node, flow in flows:
        if flow.drop_code is None:
            continue
        drop = DropContext(
            code=flow.drop_code,
            file=flow.file,
            direction=flow.direction,
            reply=_is_reply(flow, run),
            at_source=node == run.plan.source.node.name,
            at_destination=node == destination_node,
            to_service=frontend is not None and flow.destination == frontend.ip,
        )
        equal.setdefault((node, owner(drop), drop.code, drop.reply), []).append(flow)
    return tuple(
        Drop(
            node=node,
            hop=hop,
            code=code,
            direction=min((flow.direction for flow in same if flow.direction), default=""),
            file=min((flow.file for flow in same if flow.file), default=""),
            reply=reply,
            count=sum(bool(flow.file) for flow in same) or len(same),
            policies=tuple(sorted({policy for flow in same for policy in flow.policies})),
            source_identity=next((flow.source_identity for flow in same if flow.source_identity), 0),
            to=(same[0].destination, same[0].destination_port),
        )
        for (node, hop, code, reply), same in sorted(equal.items(), key=lambda item: str(item[0]))
    )


def _observations(run: PathRun, flows: Sequence[tuple[str, Flow]]) -> tuple[Observation, ...]:
    flags: dict[_Sighting, set[str]] = {}
    for node, flow in flows:
        if flow.point and not flow.drop_code:
            to = flow.destination, flow.destination_port
            flags.setdefault((node, flow.point, _is_reply(flow, run), to), set()).update(flow.flags)
    return tuple(
        Observation(node, point, reply, to, frozenset(seen))
        for (node, point, reply, to), seen in sorted(flags.items(), key=lambda item: _order(item[0]))
    )


def _order(sighting: _Sighting) -> tuple[str, Point, bool, str, int]:
    """Addresses of different families have none among themselves, their texts do."""
    node, point, reply, (ip, port) = sighting
    return node, point, reply, str(ip or ""), port


def _icmp(reader: EvidenceReader, run: PathRun, nodes: Sequence[str]) -> tuple[str, ...]:
    source = run.plan.source.ip
    errors = {
        f"{flow.source or ''}: {flow.summary}"
        for node in nodes
        for flows in reader.series(_icmp_fact(run, node), hubble.parse)[-1:]
        if isinstance(flows, Flows)
        for flow in flows.flows
        if flow.destination == source
        and flow.at >= run.request.started - _CLOCK_SKEW_S
        and any(error in flow.summary for error in _ICMP_ERRORS)
    }
    return tuple(sorted(errors))
