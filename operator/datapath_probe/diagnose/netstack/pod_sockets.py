"""What the destination pod's own sockets say of a request that failed: whether anybody listens there, takes
connections, and has got the request.

Asked of the pod's kernel, once packets are known to have reached its node; where it can't be asked, packets alone
decide as they did. Called by the checks of the destination's interface and of its response.
"""

from collections.abc import Sequence

from ...api.reasons import Reason
from ...evidence.reading import Unavailable
from ...sources.iproute2 import ss
from ...sources.iproute2.ss import Socket
from ..context import CheckContext
from .netns import namespace_of

_FIN = 1  # counts as an octet that was not read


def doubt(context: CheckContext) -> Unavailable | None:
    """Why what was seen to come from the pod, or not to come, may not be the application's doing: something in the pod
    keeps packets from its sockets, or answers in its name.
    """
    listening, own = _listener(context), _own(context)
    if listening is None or listening.is_full:
        return None
    if context.connection.refused and not context.connection.connected:
        message = f"{context.server} was refused, although a socket of the pod listens there"
        return Unavailable(Reason.NOT_OBSERVED, message)
    if context.connection.connected and own and own.is_half_open:
        message = "packets of this connection came to the pod's node, and not to the pod's socket"
        return Unavailable(Reason.NOT_OBSERVED, message)
    return None


def overflow(context: CheckContext) -> str | None:
    """What is wrong if the application does not take the connections that wait for it; None if it does."""
    listening = _listener(context)
    if listening is None or not listening.is_full:
        return None
    queue = f"{listening.received} wait, and no more than {listening.limit} may"
    return f"the application at {context.server} does not accept its connections: {queue}"


def listens(context: CheckContext) -> bool:
    """Whether a socket of the pod is known to listen where the request went."""
    return _listener(context) is not None


def unread(context: CheckContext) -> bool:
    """Whether the request lies in the pod's socket, and the application has not read it."""
    own = _own(context)
    return own is not None and own.received > _FIN


def _listener(context: CheckContext) -> Socket | None:
    return ss.listener(_known(context) or (), context.address)


def _own(context: CheckContext) -> Socket | None:
    """The server's end of the request's connection."""
    port = context.client_port
    return ss.of_connection(_known(context) or (), context.source.pod.ip, port) if port else None


def _known(context: CheckContext) -> Sequence[Socket] | None:
    pod, backend = context.destination, context.backend
    if context.outcome.met is not False or pod is None or backend is None or not context.connection.received:
        return None
    agent = context.agent_endpoint(pod)
    home = agent if isinstance(agent, Unavailable) else namespace_of(context, pod, agent)
    if isinstance(home, Unavailable):
        return None
    found = context.reader.read(ss.fact(pod.node.name, home.namespace, backend.port), ss.parse)
    return None if isinstance(found, Unavailable) else found
