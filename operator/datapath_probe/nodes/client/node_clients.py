"""Curl in the network namespaces of source pods, by the agents of their nodes. Called by `kube.clients`."""

import time
from collections.abc import Callable

from ...collect.interfaces import Sender
from ...evidence.errors import EvidenceError
from ...evidence.reading import Reading, Unavailable
from ...sources.curl.request import CurlRequest
from .. import limits
from ..address import NodeAgentAddress
from ..wire.messages import reading_of, send_message
from .connections import Connections, NodeAgentError
from .node_agents import located

# For the agent and the network, beyond curl's own timeout.
_MARGIN_S = 5.0


class NodeClients:
    """Sends requests from pods. `locate` returns the agent of a node, None if there is none."""

    def __init__(
        self,
        connections: Connections,
        locate: Callable[[str], NodeAgentAddress | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._connections = connections
        self._locate = locate
        self._clock = clock

    async def send(self, sender: Sender, request: CurlRequest) -> Reading:
        """Send one request. Never raises."""
        started, node = self._clock(), sender.node
        message = send_message(request, node, sender.container.uid, limits.PROTOCOL_VERSION)
        try:
            agent = located(self._locate(node), node)
            reply = await self._connections.send(agent, message, request.timeout_s + _MARGIN_S)
            return reading_of(reply, self._clock(), f"curl by the node agent on {node}")
        except NodeAgentError as error:
            return Unavailable(error.reason, str(error), started)
        except ValueError as error:
            message_ = f"the node agent on {node} gave no reading: {error}"
            return Unavailable(EvidenceError.UNPARSABLE, message_, started)
