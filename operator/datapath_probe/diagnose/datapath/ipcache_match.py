"""A node's ipcache entry for an address: its own one, or that of a wider prefix."""

from dataclasses import dataclass

from ...addresses import IpAddress
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...sources.maps import ipcache
from ...sources.maps.ipcache import IpcacheRecord
from ..context import CheckContext


@dataclass(frozen=True, slots=True)
class IpcacheMatch:
    """`own`: the entry of the address itself. `found`: the entry that programs find: `own`, or that of a wider prefix;
    None if there is none. `rests_on`: the facts that show this.
    """

    own: IpcacheRecord | None
    found: IpcacheRecord | None
    rests_on: tuple[Fact, ...]


def lookup_ipcache(context: CheckContext, node: str, address: IpAddress) -> IpcacheMatch | Unavailable:
    """The longest-prefix match that the node's programs find, and whether it is the address's own entry."""
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
