"""Connections to the node agents, one per agent, over mutual TLS. Called by the other modules of `client`.

In: where an agent listens, and a message. Out: its reply, or a `NodeAgentError`. A connection is opened when it is
first needed, kept, and opened again with each new certificate.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from ...addresses import with_port
from ...evidence.errors import EvidenceError
from .. import limits
from ..address import NodeAgentAddress
from ..certificates.authority import Identity, Role
from ..wire import node_agent_pb2 as pb
from ..wire.service import path

Request = TypeVar("Request", bound=Message)
Reply = TypeVar("Reply", bound=Message)

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", limits.MESSAGE_LIMIT),
    ("grpc.max_send_message_length", limits.REQUEST_LIMIT),
    ("grpc.ssl_target_name_override", Role.NODE.value),
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 5000),
    # a node that is gone without a word
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.use_local_subchannel_pool", 1),
)
_KEPT = 5_000


class NodeAgentError(Exception):
    """The agent gave no answer. The message is one sentence."""

    def __init__(self, message: str, reason: EvidenceError = EvidenceError.NODE_AGENT_UNAVAILABLE) -> None:
        super().__init__(message)
        self.reason = reason


class Connections:
    """`identity` returns what the operator presents; None while it has nothing to present."""

    def __init__(self, identity: Callable[[], Identity | None]) -> None:
        self._identity = identity
        self._channels: dict[tuple[str, str], tuple[Identity, grpc.aio.Channel]] = {}

    async def ask(self, agent: NodeAgentAddress, request: pb.AskRequest, timeout_s: float) -> pb.AskReply:
        """Ask for facts. Raises NodeAgentError, at the latest after `timeout_s`."""
        return await self._call(agent, "Ask", request, pb.AskReply, timeout_s)

    async def send(self, agent: NodeAgentAddress, request: pb.SendRequest, timeout_s: float) -> pb.Reading:
        """Let the agent send a request. Raises NodeAgentError, at the latest after `timeout_s`."""
        return await self._call(agent, "Send", request, pb.Reading, timeout_s)

    async def close(self) -> None:
        """Close all connections, and end all calls."""
        channels, self._channels = self._channels, {}
        for _, channel in channels.values():
            await channel.close()

    async def _call(
        self,
        agent: NodeAgentAddress,
        method: str,
        request: Request,
        reply: type[Reply],
        timeout_s: float,
    ) -> Reply:
        call: grpc.aio.UnaryUnaryMultiCallable[Request, Reply] = self._channel(agent).unary_unary(
            path(method),
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=reply.FromString,
        )
        try:
            answered: Reply = await call(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise _error(agent, error, timeout_s) from None
        return answered

    def _channel(self, agent: NodeAgentAddress) -> grpc.aio.Channel:
        identity = self._identity()
        if identity is None:
            raise NodeAgentError("the operator has no certificate for node agents yet")
        key = agent.node, with_port(agent.ip, agent.port)
        made_with, channel = self._channels.get(key, (None, None))
        if channel is None or made_with != identity:
            if len(self._channels) > _KEPT:  # those of nodes that are gone close with the garbage
                self._channels.clear()
            credentials = grpc.ssl_channel_credentials(
                identity.authority, identity.pair.key, identity.pair.certificate
            )
            channel = grpc.aio.secure_channel(key[1], credentials, options=_OPTIONS)
            self._channels[key] = identity, channel
        return channel


# It is of another version.
_OUTDATED: Final = frozenset((grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.UNIMPLEMENTED))
_REFUSALS: Final = frozenset(
    (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND)
)


def _error(agent: NodeAgentAddress, error: grpc.aio.AioRpcError, timeout_s: float) -> NodeAgentError:
    code, details = error.code(), error.details() or ""
    who = f"the node agent on {agent.node}"
    if code in _OUTDATED:
        return NodeAgentError(
            f"{who} is of another version: {details[:200]}", EvidenceError.NODE_AGENT_OUTDATED
        )
    if code in _REFUSALS:
        return NodeAgentError(f"{who} refuses: {details[:200]}")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return NodeAgentError(f"{who} did not answer within {timeout_s:g} s")
    where = with_port(agent.ip, agent.port)
    return NodeAgentError(f"{who} can't be reached at {where}: {code.name.lower()}: {details[:200]}")
