"""What the sockets of a node's own network say of a request to it that was refused: whether anybody listens there.

As `pod_sockets` does for pods. Called by the check of the response.
"""

from ...api.reasons import Reason
from ...evidence.reading import Unavailable
from ...sources.iproute2 import ss
from ..context import CheckContext


def doubt(context: CheckContext) -> Unavailable | None:
    """Why a refusal may not be the application's doing: something answers in its name."""
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
