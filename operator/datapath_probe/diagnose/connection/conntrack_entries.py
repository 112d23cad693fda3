"""The conntrack entries of one run's connection, under the addresses that its packets have on each node.

Called by `conntrack_lookup`, `backend_selection`, and checks that look up further entries.
"""

from dataclasses import dataclass

from ...addresses import IpAddress, IpFamily
from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...plan.path import is_hairpin, socket_lb_of
from ...plan.plan import Backend, Plan, PodFacts
from ...sources.agent.agent_config import AgentConfig
from ...sources.client_report import ClientReport
from ...sources.iproute2 import links, uptime
from ...sources.maps import conntrack
from ...sources.maps.conntrack import CtEntry
from ..finding.evidence_reader import EvidenceReader
from ..run.run import PathRun, Request
from .connection import Trace, Unwritten

# Entries have a resolution of one second, and the uptime is read up to one round trip after the request was sent.
CLOCK_TOLERANCE_S = 2.0

Dated = tuple[Trace, float | None]
"""An entry, and the uptime in seconds since which it counts."""


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

    def service(self, ip: IpAddress, port: int) -> Trace:
        """The SVC entry of this Service address, which has the ID of the selected backend."""
        entry, _ = self._of_this_run(self._service(ip, port))
        if isinstance(entry, CtEntry) and not _is_backend_id(entry.backend_id):
            return Unavailable(Reason.UNPARSABLE_OUTPUT, "conntrack: the ID of the backend is out of range")
        return entry

    def older_service(self, ip: IpAddress, port: int) -> CtEntry | None:
        """The SVC entry of the same key, whenever a packet was last recorded."""
        entry = self.reader.read(self._service(ip, port), conntrack.parse)
        return entry if isinstance(entry, CtEntry) and _is_backend_id(entry.backend_id) else None

    def _service(self, ip: IpAddress, port: int) -> Fact:
        client, client_port = self.plan.source.ip, self.run.request.local_port
        return conntrack.service_entry(self.source_node, client, client_port, ip, port)

    def untranslated(self, ip: IpAddress, port: int) -> Trace:
        """The OUT entry to the Service's own address, which an untranslated connection creates."""
        if self.plan.source.pod.host_network:
            return Unwritten()
        client, client_port = self.plan.source.ip, self.run.request.local_port
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


def _is_backend_id(number: int) -> bool:
    """Whether the number fits into an ID: the field of the entry is longer."""
    return number < 1 << 32


def client_address(
    plan: Plan, backend: Backend, reader: EvidenceReader, config: AgentConfig
) -> IpAddress | Unavailable:
    """The source address of packets to this backend: the pod's; for a host, the preferred source of its route. Packets
    of a pod to itself through its Service get another one, but not over IPv6 (Cilium 1.18 `bpf/lib/lb.h`, `lb6_local`).
    """
    hairpin = is_hairpin(plan, backend, socket_lb_of(plan, config))
    if hairpin and plan.family is IpFamily.IPV4:
        return config.service_loopback
    if not plan.source.pod.host_network:
        return plan.source.ip
    route = reader.read(links.route_to(plan.source.node.name, backend.ip), links.parse_route)
    if isinstance(route, links.Route) and route.source:
        return route.source
    unknown = Unavailable(
        Reason.NOT_OBSERVED, f"no route shows the source address of packets to {backend.ip}"
    )
    return route if isinstance(route, Unavailable) else unknown


def of_this_run(fact: Fact, request: Request, reader: EvidenceReader) -> Dated:
    """The entry if it was updated during this run, and the node's uptime at the start of the run, in seconds."""
    clock_fact = uptime.uptime(fact.node)
    uptime_s = reader.read(clock_fact, uptime.parse)
    entry = reader.read(fact, conntrack.parse)
    if not isinstance(entry, CtEntry):
        return entry, None
    if not isinstance(uptime_s, float):
        return uptime_s, None
    since_s = uptime_s - (reader.at(clock_fact) - request.started) - CLOCK_TOLERANCE_S
    return (entry if entry.fresh(since_s) else Absent()), since_s
