"""Which backend this run's connection went to, and what shows it: one strategy for each kind of load balancing.

Called by `conntrack_lookup`. Source: Cilium 1.18 `bpf/bpf_lxc.c` (per packet), `bpf/bpf_sock.c` (sockets).
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain

from ...addresses import family_of
from ...evidence.reading import Absent
from ...plan.path import socket_lb_of, stays_inside
from ...plan.plan import Backend, Plan, PodTarget
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
    """The backend that needs no selection: the pod itself."""
    return plan.target.backend if isinstance(plan.target, PodTarget) else None


def by_address(entries: ConntrackEntries) -> Connection:
    """A pod that is addressed directly."""
    return Connection(only_backend(entries.plan))


def by_name(entries: ConntrackEntries) -> Connection:
    """A headless Service: curl selects one of the addresses and reports it."""
    report = entries.report
    reported = (backend for backend in entries.plan.backends if report and backend.ip == report.remote_ip)
    chosen = next(reported, None)
    return Connection(chosen) if chosen else by_entry(entries)


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
    """Per-packet load balancing: the SVC entry has the ID of the backend."""
    plan, node = entries.plan, entries.source_node
    assert plan.frontend is not None  # only Services are balanced
    address = plan.frontend.ip, plan.frontend.number
    for backend in plan.backends[:MAX_CANDIDATES]:  # a few more lookups cost less than another round trip
        entries.outgoing(backend)
        entries.incoming(backend)
    service = entries.service(*address)
    if not isinstance(service, CtEntry):
        return Connection(service=service, untranslated_entry=entries.untranslated(*address))
    facts = {"backendID": str(service.backend_id), "revNAT": str(service.rev_nat_id)}
    record = entries.reader.read(
        lbmap.backend(node, service.backend_id, family_of(address[0])), lbmap.parse_backend
    )
    chosen = _backend(plan, record) if isinstance(record, lbmap.BackendRecord) else None
    return Connection(chosen, service, service_facts=facts)


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
    answered = report is not None and report.answered
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
