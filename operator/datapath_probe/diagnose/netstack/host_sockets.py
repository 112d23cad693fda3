"""Whether a socket listens in a node's own network, for a request to the node that was refused.

The counterpart of `pod_sockets`. Called by the check of the response.
"""

from ...api.reasons import Reason
from ...evidence.reading import Unavailable
from ...sources.iproute2 import ss
from ..context import CheckContext


def socket_contradiction(context: CheckContext) -> Unavailable | None:
    """Why the application may not have refused the request: a socket listens, so something else may have answered."""
    backend = context.backend
    if (
        context.outcome.met is not False
        or backend is None
        or backend.host is None
        or context.connection.connected
    ):
        return None
    known = context.reader.read(ss.of_host(backend.host.name, backend.port), ss.parse)
    listening = None if isinstance(known, Unavailable) else ss.listener(known, backend.ip)
    if listening is None or listening.is_full:
        return None
    message = f"{context.server} was refused, although a socket of {backend.host.name} listens there"
    return Unavailable(Reason.NOT_OBSERVED, message)
