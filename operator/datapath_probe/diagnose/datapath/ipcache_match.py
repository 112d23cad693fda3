"""What a node's ipcache has of an address: a record of its own, or no more than a wider prefix says."""

from dataclasses import dataclass

from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...sources.maps import ipcache
from ...sources.maps.ipcache import IpcacheRecord
from ..context import CheckContext


@dataclass(frozen=True, slots=True)
class IpcacheMatch:
    """`own`: the record of the address itself. `found`: what programs find for it, of a wider prefix if there is no
    `own`; None if there is nothing at all. `rests_on`: the facts whose answers say so.
    """

    own: IpcacheRecord | None
    found: IpcacheRecord | None
    rests_on: tuple[Fact, ...]


def known(context: CheckContext, node: str, address: str) -> IpcacheMatch | Unavailable:
    """The longest-prefix match that the node's programs find, and whether it is more than a prefix's."""
    layout = context.layout(node)
    if isinstance(layout, Unavailable):
        return layout
    rests_on = (ipcache.lookup(node, layout, address), ipcache.lookup_wider(node, layout, address))
    found, wider = (context.reader.read(fact, ipcache.parse) for fact in rests_on)
    if isinstance(found, Unavailable):
        return found
    if isinstance(wider, Unavailable):
        return wider
    if isinstance(found, Absent):
        return IpcacheMatch(None, None, rests_on)
    return IpcacheMatch(None if found == wider else found, found, rests_on)
