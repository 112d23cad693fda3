"""What this run's connection left: the backend that was chosen and how far its packets came, as conntrack and events
tell it.

Entries count only if they were written during the run: maps keep closed connections for minutes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..api.reasons import Reason
from ..cilium import conntrack, lbmap, uptime
from ..cilium.agent_config import AgentConfig
from ..cilium.conntrack import CtEntry, TcpFlag
from ..cilium.curl import CurlExit, CurlReport
from ..evidence.question import Question
from ..evidence.reading import Absent, Unavailable
from ..plan.plan import Backend, Plan
from .events import Events, observe
from .findings import Rung
from .ladder import Ladder
from .lens import Lens
from .run import Request, Run

# Entries carry whole seconds, and the uptime was read up to a round trip after the request was sent.
_CLOCK_TOLERANCE_S = 2.0

# So many candidate backends are asked about before it is known which of them was chosen.
AHEAD = 4

Trace = CtEntry | Absent | Unavailable | None  # None: not looked for (yet)


@dataclass(frozen=True, slots=True)
class Connection:
    """The entries of this run; an entry of an earlier one counts as `Absent`.

    `chosen` is the backend that the packets were sent to: the only one of a pod destination, of a Service the one
    that the datapath noted. `outgoing` and `incoming` are the OUT and IN entries. What one witness saw counts, also
    where the other is silent.
    """

    chosen: Backend | None = None
    service: Trace = None
    outgoing: Trace = None
    incoming: Trace = None
    straight: Trace = None  # OUT to the ClusterIP itself: nobody translated it
    incoming_since_s: float | None = None
    outgoing_since_s: float | None = None
    report: CurlReport | None = None
    service_facts: Mapping[str, str] = field(default_factory=dict)
    source_node: str = ""
    events: Events = field(default_factory=Events)

    @property
    def translated(self) -> bool:
        """A backend was chosen for this connection."""
        return isinstance(self.service, CtEntry)

    @property
    def untranslated(self) -> bool:
        """The connection left the pod with the ClusterIP as its destination."""
        return isinstance(self.straight, CtEntry)

    @property
    def left(self) -> bool:
        """`cil_from_container` handled packets of this connection."""
        return self.translated or self.untranslated or self.sent

    @property
    def sent(self) -> bool:
        """The source's program let packets go to the backend."""
        return isinstance(self.outgoing, CtEntry) or self._seen_leaving

    @property
    def received(self) -> bool:
        """Packets reached the destination's policy program."""
        seen = any(self.events.delivered(self._destination_node))
        return seen or _noted(self.incoming, self.incoming_since_s, answers=False)

    @property
    def answered(self) -> bool:
        """The destination pod sent something back."""
        seen = any(self.events.sent_on(self._destination_node, reply=True))
        return seen or _noted(self.incoming, self.incoming_since_s, answers=True)

    @property
    def replied(self) -> bool:
        """Something came back to the source's node."""
        counted = isinstance(self.outgoing, CtEntry) and self.outgoing.received(self.outgoing_since_s or 0)
        return counted or self.client_reset or any(self.events.delivered(self.source_node, reply=True))

    @property
    def connected(self) -> bool:
        """curl had a connection."""
        return self.report is not None and (self.report.timings.connect > 0 or self.report.http_status > 0)

    @property
    def delivered(self) -> bool:
        """curl got a whole response."""
        return (
            self.report is not None and self.report.exit_code == CurlExit.OK and self.report.http_status > 0
        )

    @property
    def refused(self) -> bool:
        """The destination pod answered with a RST before there was a connection."""
        noted = isinstance(self.incoming, CtEntry) and TcpFlag.RST in self.incoming.tx_flags
        return (self.answered and noted) or self.events.refused

    @property
    def client_reset(self) -> bool:
        """The source pod answered the SYN-ACK with a RST: it came back, but from an address that was never called."""
        entry = self.incoming
        return (
            not self.connected
            and isinstance(entry, CtEntry)
            and TcpFlag.RST in entry.rx_flags
            and TcpFlag.SYN in entry.tx_flags
        )

    @property
    def request_arrived(self) -> bool:
        """Data reached the destination pod; seen only where the agent reports all TCP flags."""
        return isinstance(self.incoming, CtEntry) and TcpFlag.PSH in self.incoming.rx_flags

    @property
    def response_left(self) -> bool:
        """Data came from the destination pod; seen only where the agent reports all TCP flags."""
        return isinstance(self.incoming, CtEntry) and TcpFlag.PSH in self.incoming.tx_flags

    @property
    def ended_by_pod(self) -> bool:
        """The destination pod ended the connection."""
        ends = TcpFlag.RST | TcpFlag.FIN
        return isinstance(self.incoming, CtEntry) and bool(self.incoming.tx_flags & ends)

    @property
    def _destination_node(self) -> str:
        return self.chosen.target.node.name if self.chosen and self.chosen.target else ""

    @property
    def _seen_leaving(self) -> bool:
        """The source's program was seen to send packets to the backend, on this node or towards another."""
        to = (self.chosen.ip, self.chosen.port) if self.chosen else None
        return any(
            sighting.to == to
            for sighting in (*self.events.sent_on(self.source_node), *self.events.delivered(self.source_node))
        )

    def ladder(self, translates: bool) -> Ladder:
        """How far the packets came. `translates`: a SVC entry is to be expected."""
        steps: list[tuple[Rung, bool | None]] = [
            (Rung.TRANSLATED, _seen(self.service, self.translated) if translates else self.left),
            (Rung.SENT, _seen(self.outgoing, self.sent)),
            (Rung.RECEIVED, _seen(self.incoming, self.received)),
            (Rung.ANSWERED, _seen(self.incoming, self.answered)),
            (Rung.REPLIED, _seen(self.outgoing, self.replied)),
            (Rung.CONNECTED, self.connected if self.report else None),
            (Rung.DELIVERED, self.delivered if self.report else None),
        ]
        reached = max((rung for rung, seen in steps if seen), default=Rung.NOTHING)
        beyond = [rung for rung, seen in steps if seen is False and rung > reached]
        at_most = Rung(min(beyond) - 1) if beyond else Rung.DELIVERED
        return Ladder(reached, at_most)


def _seen(trace: Trace, seen: bool) -> bool | None:
    """True or False as evidence has it, None where there is no evidence. Events tell only what was seen."""
    return seen or (None if trace is None or isinstance(trace, Unavailable) else False)


def _noted(entry: Trace, since_s: float | None, answers: bool) -> bool:
    if not isinstance(entry, CtEntry) or since_s is None:
        return False
    return entry.sent(since_s) if answers else entry.received(since_s)


def trace(run: Run, report: CurlReport | None, lens: Lens, config: AgentConfig) -> Connection:
    """Look up the entries of this run's connection, on both nodes. Without a clock to date them by, none counts."""
    plan, request, source = run.plan, run.request, run.plan.source
    if config.conntrack_in_jiffies:
        undated = Unavailable(
            Reason.UNSUPPORTED_VERSION, "conntrack may be dated in jiffies (enable-bpf-clock-probe)"
        )
        chosen = None if plan.frontend else plan.backends[0]
        return Connection(chosen, service=undated, outgoing=undated, incoming=undated, report=report)
    chosen, service, straight, facts = _chosen(plan, request, lens, config.socket_lb)
    if chosen is None:
        events = observe(lens, run, report, None)
        chosen = _seen_chosen(plan, events)
    if chosen is None:
        return Connection(
            service=service,
            straight=straight,
            report=report,
            service_facts=facts,
            source_node=source.node.name,
            events=events,
        )
    client, port = source.pod.ip, request.local_port
    out_question = conntrack.out_entry(source.node.name, client, port, chosen.ip, chosen.port)
    outgoing, outgoing_since = _of_this_run(out_question, request, lens)
    incoming, incoming_since = None, None
    if chosen.target:
        in_question = conntrack.in_entry(chosen.target.node.name, client, port, chosen.ip, chosen.port)
        incoming, incoming_since = _of_this_run(in_question, request, lens)
    return Connection(
        chosen=chosen,
        service=service,
        outgoing=outgoing,
        incoming=incoming,
        straight=straight,
        incoming_since_s=incoming_since,
        outgoing_since_s=outgoing_since,
        report=report,
        service_facts=facts,
        source_node=source.node.name,
        events=observe(lens, run, report, chosen.target.node.name if chosen.target else None),
    )


def _seen_chosen(plan: Plan, events: Events) -> Backend | None:
    """The backend that packets were seen to be sent to, where conntrack does not tell."""
    node = plan.source.node.name
    seen = {sighting.to for sighting in (*events.sent_on(node), *events.delivered(node))}
    return next((backend for backend in plan.backends if (backend.ip, backend.port) in seen), None)


def _chosen(
    plan: Plan, request: Request, lens: Lens, socket_lb: bool
) -> tuple[Backend | None, Trace, Trace, Mapping[str, str]]:
    """The backend, the SVC entry, an OUT entry to the ClusterIP, and the facts of the SVC entry."""
    if plan.frontend is None:
        return plan.backends[0], None, None, {}
    node, client, port = plan.source.node.name, plan.source.pod.ip, request.local_port
    if socket_lb:
        return _by_outgoing(plan, request, lens), None, None, {"by": "socket"}
    vip, vip_port = plan.frontend.ip, plan.frontend.port.port
    _look_ahead(plan, request, lens)
    service, _ = _of_this_run(conntrack.service_entry(node, client, port, vip, vip_port), request, lens)
    if not isinstance(service, CtEntry):
        straight, _ = _of_this_run(conntrack.out_entry(node, client, port, vip, vip_port), request, lens)
        return None, service, straight, {}
    facts = {"backendID": str(service.backend_id), "revNAT": str(service.rev_nat_id)}
    record = lens.read(lbmap.backend(node, service.backend_id), lbmap.parse_backend)
    if not isinstance(record, lbmap.BackendRecord):
        return None, service, None, facts
    return _backend(plan, record.ip, record.port), service, None, facts


def _look_ahead(plan: Plan, request: Request, lens: Lens) -> None:
    """Ask for what any candidate left along with the SVC entry: a few look-ups cost less than one round trip."""
    client, port = plan.source.pod.ip, request.local_port
    for backend in plan.backends[:AHEAD]:
        lens.want(conntrack.out_entry(plan.source.node.name, client, port, backend.ip, backend.port))
        if backend.target:
            node = backend.target.node.name
            lens.want(uptime.uptime(node))
            lens.want(conntrack.in_entry(node, client, port, backend.ip, backend.port))


def _by_outgoing(plan: Plan, request: Request, lens: Lens) -> Backend | None:
    """Socket load-balancing leaves no SVC entry: the backend is the one that has an OUT entry of this run."""
    for backend in plan.backends:
        question = conntrack.out_entry(
            plan.source.node.name, plan.source.pod.ip, request.local_port, backend.ip, backend.port
        )
        entry, _ = _of_this_run(question, request, lens)
        if isinstance(entry, CtEntry):
            return backend
    return None


def _backend(plan: Plan, ip: str, port: int) -> Backend:
    """The planned backend with this address, or one that only the datapath knows."""
    known = (backend for backend in plan.backends if (backend.ip, backend.port) == (ip, port))
    return next(known, Backend(ip, port, None))


def _of_this_run(question: Question, request: Request, lens: Lens) -> tuple[Trace, float | None]:
    """The entry if it was written during this run, and the node's uptime when the run began, in seconds."""
    clock_question = uptime.uptime(question.node)
    uptime_s = lens.read(clock_question, uptime.parse)
    entry = lens.read(question, conntrack.parse)
    if not isinstance(entry, CtEntry):
        return entry, None
    if not isinstance(uptime_s, float):
        return (uptime_s if isinstance(uptime_s, Unavailable) else None), None
    since_s = uptime_s - (lens.at(clock_question) - request.started) - _CLOCK_TOLERANCE_S
    return (entry if entry.fresh(since_s) else Absent()), since_s
