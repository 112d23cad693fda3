"""The next hop of a node's route: a gateway, or the other end on a connected network. Called by `routing` and
`outside`.
"""

from ...addresses import IpAddress
from ...api.reasons import Reason
from ...evidence.reading import Absent, Unavailable
from ...sources.iproute2 import links, neighbors
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.faults import Fault, if_expected
from ..finding.hop_check import Contradiction


def next_hop_unanswered(
    context: CheckContext, node: str, route: links.Route, target: IpAddress, end: str | None
) -> Fault:
    """The node can't resolve the link-layer address of the next hop. Read only after a failure. `end`: the next hop in
    words if it is the other end itself; None if it is a gateway to `target`.
    """
    if context.outcome.met is not False:
        return None
    next_hop = route.gateway or target
    fact = neighbors.neighbor(node, next_hop, route.device)
    neighbor = context.reader.read(fact, neighbors.parse_neighbor)
    if isinstance(neighbor, Unavailable):
        return if_expected(neighbor)
    if isinstance(neighbor, Absent) or not neighbor.unreachable:
        return None
    who = end or f"{next_hop}, the gateway to {target},"
    message = f"{who} does not answer {node} on {route.device}"
    return Contradiction(Reason.NEIGHBOR_UNREACHABLE, message, (Defect.LOST,), (fact,))
