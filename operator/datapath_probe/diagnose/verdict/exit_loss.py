"""Packets that left the cluster, and no reply came back: the loss is beyond the node. Called by `examination`.

Source: Linux 6.x `net/netfilter/nf_conntrack_core.c`: an entry is confirmed when its first packet has passed
POSTROUTING, and marked (`IPS_SEEN_REPLY`) by the first packet back. Cilium 1.18 `bpf/bpf_host.c`: `cil_to_netdev` makes
the NAT entry at the device; no entry shows replies before they reach the pod.
"""

from collections.abc import Sequence

from ...addresses import with_port
from ...api.reasons import Reason
from ...api.vocabulary import HopName, HopVerdict
from ...sources.iproute2 import links
from ..connection.progress import Progress
from ..context import CheckContext
from ..datapath.departure import Departure, departure
from ..failure_model.stage import Stage
from ..finding.finding import Finding, Segment
from .loss_counters import WireLoss

_OUT = frozenset({HopName.MASQUERADE, HopName.CLUSTER_EXIT})
_OUT_AND_BACK = _OUT | {HopName.REPLY_DELIVERY}


def exit_loss(context: CheckContext, progress: Progress, findings: Sequence[Finding]) -> WireLoss | None:
    """The loss beyond the node; None if packets are not known to have left it as they should, or a reply may have come
    back.
    """
    leaves = any(hop.name is HopName.MASQUERADE for hop in context.path.hops)
    if not leaves or context.outcome.met is not False or progress.reached is not Stage.SENT:
        return None
    seen = departure(context)
    if not isinstance(seen, Departure) or seen.replied:
        return None
    passed = _OUT_AND_BACK if seen.replied is None else _OUT
    if any(finding.verdict is not HopVerdict.OK for finding in findings if finding.hop in passed):
        return None
    node = context.path.source_node
    route = context.reader.read(links.route_to(node, context.address), links.parse_route)
    device = f" at {route.device} of {node}" if isinstance(route, links.Route) else f" {node}"
    segment = Segment(HopName.CLUSTER_EXIT, HopName.DESTINATION_RESPONSE, node)
    left_as = with_port(seen.source, seen.source_port)
    missing = "no reply reached the pod" if seen.replied is None else "no reply came back"
    message = f"the packets left the cluster{device} as {left_as}, and {missing}"
    return WireLoss(segment, message, Reason.LOST_OUTSIDE_CLUSTER)
