"""How this run's connection is found in conntrack: which backend was chosen, and the entries under its addresses.

Called by `diagnose`, and by checks that look up entries of their own.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...plan.path import is_hairpin, stays_inside
from ...plan.plan import Backend, Frontend, Plan, PodFacts, PodTarget
from ...sources.agent.agent_config import AgentConfig
from ...sources.client_report import ClientReport
from ...sources.iproute2 import links, uptime
from ...sources.maps import conntrack, lbmap
from ...sources.maps.conntrack import CtEntry
from ..finding.evidence_reader import EvidenceReader
from ..lookup.service_frontend import lookup_service
from ..run.run import PathRun, Request
from .connection import Connection, Trace, Unwritten
from .flow_events import Events, observe

# Entries carry whole seconds, and the uptime was read up to a round trip after the request was sent.
CLOCK_TOLERANCE_S = 2.0

# So many candidate backends are asked about before it is known which of them was chosen.
MAX_CANDIDATES = 4
# So many of a node's own backends are looked at where no planned one was spoken to.
_UNPLANNED = 16


def trace(
    run: PathRun, report: ClientReport | None, reader: EvidenceReader, config: AgentConfig
) -> Connection:
    """Look up the entries of this run's connection, on both nodes. Without a clock to date them by, none counts."""
    plan = run.plan
    if config.conntrack_in_jiffies:
        undated = Unavailable(
            Reason.UNSUPPORTED_CONFIGURATION, "conntrack may be dated in jiffies (enable-bpf-clock-probe)"
        )
        return Connection(only_backend(plan), undated, undated, undated, report=report)
    known = replace(
        _chosen(plan, run.request, report, reader, config), report=report, source_node=plan.source.node.name
    )
    if known.chosen and stays_inside(plan, known.chosen, config.socket_lb):
        return replace(known, outgoing=Unwritten(), incoming=Unwritten())
    if known.chosen is None:
        events = observe(reader, run, report, None)
        known = replace(known, chosen=_seen_chosen(plan, events), events=events)
    chosen = known.chosen
    if chosen is None:
        return known
    outgoing, outgoing_since = _outgoing(plan, run.request, chosen, reader, config)
    incoming, incoming_since = _incoming(plan, run.request, chosen, reader, config)
    return replace(
        known,
        outgoing=outgoing,
        incoming=incoming,
        incoming_since_s=incoming_since,
        outgoing_since_s=outgoing_since,
        events=observe(reader, run, report, chosen.place.name if chosen.place else None),
    )


def _seen_chosen(plan: Plan, events: Events) -> Backend | None:
    """The backend that packets were seen to be sent to, come through or not, where conntrack does not tell."""
    node = plan.source.node.name
    seen = {observation.to for observation in (*events.sent_on(node), *events.delivered(node))}
    seen |= {drop.to for drop in events.drops if not drop.reply}
    return next((backend for backend in plan.backends if (backend.ip, backend.port) in seen), None)


def only_backend(plan: Plan) -> Backend | None:
    """The backend that needs no choice: a pod's own address."""
    return plan.target.backend if isinstance(plan.target, PodTarget) else None


def _chosen(
    plan: Plan, request: Request, report: ClientReport | None, reader: EvidenceReader, config: AgentConfig
) -> Connection:
    """The backend and what shows that it was chosen; where nothing does, what was left instead."""
    if plan.frontend is None:
        chosen = only_backend(plan) or _said(plan, report)
        return Connection(chosen) if chosen else _by_entry(plan, request, reader, config)
    if config.socket_lb or plan.source.pod.host_network:
        found = _by_entry(plan, request, reader, config)
        chosen = found.chosen or _itself(plan, report, config)
        untranslated_entry = None if chosen else _untranslated_entry(plan, plan.frontend, request, reader)
        return replace(
            found, chosen=chosen, untranslated_entry=untranslated_entry, service_facts={"by": "socket"}
        )
    node, client, port = plan.source.node.name, plan.source.pod.ip, request.local_port
    vip, vip_port = plan.frontend.ip, plan.frontend.number
    for backend in plan.backends[:MAX_CANDIDATES]:  # a few look-ups more cost less than one round trip
        _outgoing(plan, request, backend, reader, config)
        _incoming(plan, request, backend, reader, config)
    service, _ = of_this_run(conntrack.service_entry(node, client, port, vip, vip_port), request, reader)
    if not isinstance(service, CtEntry):
        return Connection(
            service=service, untranslated_entry=_untranslated_entry(plan, plan.frontend, request, reader)
        )
    facts = {"backendID": str(service.backend_id), "revNAT": str(service.rev_nat_id)}
    record = reader.read(lbmap.backend(node, service.backend_id), lbmap.parse_backend)
    chosen = _backend(plan, record.ip, record.port) if isinstance(record, lbmap.BackendRecord) else None
    return Connection(chosen, service, service_facts=facts)


def _untranslated_entry(plan: Plan, frontend: Frontend, request: Request, reader: EvidenceReader) -> Trace:
    """The OUT entry to the frontend itself, which a pod's connection leaves that nobody translated."""
    if plan.source.pod.host_network:
        return Unwritten()
    node, client = plan.source.node.name, plan.source.pod.ip
    entry, _ = of_this_run(
        conntrack.out_entry(node, client, request.local_port, frontend.ip, frontend.number), request, reader
    )
    return entry


def _itself(plan: Plan, report: ClientReport | None, config: AgentConfig) -> Backend | None:
    """The source, where it is the only backend and was answered: what its sockets keep inside leaves no trace."""
    only = plan.backends[0] if len(plan.backends) == 1 else None
    answered = report is not None and report.answered
    return only if only and answered and stays_inside(plan, only, config.socket_lb) else None


def _said(plan: Plan, report: ClientReport | None) -> Backend | None:
    """Of a headless Service, curl picks the backend."""
    return next((b for b in plan.backends if report and b.ip == report.remote_ip), None)


def _by_entry(plan: Plan, request: Request, reader: EvidenceReader, config: AgentConfig) -> Connection:
    """Where nobody notes the choice, the backend is the one with an entry of this run: OUT, or IN if a host asks."""
    from_host = plan.source.pod.host_network
    look = _incoming if from_host else _outgoing
    traces: list[Trace] = []
    for backend in chain(plan.backends, _unplanned(plan, reader, config)):
        entry, _ = look(plan, request, backend, reader, config)
        if isinstance(entry, CtEntry):
            return Connection(backend)
        traces.append(entry)
    if from_host:
        return Connection(outgoing=Unwritten())
    return Connection(outgoing=next((trace for trace in traces if not isinstance(trace, Absent)), Absent()))


def _unplanned(plan: Plan, reader: EvidenceReader, config: AgentConfig) -> Iterator[Backend]:
    """Backends that the node balances to, though Kubernetes does not say so."""
    if plan.frontend is None:
        return
    node = plan.source.node.name
    master = lookup_service(reader, node, plan.frontend, config.socket_lb)
    count = master.slot.count if isinstance(master.slot, lbmap.ServiceSlot) else 0
    for number in range(1, min(count, _UNPLANNED) + 1):
        slot = reader.read(lbmap.slot(node, master.address, number), lbmap.parse_slot)
        if not isinstance(slot, lbmap.ServiceSlot):
            continue
        record = reader.read(lbmap.backend(node, slot.backend_id), lbmap.parse_backend)
        if isinstance(record, lbmap.BackendRecord):
            backend = _backend(plan, record.ip, record.port)
            if backend not in plan.backends:
                yield backend


def _outgoing(
    plan: Plan, request: Request, backend: Backend, reader: EvidenceReader, config: AgentConfig
) -> tuple[Trace, float | None]:
    """The OUT entry, with the uptime since which it counts."""
    if plan.source.pod.host_network:
        return Unwritten(), None
    client = client_address(plan, backend, reader, config)
    if isinstance(client, Unavailable):
        return client, None
    node = plan.source.node.name
    fact = conntrack.out_entry(node, client, request.local_port, backend.ip, backend.port)
    return of_this_run(fact, request, reader)


def _incoming(
    plan: Plan, request: Request, backend: Backend, reader: EvidenceReader, config: AgentConfig
) -> tuple[Trace, float | None]:
    """The IN entry, with the uptime since which it counts."""
    if not isinstance(backend.target, PodFacts):
        return Unwritten(), None
    client = client_address(plan, backend, reader, config)
    if isinstance(client, Unavailable):
        return client, None
    node = backend.target.node.name
    fact = conntrack.in_entry(node, client, request.local_port, backend.ip, backend.port)
    return of_this_run(fact, request, reader)


def client_address(
    plan: Plan, backend: Backend, reader: EvidenceReader, config: AgentConfig
) -> str | Unavailable:
    """The address that this backend is spoken to from: the pod's; of a host, the one that its route says."""
    if is_hairpin(plan, backend, config.socket_lb):
        return config.service_loopback
    if not plan.source.pod.host_network:
        return plan.source.pod.ip
    route = reader.read(links.route_to(plan.source.node.name, backend.ip), links.parse_route)
    if isinstance(route, links.Route) and route.source:
        return route.source
    unknown = Unavailable(Reason.NOT_OBSERVED, f"no route says which address speaks to {backend.ip}")
    return route if isinstance(route, Unavailable) else unknown


def _backend(plan: Plan, ip: str, port: int) -> Backend:
    """The planned backend with this address, or one that only the datapath knows."""
    known = (backend for backend in plan.backends if (backend.ip, backend.port) == (ip, port))
    return next(known, Backend(ip, port, None))


def of_this_run(fact: Fact, request: Request, reader: EvidenceReader) -> tuple[Trace, float | None]:
    """The entry if it was written during this run, and the node's uptime when the run began, in seconds."""
    clock_fact = uptime.uptime(fact.node)
    uptime_s = reader.read(clock_fact, uptime.parse)
    entry = reader.read(fact, conntrack.parse)
    if not isinstance(entry, CtEntry):
        return entry, None
    if not isinstance(uptime_s, float):
        return uptime_s, None
    since_s = uptime_s - (reader.at(clock_fact) - request.started) - CLOCK_TOLERANCE_S
    return (entry if entry.fresh(since_s) else Absent()), since_s
