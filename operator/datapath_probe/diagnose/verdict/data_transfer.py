"""Where data may have been lost on an established connection, between the handshake and a complete response.

The entry on the destination's node records the TCP flag PSH, which shows whether data arrived there and was sent from
there: this narrows the segment of the loss. Called by `examination`.
Source: Cilium 1.18 `bpf/lib/conntrack.h` (`__ct_update_timeout`), `monitor-aggregation-flags`.
"""

from ...api.vocabulary import HopName
from ...sources.agent.agent_config import AgentConfig
from ...sources.maps.conntrack import CtEntry
from ..context import CheckContext
from ..failure_model.model import DESTINATION_HOPS, REPLY_HOPS, REQUEST_HOPS

_ALL_FLAGS = "all"
_PSH = "psh"


def transfer_hops(context: CheckContext) -> frozenset[HopName]:
    """The hops where data of this connection may have been lost. A missing PSH counts only if the agent records it."""
    connection, request = context.connection, context.plan.request
    is_complete = connection.request_arrived and request.protocol == "http" and request.fits_one_segment
    hops = set[HopName]() if is_complete else set(REQUEST_HOPS)
    recorded = isinstance(connection.incoming, CtEntry) and _records_data(context)
    if connection.request_arrived or not recorded:
        hops.update(DESTINATION_HOPS)
    if connection.response_left or not recorded:
        hops.update(REPLY_HOPS)
    return frozenset(hops)


def _records_data(context: CheckContext) -> bool:
    """Whether entries on the destination's node record PSH."""
    node = context.path.destination_node
    config = context.agent_config(node) if node else None
    return isinstance(config, AgentConfig) and not config.monitor_flags.isdisjoint((_ALL_FLAGS, _PSH))
