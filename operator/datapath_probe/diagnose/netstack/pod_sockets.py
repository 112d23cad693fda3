"""The destination pod's own sockets after a failed request: whether a socket listens, accepts connections, and has
received the request.

Read in the pod's network namespace once packets are known to have reached its node. If they can't be read, the traces
of packets decide alone. Called by the checks of the destination's interface and of its response.
"""

from collections.abc import Sequence

from ...api.reasons import Reason
from ...evidence.reading import Unavailable
from ...sources import kernel_counters
from ...sources.iproute2 import ss
from ...sources.iproute2.ss import Socket
from ...sources.kernel_counters import Counters
from ..context import CheckContext
from .netns import namespace_of

_FIN = 1  # a FIN counts as an unread octet


def socket_contradiction(context: CheckContext) -> Unavailable | None:
    """Why the application may not have caused the failure: something in the pod drops packets before they reach its
    sockets, or replies in its place.
    """
    listening, own = _listener(context), _own(context)
    if listening is None:
        return _never_refused(context)
    if listening.is_full:
        return None
    if context.connection.refused and not context.connection.connected:
        message = f"{context.server} was refused, although a socket of the pod listens there"
        return Unavailable(Reason.NOT_OBSERVED, message)
    if context.connection.connected and own and own.is_half_open:
        message = "packets of this connection reached the pod's node, but not the pod's socket"
        return Unavailable(Reason.NOT_OBSERVED, message)
    return None


def _never_refused(context: CheckContext) -> Unavailable | None:
    """A refusal that the kernel of the pod can't have sent: it has never sent a RST, although it handles TCP. (A kernel
    of its own inside the pod would leave that to the node's.)
    """
    if not context.connection.refused or context.connection.connected:
        return None
    counters = _counters(context)
    if counters is None or counters.get("Tcp.OutRsts") != 0 or not counters.get("Tcp.InSegs"):
        return None
    message = f"{context.server} was refused, although the kernel of the pod has not sent a RST (OutRsts: 0)"
    return Unavailable(Reason.NOT_OBSERVED, message)


def overflow(context: CheckContext) -> str | None:
    """How full the accept queue is, if the application does not accept its connections; None if it does."""
    listening = _listener(context)
    if listening is None or not listening.is_full:
        return None
    queue = f"{listening.received} are waiting, the limit is {listening.limit}"
    return f"the application at {context.server} does not accept its connections: {queue}"


def listens(context: CheckContext) -> bool | None:
    """Whether a socket of the pod listens on the request's port; None if it is not known."""
    return None if _known(context) is None else _listener(context) is not None


def unread(context: CheckContext) -> bool:
    """Whether the request is in the pod's socket, and the application has not read it."""
    own = _own(context)
    return own is not None and own.received > _FIN


def _listener(context: CheckContext) -> Socket | None:
    known = _known(context)
    return ss.listener(known, context.address) if known else None


def _own(context: CheckContext) -> Socket | None:
    """The server's end of the request's connection."""
    port = context.client_port
    return ss.of_connection(_known(context) or (), context.source.ip, port) if port else None


def _known(context: CheckContext) -> Sequence[Socket] | None:
    inside, backend = _inside(context), context.backend
    if inside is None or backend is None:
        return None
    found = context.reader.read(ss.fact(*inside, backend.port), ss.parse)
    return None if isinstance(found, Unavailable) else found


def _counters(context: CheckContext) -> Counters | None:
    inside = _inside(context)
    if inside is None:
        return None
    found = context.reader.read(kernel_counters.fact(*inside), kernel_counters.parse)
    return None if isinstance(found, Unavailable) else found


def _inside(context: CheckContext) -> tuple[str, str] | None:
    """The node and the network namespace of the pod, if packets of a failed request reached it."""
    pod = context.destination
    if context.outcome.met is not False or pod is None or not context.connection.received:
        return None
    agent = context.agent_endpoint(pod)
    pod_netns = agent if isinstance(agent, Unavailable) else namespace_of(context, pod, agent)
    return None if isinstance(pod_netns, Unavailable) else (pod.node.name, pod_netns.name)
