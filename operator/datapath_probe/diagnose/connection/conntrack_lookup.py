"""Looks up this run's connection in conntrack: the selected backend, and the entries under its addresses.

Called by `context_builder` for each context.
"""

from dataclasses import replace

from ...api.reasons import Reason
from ...evidence.reading import Unavailable
from ...plan.path import socket_lb_of, stays_inside
from ...plan.plan import Backend, Plan
from ...sources.agent.agent_config import AgentConfig
from ...sources.client_report import ClientReport
from ..finding.evidence_reader import EvidenceReader
from ..run.run import PathRun
from .backend_selection import only_backend, selection_for
from .connection import Connection, Unwritten
from .conntrack_entries import ConntrackEntries
from .flow_events import Events, observe


def look_up_connection(
    run: PathRun, report: ClientReport | None, reader: EvidenceReader, config: AgentConfig
) -> Connection:
    """Look up the entries of this run's connection on both nodes. Entries whose time is unknown do not count."""
    plan = run.plan
    if config.conntrack_in_jiffies:
        undated = Unavailable(
            Reason.UNSUPPORTED_CONFIGURATION, "conntrack times may be in jiffies (enable-bpf-clock-probe)"
        )
        return Connection(only_backend(plan), undated, undated, undated, report=report)
    entries = ConntrackEntries(run, report, reader, config)
    selected = selection_for(plan, config)(entries)
    known = replace(selected, report=report, source_node=entries.source_node)
    if known.chosen and stays_inside(plan, known.chosen, socket_lb_of(plan, config)):
        return replace(known, outgoing=Unwritten(), incoming=Unwritten())
    if known.chosen is None:
        events = observe(reader, run, report, None)
        known = replace(known, chosen=_seen_in_events(plan, events), events=events)
    chosen = known.chosen
    if chosen is None:
        return known
    outgoing, outgoing_since = entries.outgoing(chosen)
    incoming, incoming_since = entries.incoming(chosen)
    return replace(
        known,
        outgoing=outgoing,
        incoming=incoming,
        incoming_since_s=incoming_since,
        outgoing_since_s=outgoing_since,
        events=observe(reader, run, report, chosen.place.name if chosen.place else None),
    )


def _seen_in_events(plan: Plan, events: Events) -> Backend | None:
    """The backend that events show packets were sent to, arrived or not, if conntrack does not show it."""
    node = plan.source.node.name
    seen = {observation.to for observation in (*events.sent_on(node), *events.delivered(node))}
    seen |= {drop.to for drop in events.drops if not drop.reply}
    return next((backend for backend in plan.backends if (backend.ip, backend.port) in seen), None)
