"""Which backend this run's connection went to, and what shows it: one strategy for each kind of load balancing.

Called by `conntrack_lookup`. Source: Cilium 1.18 `bpf/bpf_lxc.c` (per packet), `bpf/bpf_sock.c` (sockets).
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain

from ...addresses import family_of
from ...evidence.reading import Absent
from ...plan.path import socket_lb_of, stays_inside
from ...plan.plan import AddressTarget, Backend, Plan, PodTarget
from ...sources.agent.agent_config import AgentConfig
from ...sources.maps import lbmap
from ...sources.maps.conntrack import CtEntry
from ..lookup.service_frontend import lookup_service
from .connection import Connection, Trace, Unwritten
from .conntrack_entries import ConntrackEntries

# The number of candidate backends whose facts are collected before the selected one is known.
MAX_CANDIDATES = 4
# The number of unplanned backends of a node that are checked if no planned one was used.
_UNPLANNED = 16

BackendSelection = Callable[[ConntrackEntries], Connection]
"""Finds the selected backend and what shows it; if nothing does, the other traces of the connection."""


def selection_for(plan: Plan, config: AgentConfig) -> BackendSelection:
    """The strategy for this path."""
    if only_backend(plan):
        return by_address
    if plan.frontend is None:
        return by_name
    if config.socket_lb or plan.source.pod.host_network:
        return by_socket
    return by_service_entry


def only_backend(plan: Plan) -> Backend | None:
    """The backend that needs no selection: the pod itself, or the address outside the cluster."""
    if isinstance(plan.target, PodTarget):
        return plan.target.backend
    if isinstance(plan.target, AddressTarget):
        return next(iter(plan.target.backends), None)
    return None


def by_address(entries: ConntrackEntries) -> Connection:
    """A pod that is addressed directly."""
    return Connection(only_backend(entries.plan))


def by_name(entries: ConntrackEntries) -> Connection:
    """A headless Service or a host outside the cluster: curl selects one of the addresses and reports it."""
    plan, report = entries.plan, entries.report
    if isinstance(plan.target, AddressTarget):
        return _outside(entries, plan.target)
    reported = (backend for backend in plan.backends if report and backend.ip == report.remote_ip)
    chosen = next(reported, None)
    return Connection(chosen) if chosen else by_entry(entries)


def _outside(entries: ConntrackEntries, target: AddressTarget) -> Connection:
    """The address that curl connected to, or the last one that it tried and that packets were sent to."""
    report = entries.report
    if report is None or not (report.remote_ip or report.tried):
        return Connection()
    ips = (report.remote_ip,) if report.remote_ip else report.tried[: -MAX_CANDIDATES - 1 : -1]
    backends = [
        Backend(ip, target.port, target=None) for ip in ips if ip and family_of(ip) is entries.plan.family
    ]
    sent = (one for one in backends if isinstance(entries.outgoing(one)[0], CtEntry))
    return Connection(next(sent, None) or next(iter(backends), None))


def by_socket(entries: ConntrackEntries) -> Connection:
    """Socket load-balancing creates no SVC entry. An untranslated connection creates an entry for the Service's own
    address.
    """
    plan = entries.plan
    assert plan.frontend is not None  # only Services are translated
    found = by_entry(entries)
    chosen = found.chosen or _source_itself(entries)
    untranslated = None if chosen else entries.untranslated(plan.frontend.ip, plan.frontend.number)
    return replace(found, chosen=chosen, untranslated_entry=untranslated, service_facts={"by": "socket"})


def by_service_entry(entries: ConntrackEntries) -> Connection:
    """Per-packet load balancing: the SVC entry has the ID of the backend. An entry that an earlier connection created a
    few seconds ago does not show that this one used it, because the datapath records packets every 5 s
    (`CT_REPORT_INTERVAL`); a new connection to its backend shows that.
    """
    plan = entries.plan
    assert plan.frontend is not None  # only Services are balanced
    address = plan.frontend.ip, plan.frontend.number
    for backend in plan.backends[:MAX_CANDIDATES]:  # a few more lookups cost less than another round trip
        entries.outgoing(backend)
        entries.incoming(backend)
    service = entries.service(*address)
    if isinstance(service, CtEntry):
        return Connection(_of_entry(entries, service), service, service_facts=_facts(service))
    older = entries.older_service(*address)
    selected = _of_entry(entries, older) if older else None
    if older and selected and isinstance(entries.outgoing(selected)[0], CtEntry):
        return Connection(selected, older, service_facts=_facts(older))
    return Connection(service=service, untranslated_entry=entries.untranslated(*address))


def _of_entry(entries: ConntrackEntries, entry: CtEntry) -> Backend | None:
    """The backend of a SVC entry."""
    assert entries.plan.frontend is not None  # only Services are balanced
    family = family_of(entries.plan.frontend.ip)
    fact = lbmap.backend(entries.source_node, entry.backend_id, family)
    record = entries.reader.read(fact, lbmap.parse_backend)
    return _backend(entries.plan, record) if isinstance(record, lbmap.BackendRecord) else None


def _facts(entry: CtEntry) -> dict[str, str]:
    return {"backendID": str(entry.backend_id), "revNAT": str(entry.rev_nat_id)}


def by_entry(entries: ConntrackEntries) -> Connection:
    """Without a SVC entry: the backend that has an entry of this run, OUT, or IN if the source is a host."""
    plan, from_host = entries.plan, entries.plan.source.pod.host_network
    look_up = entries.incoming if from_host else entries.outgoing
    traces: list[Trace] = []
    for backend in chain(plan.backends, _unplanned(entries)):
        entry, _ = look_up(backend)
        if isinstance(entry, CtEntry):
            return Connection(backend)
        traces.append(entry)
    if from_host:
        return Connection(outgoing=Unwritten())
    return Connection(outgoing=next((trace for trace in traces if not isinstance(trace, Absent)), Absent()))


def _source_itself(entries: ConntrackEntries) -> Backend | None:
    """The source pod, if it is the only backend and the request was answered: packets that stay in its network
    namespace leave no trace.
    """
    plan, report = entries.plan, entries.report
    only = plan.backends[0] if len(plan.backends) == 1 else None
    answered = report is not None and report.responded
    return (
        only if only and answered and stays_inside(plan, only, socket_lb_of(plan, entries.config)) else None
    )


def _unplanned(entries: ConntrackEntries) -> Iterator[Backend]:
    """Backends of the node's Service entry that are not among the Service's endpoints."""
    plan, reader, node = entries.plan, entries.reader, entries.source_node
    if plan.frontend is None:
        return
    master = lookup_service(reader, node, plan.frontend, entries.config.socket_lb)
    count = master.slot.count if isinstance(master.slot, lbmap.ServiceSlot) else 0
    for number in range(1, min(count, _UNPLANNED) + 1):
        slot = reader.read(lbmap.slot(node, master.address, number), lbmap.parse_slot)
        if not isinstance(slot, lbmap.ServiceSlot):
            continue
        record = reader.read(
            lbmap.backend(node, slot.backend_id, family_of(master.address.ip)), lbmap.parse_backend
        )
        if isinstance(record, lbmap.BackendRecord):
            backend = _backend(plan, record)
            if backend and backend not in plan.backends:
                yield backend


def _backend(plan: Plan, record: lbmap.BackendRecord) -> Backend | None:
    """The planned backend with this address, or one that only the datapath knows. None if the record has an address of
    another IP version than the Service: no connection of this run can go there.
    """
    assert plan.frontend is not None  # only Services are balanced
    if family_of(record.ip) is not family_of(plan.frontend.ip):
        return None
    known = (backend for backend in plan.backends if (backend.ip, backend.port) == (record.ip, record.port))
    return next(known, Backend(record.ip, record.port, None))
