"""The conntrack entries of one run's connection, under the addresses that its packets have on each node.

Called by `conntrack_lookup`, by what selects the backend, and by checks that look up entries of their own.
"""

from dataclasses import dataclass

from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...plan.path import is_hairpin
from ...plan.plan import Backend, Plan, PodFacts
from ...sources.agent.agent_config import AgentConfig
from ...sources.client_report import ClientReport
from ...sources.iproute2 import links, uptime
from ...sources.maps import conntrack
from ...sources.maps.conntrack import CtEntry
from ..finding.evidence_reader import EvidenceReader
from ..run.run import PathRun, Request
from .connection import Trace, Unwritten

# Entries carry whole seconds, and the uptime was read up to a round trip after the request was sent.
CLOCK_TOLERANCE_S = 2.0

Dated = tuple[Trace, float | None]
"""An entry, with the uptime since which it counts in seconds."""


@dataclass(frozen=True, slots=True)
class ConntrackEntries:
    """Looks up the entries of this run's connection."""

    run: PathRun
    report: ClientReport | None
    reader: EvidenceReader
    config: AgentConfig

    @property
    def plan(self) -> Plan:
        """The plan of the run."""
        return self.run.plan

    @property
    def source_node(self) -> str:
        """The node of the source."""
        return self.plan.source.node.name

    def service(self, ip: str, port: int) -> Trace:
        """The SVC entry of this address of a Service, which tells the chosen backend."""
        client, client_port = self.plan.source.pod.ip, self.run.request.local_port
        return self._of_this_run(conntrack.service_entry(self.source_node, client, client_port, ip, port))[0]

    def untranslated(self, ip: str, port: int) -> Trace:
        """The OUT entry to the Service's own address, which a pod's connection leaves that was not translated."""
        if self.plan.source.pod.host_network:
            return Unwritten()
        client, client_port = self.plan.source.pod.ip, self.run.request.local_port
        return self._of_this_run(conntrack.out_entry(self.source_node, client, client_port, ip, port))[0]

    def outgoing(self, backend: Backend) -> Dated:
        """The OUT entry to a backend."""
        if self.plan.source.pod.host_network:
            return Unwritten(), None
        client = client_address(self.plan, backend, self.reader, self.config)
        if isinstance(client, Unavailable):
            return client, None
        local_port = self.run.request.local_port
        return self._of_this_run(
            conntrack.out_entry(self.source_node, client, local_port, backend.ip, backend.port)
        )

    def incoming(self, backend: Backend) -> Dated:
        """The IN entry at a backend."""
        if not isinstance(backend.target, PodFacts):
            return Unwritten(), None
        client = client_address(self.plan, backend, self.reader, self.config)
        if isinstance(client, Unavailable):
            return client, None
        node, local_port = backend.target.node.name, self.run.request.local_port
        return self._of_this_run(conntrack.in_entry(node, client, local_port, backend.ip, backend.port))

    def _of_this_run(self, fact: Fact) -> Dated:
        return of_this_run(fact, self.run.request, self.reader)


def client_address(
    plan: Plan, backend: Backend, reader: EvidenceReader, config: AgentConfig
) -> str | Unavailable:
    """The address that this backend is called from: the pod's; a host's is the one that its route says."""
    if is_hairpin(plan, backend, config.socket_lb):
        return config.service_loopback
    if not plan.source.pod.host_network:
        return plan.source.pod.ip
    route = reader.read(links.route_to(plan.source.node.name, backend.ip), links.parse_route)
    if isinstance(route, links.Route) and route.source:
        return route.source
    unknown = Unavailable(Reason.NOT_OBSERVED, f"no route says which address speaks to {backend.ip}")
    return route if isinstance(route, Unavailable) else unknown


def of_this_run(fact: Fact, request: Request, reader: EvidenceReader) -> Dated:
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
