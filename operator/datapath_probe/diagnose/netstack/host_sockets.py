"""Whether a socket listens in a node's own network, for a request to the node that was refused.

The counterpart of `pod_sockets`. Called by the check of the response.
"""

from collections.abc import Sequence

from ...api.reasons import Reason
from ...evidence.reading import Unavailable
from ...plan.plan import Backend
from ...sources.iproute2 import ss
from ...sources.iproute2.ss import Socket
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
    known = _known(context, backend)
    listening = ss.listener(known, backend.ip) if known else None
    if listening is None or listening.is_full:
        return None
    message = f"{context.server} was refused, although a socket of {backend.host.name} listens there"
    return Unavailable(Reason.NOT_OBSERVED, message)


def listens(context: CheckContext) -> bool | None:
    """Whether a socket of the host listens on the request's port; None if it is not known."""
    backend = context.backend
    known = _known(context, backend) if backend else None
    return None if known is None or backend is None else ss.listener(known, backend.ip) is not None


def _known(context: CheckContext, backend: Backend) -> Sequence[Socket] | None:
    if backend.host is None:
        return None
    found = context.reader.read(ss.of_host(backend.host.name, backend.port), ss.parse)
    return None if isinstance(found, Unavailable) else found
