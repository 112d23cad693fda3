"""How this run's connection is found in conntrack: which backend was chosen, and the entries under its addresses.

Called by `diagnose`, and by checks that look up entries of their own.
"""

from collections.abc import Iterator, Mapping
from itertools import chain

from ..api.reasons import Reason
from ..cilium import conntrack, lbmap, links, uptime
from ..cilium.agent_config import AgentConfig
from ..cilium.conntrack import CtEntry
from ..cilium.curl import CurlReport
from ..evidence.question import Question
from ..evidence.reading import Absent, Unavailable
from ..plan.path import is_hairpin, stays_inside
from ..plan.plan import Backend, Plan
from .connection import Connection, Trace
from .events import Events, observe
from .lens import Lens
from .run import Request, Run

# Entries carry whole seconds, and the uptime was read up to a round trip after the request was sent.
CLOCK_TOLERANCE_S = 2.0

# So many candidate backends are asked about before it is known which of them was chosen.
AHEAD = 4
# So many of a node's own backends are looked at where no planned one was spoken to.
_UNPLANNED = 16


def trace(run: Run, report: CurlReport | None, lens: Lens, config: AgentConfig) -> Connection:
    """Look up the entries of this run's connection, on both nodes. Without a clock to date them by, none counts."""
    plan, request = run.plan, run.request
    node, quiet = plan.source.node.name, plan.source.pod.host_network
    if config.conntrack_in_jiffies:
        undated = Unavailable(
            Reason.UNSUPPORTED_VERSION, "conntrack may be dated in jiffies (enable-bpf-clock-probe)"
        )
        return Connection(
            only_backend(plan),
            service=undated,
            outgoing=undated,
            incoming=undated,
            quiet=quiet,
            report=report,
        )
    chosen, service, straight, facts = _chosen(plan, request, report, lens, config)
    if chosen is not None and stays_inside(plan, chosen, config.socket_lb):
        return Connection(chosen, quiet=True, report=report, service_facts=facts, source_node=node)
    if chosen is None:
        events = observe(lens, run, report, None)
        chosen = _seen_chosen(plan, events)
    if chosen is None:
        return Connection(
            service=service,
            straight=straight,
            quiet=quiet,
            report=report,
            service_facts=facts,
            source_node=node,
            events=events,
        )
    outgoing, outgoing_since = _outgoing(plan, request, chosen, lens, config)
    incoming, incoming_since = _incoming(plan, request, chosen, lens, config)
    return Connection(
        chosen=chosen,
        service=service,
        outgoing=outgoing,
        incoming=incoming,
        straight=straight,
        incoming_since_s=incoming_since,
        outgoing_since_s=outgoing_since,
        quiet=quiet,
        report=report,
        service_facts=facts,
        source_node=node,
        events=observe(lens, run, report, chosen.place.name if chosen.place else None),
    )


def _seen_chosen(plan: Plan, events: Events) -> Backend | None:
    """The backend that packets were seen to be sent to, come through or not, where conntrack does not tell."""
    node = plan.source.node.name
    seen = {sighting.to for sighting in (*events.sent_on(node), *events.delivered(node))}
    seen |= {drop.to for drop in events.drops if not drop.reply}
    return next((backend for backend in plan.backends if (backend.ip, backend.port) in seen), None)


def only_backend(plan: Plan) -> Backend | None:
    """The backend that needs no choice: a pod's own address."""
    return None if plan.frontend or plan.headless else plan.backends[0]


def _chosen(
    plan: Plan, request: Request, report: CurlReport | None, lens: Lens, config: AgentConfig
) -> tuple[Backend | None, Trace, Trace, Mapping[str, str]]:
    """The backend, the SVC entry, an OUT entry to the ClusterIP, and the facts of the SVC entry."""
    if plan.frontend is None:
        return only_backend(plan) or _by_name(plan, request, report, lens, config), None, None, {}
    if config.socket_lb or plan.source.pod.host_network:
        return _by_entry(plan, request, lens, config), None, None, {"by": "socket"}
    node, client, port = plan.source.node.name, plan.source.pod.ip, request.local_port
    vip, vip_port = plan.frontend.ip, plan.frontend.port.port
    for backend in plan.backends[:AHEAD]:  # a few look-ups more cost less than one round trip
        _outgoing(plan, request, backend, lens, config)
        _incoming(plan, request, backend, lens, config)
    service, _ = of_this_run(conntrack.service_entry(node, client, port, vip, vip_port), request, lens)
    if not isinstance(service, CtEntry):
        straight, _ = of_this_run(conntrack.out_entry(node, client, port, vip, vip_port), request, lens)
        return None, service, straight, {}
    facts = {"backendID": str(service.backend_id), "revNAT": str(service.rev_nat_id)}
    record = lens.read(lbmap.backend(node, service.backend_id), lbmap.parse_backend)
    if not isinstance(record, lbmap.BackendRecord):
        return None, service, None, facts
    return _backend(plan, record.ip, record.port), service, None, facts


def _by_name(
    plan: Plan, request: Request, report: CurlReport | None, lens: Lens, config: AgentConfig
) -> Backend | None:
    """Of a headless Service, curl picks the backend; if it does not say which, an entry does."""
    said = next((b for b in plan.backends if report and b.ip == report.remote_ip), None)
    return said or _by_entry(plan, request, lens, config)


def _by_entry(plan: Plan, request: Request, lens: Lens, config: AgentConfig) -> Backend | None:
    """Where nobody notes the choice, the backend is the one with an entry of this run: OUT, or IN if a host asks."""
    look = _incoming if plan.source.pod.host_network else _outgoing
    for backend in chain(plan.backends, _unplanned(plan, lens)):
        entry, _ = look(plan, request, backend, lens, config)
        if isinstance(entry, CtEntry):
            return backend
    return None


def _unplanned(plan: Plan, lens: Lens) -> Iterator[Backend]:
    """Backends that the node balances to, though Kubernetes does not say so."""
    if plan.frontend is None:
        return
    node, address = plan.source.node.name, lbmap.Frontend(plan.frontend.ip, plan.frontend.port.port)
    master = lens.read(lbmap.slot(node, address, 0), lbmap.parse_slot)
    count = master.count if isinstance(master, lbmap.ServiceSlot) else 0
    for number in range(1, min(count, _UNPLANNED) + 1):
        slot = lens.read(lbmap.slot(node, address, number), lbmap.parse_slot)
        if not isinstance(slot, lbmap.ServiceSlot):
            continue
        record = lens.read(lbmap.backend(node, slot.backend_id), lbmap.parse_backend)
        if isinstance(record, lbmap.BackendRecord):
            backend = _backend(plan, record.ip, record.port)
            if backend not in plan.backends:
                yield backend


def _outgoing(
    plan: Plan, request: Request, backend: Backend, lens: Lens, config: AgentConfig
) -> tuple[Trace, float | None]:
    """The OUT entry, with the uptime since which it counts."""
    if plan.source.pod.host_network:
        return None, None
    client = client_address(plan, backend, lens, config)
    if isinstance(client, Unavailable):
        return client, None
    node = plan.source.node.name
    question = conntrack.out_entry(node, client, request.local_port, backend.ip, backend.port)
    return of_this_run(question, request, lens)


def _incoming(
    plan: Plan, request: Request, backend: Backend, lens: Lens, config: AgentConfig
) -> tuple[Trace, float | None]:
    """The IN entry, with the uptime since which it counts."""
    if backend.target is None or backend.host:
        return None, None
    client = client_address(plan, backend, lens, config)
    if isinstance(client, Unavailable):
        return client, None
    node = backend.target.node.name
    question = conntrack.in_entry(node, client, request.local_port, backend.ip, backend.port)
    return of_this_run(question, request, lens)


def client_address(plan: Plan, backend: Backend, lens: Lens, config: AgentConfig) -> str | Unavailable:
    """The address that this backend is spoken to from: the pod's; of a host, the one that its route says."""
    if is_hairpin(plan, backend, config.socket_lb):
        return config.service_loopback
    if not plan.source.pod.host_network:
        return plan.source.pod.ip
    route = lens.read(links.route_to(plan.source.node.name, backend.ip), links.parse_route)
    if isinstance(route, links.Route) and route.source:
        return route.source
    unknown = Unavailable(Reason.NOT_OBSERVED, f"no route says which address speaks to {backend.ip}")
    return route if isinstance(route, Unavailable) else unknown


def _backend(plan: Plan, ip: str, port: int) -> Backend:
    """The planned backend with this address, or one that only the datapath knows."""
    known = (backend for backend in plan.backends if (backend.ip, backend.port) == (ip, port))
    return next(known, Backend(ip, port, None))


def of_this_run(question: Question, request: Request, lens: Lens) -> tuple[Trace, float | None]:
    """The entry if it was written during this run, and the node's uptime when the run began, in seconds."""
    clock_question = uptime.uptime(question.node)
    uptime_s = lens.read(clock_question, uptime.parse)
    entry = lens.read(question, conntrack.parse)
    if not isinstance(entry, CtEntry):
        return entry, None
    if not isinstance(uptime_s, float):
        return (uptime_s if isinstance(uptime_s, Unavailable) else None), None
    since_s = uptime_s - (lens.at(clock_question) - request.started) - CLOCK_TOLERANCE_S
    return (entry if entry.fresh(since_s) else Absent()), since_s
