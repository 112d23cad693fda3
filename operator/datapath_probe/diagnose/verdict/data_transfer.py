"""Where data can have died that was sent once the connection stood: between the handshake and a whole response.

The entry at the destination notes whether data came there and left again, by the flag PSH that ends what is written at
once: that narrows where the rest was lost. Called by `diagnose`, and by the check of the response.
Source: Cilium 1.18 `bpf/lib/conntrack.h` (`__ct_update_timeout`), `monitor-aggregation-flags`.
"""

from ...api.vocabulary import HopName
from ...sources.agent.agent_config import AgentConfig
from ...sources.maps.conntrack import CtEntry
from ..context import CheckContext
from ..failure_model.model import DESTINATION_HOPS, REPLY_HOPS, REQUEST_HOPS

_ALL_FLAGS = "all"
_PSH = "psh"


def transfer_zone(context: CheckContext) -> frozenset[HopName]:
    """The hops where data of this connection can have died. That none was noted counts only where all would be."""
    connection, request = context.connection, context.plan.request
    whole = connection.request_arrived and request.protocol == "http" and request.fits_one_segment
    zone = set[HopName]() if whole else set(REQUEST_HOPS)
    noted = isinstance(connection.incoming, CtEntry) and _notes_data(context)
    if connection.request_arrived or not noted:
        zone.update(DESTINATION_HOPS)
    if connection.response_left or not noted:
        zone.update(REPLY_HOPS)
    return frozenset(zone)


def _notes_data(context: CheckContext) -> bool:
    """Whether the destination's agent has entries note PSH."""
    node = context.path.destination_node
    config = context.agent_config(node) if node else None
    return isinstance(config, AgentConfig) and not config.monitor_flags.isdisjoint((_ALL_FLAGS, _PSH))
