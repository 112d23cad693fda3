"""How the packets of this run left their node, by the entry that netfilter or `cil_to_netdev` made when it translated
them. Called by the check of `masquerade` and by `verdict.exit_loss`.
"""

from dataclasses import dataclass

from ...addresses import IpAddress
from ...evidence.errors import EvidenceError
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...sources.maps import natmap
from ...sources.maps.egress_gateway import EgressGateway
from ...sources.netfilter import kernel_conntrack
from ..context import CheckContext
from .masquerading import Masquerading, masquerading


@dataclass(frozen=True, slots=True)
class Departure:
    """`source`, `source_port`: those with which the packets left. `replied`: a reply came back to the node; None if the
    entry does not show it. `shown_by`: the fact.
    """

    source: IpAddress
    source_port: int
    replied: bool | None
    shown_by: Fact


def departure(context: CheckContext) -> Departure | Absent | Unavailable:
    """By whichever of the two translates these packets."""
    how = masquerading(context)
    if how is Masquerading.BY_BPF or isinstance(how, EgressGateway):
        return by_bpf(context)
    return by_netfilter(context)


def by_netfilter(context: CheckContext) -> Departure | Absent | Unavailable:
    """By the kernel's own conntrack entry. Absent while the request is in flight: it may be read too early."""
    fact = kernel_conntrack.fact(*_tuple(context))
    if context.report is None:
        return Absent()
    seen = context.reader.read(fact, kernel_conntrack.parse)
    if isinstance(seen, Absent | Unavailable):
        return seen
    return Departure(seen.source, seen.source_port, seen.replied, fact)


def by_bpf(context: CheckContext) -> Departure | Absent | Unavailable:
    """By the entry of the NAT map. Absent while the request is in flight, and if the entry is not of this run."""
    fact = natmap.egress_entry(*_tuple(context))
    if context.report is None:
        return Absent()
    seen = context.reader.read(fact, natmap.parse)
    if isinstance(seen, Absent | Unavailable):
        return seen
    since_s = context.connection.outgoing_since_s
    if since_s is None:
        message = "whether the entry of the NAT map is of this run is not known: the node's uptime is not"
        return Unavailable(EvidenceError.NOT_COLLECTED, message)
    if not seen.fresh(since_s):
        return Absent()
    return Departure(seen.source, seen.source_port, None, fact)


def _tuple(context: CheckContext) -> tuple[str, IpAddress, int, IpAddress, int]:
    assert context.backend is not None  # only paths to a backend leave the cluster
    node, port = context.source.node.name, context.run.request.local_port
    return node, context.source.ip, port, context.address, context.backend.port
