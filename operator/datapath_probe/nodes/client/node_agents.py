"""Facts from the agents of the nodes. Implements `collect.interfaces.Agents`; assembled by `kube.cluster`."""

import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from ...evidence.delivery import delivery
from ...evidence.errors import EvidenceError
from ...evidence.fact import Fact
from ...evidence.internal_error import internal_error
from ...evidence.reading import Reading, Unavailable
from ...tools.commands import command_of
from .. import limits
from ..address import NodeAgentAddress
from ..wire import node_agent_pb2 as pb
from ..wire.messages import fact_message, reading_of
from .connections import Connections, NodeAgentError

log = structlog.get_logger(__name__)

# Beyond the longest timeout of the facts, for the agent and the network.
_MARGIN_S: Final = 3.0
_CALL_LIMIT_S: Final = 20.0
# An agent that gave no answer is not asked again for this long: each path that waits for it is late.
_PAUSE_S: Final = 5.0


class NodeAgents:
    """Asks the node agents. `locate` returns that of a node, None if there is none."""

    def __init__(
        self,
        connections: Connections,
        locate: Callable[[str], NodeAgentAddress | None],
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connections = connections
        self._locate = locate
        self._clock = clock
        self._monotonic = monotonic
        self._paused: dict[
            str, tuple[NodeAgentError, float]
        ] = {}  # by incarnation, with the end of the pause

    def serves(self, node: str) -> bool:
        """Whether the agent of this node can be asked now."""
        agent = self._locate(node)
        return agent is not None and agent.ready and self._pause_of(agent) is None

    async def ask(self, node: str, facts: Sequence[Fact]) -> Sequence[Reading]:
        """See `Agents`."""
        try:
            return await self.answers(node, facts)
        except NodeAgentError as error:
            return [Unavailable(error.reason, str(error), self._clock())] * len(facts)

    async def answers(self, node: str, facts: Sequence[Fact]) -> Sequence[Reading]:
        """One reading per fact. Raises NodeAgentError if the agent gave no answer."""
        agent = located(self._locate(node), node)
        if pause := self._pause_of(agent):
            raise pause
        request = pb.AskRequest(
            protocol_version=limits.PROTOCOL_VERSION, node=node, facts=map(fact_message, facts)
        )
        longest_s = max((delivery(fact).timeout_s for fact in facts), default=0.0)
        try:
            reply = await self._connections.ask(agent, request, min(longest_s + _MARGIN_S, _CALL_LIMIT_S))
        except NodeAgentError as error:
            self._pause(agent, error)
            raise
        if len(reply.readings) != len(facts):
            raise NodeAgentError(
                f"the node agent on {node} gave {len(reply.readings)} readings of {len(facts)}"
            )
        now = self._clock()
        return [_reading(message, fact, now) for message, fact in zip(reply.readings, facts, strict=True)]

    def _pause(self, agent: NodeAgentAddress, error: NodeAgentError) -> None:
        now = self._monotonic()
        self._paused = {key: rest for key, rest in self._paused.items() if rest[1] > now}
        self._paused[agent.incarnation] = error, now + _PAUSE_S

    def _pause_of(self, agent: NodeAgentAddress) -> NodeAgentError | None:
        error, until = self._paused.get(agent.incarnation, (None, 0.0))
        return error if self._monotonic() < until else None


def located(agent: NodeAgentAddress | None, node: str) -> NodeAgentAddress:
    """The agent, if it can be asked. Raises NodeAgentError."""
    if agent is None:
        raise NodeAgentError(f"there is no node agent on {node}")
    if not agent.ready:
        raise NodeAgentError(f"the node agent on {node} is not ready")
    return agent


def _reading(message: pb.Reading, fact: Fact, now: float) -> Reading:
    try:
        return reading_of(message, now, f"node agent: {_shown(fact)}")
    except ValueError as error:
        message_ = f"the node agent on {fact.node} gave no reading: {error}"
        return Unavailable(EvidenceError.UNPARSABLE, message_, now)
    except Exception as error:
        log.exception("reading of a node agent not understood", agent_node=fact.node)
        return internal_error("the collector", error)


def _shown(fact: Fact) -> str:
    """The command that prints the same, for people to repeat."""
    command = command_of(fact)
    return fact.kind if command.program == "perl" else command.text
