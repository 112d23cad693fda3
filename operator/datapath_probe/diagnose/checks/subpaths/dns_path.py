"""The subpath from the source pod to the cluster's DNS, part of the hop `name-resolution`.

Judged when a name did not resolve, by the same checks as any path through a Service, except for those that need the
packets of the request.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ....addresses import IpAddress, family_of
from ....api.reasons import Reason
from ....api.vocabulary import HopName, HopVerdict
from ....evidence.reading import Absent
from ....plan.path import ExpectedHop
from ....plan.plan import Backend, Nameserver, Plan, ServiceTarget
from ....sources.maps import conntrack
from ....sources.maps.conntrack import CtEntry
from ...connection.conntrack_entries import CLOCK_TOLERANCE_S, of_this_run
from ...context import CheckContext
from ...finding.finding import Finding
from ..translation import check_sockets
from .subpath import MAX_DESTINATIONS, is_harmful, judge_subpath

# All queries traverse these, whichever server they are sent to.
_OF_ALL_SERVERS = frozenset(
    {
        HopName.SOURCE_INTERFACE,
        HopName.SOURCE_PROGRAM,
        HopName.SERVICE_LOOKUP,
        HopName.REPLY_DELIVERY,
        HopName.REPLY_TRANSLATION,
    }
)
_DENIALS = frozenset({HopName.EGRESS_POLICY, HopName.INGRESS_POLICY})


def judge_dns_path(context: CheckContext, nameserver: Nameserver) -> list[Finding]:
    """The findings of every hop to and from each name server, as programmed."""
    plan = plan_of_queries(context.plan, nameserver)
    servers: Sequence[Backend | None] = nameserver.backends[:MAX_DESTINATIONS] or (None,)
    of_queries = replace(context, run=replace(context.run, plan=replace(context.plan, source=plan.source)))
    sockets = check_sockets(of_queries, ExpectedHop(HopName.SERVICE_TRANSLATION, context.path.source_node))
    return [
        *((sockets,) if is_harmful(sockets) else ()),
        *_of_servers(context, plan, servers),
    ]


def _of_servers(context: CheckContext, plan: Plan, servers: Sequence[Backend | None]) -> Iterator[Finding]:
    """The findings of the hops to and from each server."""
    return (
        _of_server(finding, server)
        for server in servers
        for finding in judge_subpath(context, plan, server, context.registry.of_queries)
    )


def _of_server(finding: Finding, server: Backend | None) -> Finding:
    """The finding with the name of the server, if it is on the path to this server only."""
    if finding.verdict is HopVerdict.OK or server is None or finding.hop in _OF_ALL_SERVERS:
        return finding
    return replace(finding, message=f"{finding.message} (name server {server.label})")


def plan_of_queries(plan: Plan, nameserver: Nameserver) -> Plan:
    """The plan as if the pod requested the Service of the cluster's DNS."""
    target = ServiceTarget(plan.destination, nameserver.frontend, nameserver.backends)
    source = plan.source.over(family_of(nameserver.frontend.ip))
    return replace(plan, source=source, target=target, nameserver=None)


def first_fault(findings: Sequence[Finding]) -> tuple[Reason, Finding] | None:
    """The first hop that prevents name resolution, and the reason to report for it."""
    for finding in findings:
        if finding.reason is Reason.NO_READY_BACKENDS:
            return Reason.DNS_NO_READY_ENDPOINTS, finding
        has_no_backends = (
            finding.verdict is HopVerdict.STALE
            and finding.hop is HopName.SERVICE_LOOKUP
            and finding.reason is not Reason.ENDPOINT_SLICE_STALE  # it concerns one name server
        )
        if is_harmful(finding) or has_no_backends:
            denied = finding.hop in _DENIALS and finding.reason is Reason.POLICY_DENIED
            return Reason.DNS_DENIED if denied else Reason.DNS_PATH_BROKEN, finding
    return None


@dataclass(frozen=True, slots=True)
class Queries:
    """This run's packets to the name servers, according to conntrack. `sent`: whether there were any; None if unknown.
    `refused_by`: a name server where nothing listens.
    """

    sent: bool | None
    refused_by: IpAddress | None


def queries(context: CheckContext, nameserver: Nameserver) -> Queries:
    """Each connection to an address updates the conntrack entry for related ICMP errors. An error means that nothing
    listens on the port.
    """
    node = context.source.node.name
    client = context.source.over(family_of(nameserver.frontend.ip)).ip
    sent: bool | None = None if context.source.pod.host_network else False
    refused_by: IpAddress | None = None
    for server in nameserver.backends[:MAX_DESTINATIONS]:
        fact = conntrack.icmp_related(node, client, server.ip)
        entry, since_s = of_this_run(fact, context.run.request, context.reader)
        if isinstance(entry, CtEntry) and since_s is not None:
            # within the tolerance, or in the first second of this run, the query may be from the previous run
            sent = sent or entry.sent(since_s + CLOCK_TOLERANCE_S + 1) or None
            if entry.received(since_s):
                refused_by = refused_by or server.ip
        elif not isinstance(entry, Absent):
            sent = sent or None
    return Queries(sent, refused_by)
