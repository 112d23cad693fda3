"""Packets that left the cluster, and no reply came back: the loss is beyond the node. Called by `examination`.

Source: Linux 6.x `net/netfilter/nf_conntrack_core.c`: an entry is confirmed when its first packet has passed
POSTROUTING, and marked (`IPS_SEEN_REPLY`) by the first packet back.
"""

from ...addresses import with_port
from ...api.reasons import Reason
from ...api.vocabulary import HopName
from ...sources.iproute2 import links
from ...sources.netfilter.kernel_conntrack import KernelConnection
from ..connection.progress import Progress
from ..context import CheckContext
from ..failure_model.stage import Stage
from ..finding.finding import Segment
from ..netstack.kernel_connection import kernel_connection
from .loss_counters import WireLoss


def exit_loss(context: CheckContext, progress: Progress) -> WireLoss | None:
    """The loss beyond the node; None if packets are not known to have left it, or a reply came back."""
    leaves = any(hop.name is HopName.MASQUERADE for hop in context.path.hops)
    if not leaves or context.outcome.met is not False or progress.reached is not Stage.SENT:
        return None
    _, seen = kernel_connection(context)
    if not isinstance(seen, KernelConnection) or seen.replied:
        return None
    node = context.path.source_node
    route = context.reader.read(links.route_to(node, context.address), links.parse_route)
    device = f" at {route.device} of {node}" if isinstance(route, links.Route) else f" {node}"
    segment = Segment(HopName.CLUSTER_EXIT, HopName.DESTINATION_RESPONSE, node)
    left_as = with_port(seen.source, seen.source_port)
    message = f"the packets left the cluster{device} as {left_as}, and no reply came back"
    return WireLoss(segment, message, Reason.LOST_OUTSIDE_CLUSTER)
