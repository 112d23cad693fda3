"""The path from the source pod to the cluster's DNS, judged when a name did not resolve: a path of its own inside the
hop `name-resolution`. The same checks judge it as any other path through a Service, but for what only the packets of
the request can tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...api.reasons import Reason
from ...api.vocabulary import HopName, HopVerdict
from ...evidence.reading import Absent
from ...plan.plan import Backend, Nameserver, ServiceTarget
from ...sources.maps import conntrack
from ...sources.maps.conntrack import CtEntry
from ..connection.conntrack_entries import CLOCK_TOLERANCE_S, of_this_run
from ..context import CheckContext
from ..finding.finding import Finding
from .subpath import WALKED, is_harmful, walk_to

_DENIALS = frozenset({HopName.EGRESS_POLICY, HopName.INGRESS_POLICY})


def walk(context: CheckContext, nameserver: Nameserver) -> list[Finding]:
    """Every hop to and from each name server, as it is programmed."""
    plan = replace(
        context.plan,
        target=ServiceTarget(context.plan.destination, nameserver.frontend, nameserver.backends),
        nameserver=None,
    )
    servers: Sequence[Backend | None] = nameserver.backends[:WALKED] or (None,)
    return [
        finding
        for server in servers
        for finding in walk_to(context, plan, server, context.registry.of_queries)
    ]


def culprit(findings: Sequence[Finding]) -> tuple[Reason, Finding] | None:
    """The first hop that keeps names from being resolved, and what that makes of the name server."""
    for finding in findings:
        if finding.reason is Reason.NO_READY_BACKENDS:
            return Reason.DNS_NO_READY_ENDPOINTS, finding
        has_no_backend = finding.verdict is HopVerdict.STALE and finding.hop is HopName.SERVICE_LOOKUP
        if is_harmful(finding) or has_no_backend:
            denied = finding.hop in _DENIALS and finding.reason is Reason.POLICY_DENIED
            return Reason.DNS_DENIED if denied else Reason.DNS_PATH_BROKEN, finding
    return None


@dataclass(frozen=True, slots=True)
class Queries:
    """What conntrack knows of this run's packets to the name servers; `asked` None: nothing."""

    asked: bool | None
    refused_by: str | None


def queries(context: CheckContext, nameserver: Nameserver) -> Queries:
    """Each connection to an address resets the entry of ICMP errors about it; an error means that nothing listens
    there.
    """
    node, client = context.source.node.name, context.source.pod.ip
    asked: bool | None = None if context.source.pod.host_network else False
    refused_by: str | None = None
    for server in nameserver.backends[:WALKED]:
        fact = conntrack.icmp_related(node, client, server.ip)
        entry, since_s = of_this_run(fact, context.run.request, context.reader)
        if isinstance(entry, CtEntry) and since_s is not None:
            # within the tolerance, or the second in which this run began, the query may be of the run before
            asked = asked or entry.sent(since_s + CLOCK_TOLERANCE_S + 1) or None
            if entry.received(since_s):
                refused_by = refused_by or server.ip
        elif not isinstance(entry, Absent):
            asked = asked or None
    return Queries(asked, refused_by)
