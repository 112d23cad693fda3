"""What in the stack of a node or a pod drops packets of a failed request: rules of packet filters, and IPsec policies,
which apply next to the same netfilter hooks.

Called by the checks for the hooks of their hops. Source: Linux 6.x `net/ipv4/{ip_input,ip_forward,ip_output}.c`.
"""

from collections.abc import Sequence

from ...sources.iproute2.xfrm import Direction
from ...sources.packet import Packet
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.faults import Fault
from ..finding.hop_check import Contradiction
from . import netfilter, xfrm
from .netfilter import ARRIVING, FORWARDED, LEAVING

_DIRECTIONS = {
    LEAVING: (Direction.OUT,),
    ARRIVING: (Direction.IN,),
    FORWARDED: (Direction.FORWARD, Direction.OUT),
}


def filtered(
    context: CheckContext,
    node: str,
    hooks: Sequence[str],
    packet: Packet,
    defect: Defect = Defect.FILTERED,
    namespace: str | None = None,
) -> Fault:
    """The rule or the policy that drops this packet, on the node or inside a pod, given its network namespace.
    Unavailable if it is unknown whether one applies to these packets; this counts only after a failed request.
    """
    rule = netfilter.filtered(context, node, hooks, packet, defect, namespace)
    if isinstance(rule, Contradiction) or context.outcome.met is not False:
        return rule
    policy = xfrm.blocked(context, node, _DIRECTIONS[tuple(hooks)], packet, defect, namespace)
    return policy if isinstance(policy, Contradiction) else rule or policy
