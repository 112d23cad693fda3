"""The gRPC service of the node agent: who may ask, what, and how much.

In: calls. Out: readings. Run by `cli.node_agent`. Only who presents a certificate of the installation's CA for the
operator's role is answered; certificates are read again for each handshake, so that they can be replaced at any time.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
import structlog

from ...evidence.errors import EvidenceError
from ...evidence.fact import Fact
from ...evidence.reading import Answer, Reading, Unavailable
from .. import limits
from ..certificates.authority import Identity, Role
from ..certificates.files import IdentityFiles, NoIdentityError
from ..wire import node_agent_pb2 as pb
from ..wire.messages import curl_request_of, fact_of, reading_message
from ..wire.service import SERVICE
from .collectors import Collectors
from .requests import Requests

log = structlog.get_logger(__name__)

Message = TypeVar("Message", pb.AskRequest, pb.SendRequest)
Context = grpc.aio.ServicerContext[Any, Any]
_NAMES: Final = "x509_subject_alternative_name"
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", limits.REQUEST_LIMIT),
    ("grpc.max_send_message_length", limits.MESSAGE_LIMIT),
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_permit_without_calls", 1),
)


@dataclass(frozen=True, slots=True)
class NodeService:
    """Answers calls that mean this node."""

    node: str
    collectors: Collectors
    requests: Requests

    async def ask(self, request: pb.AskRequest, context: Context) -> pb.AskReply:
        """One reading per fact."""
        await self._admit(request, context)
        if len(request.facts) > limits.FACTS_IN_A_CALL:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "too many facts in one call")
        facts = [_fact(message, self.node) for message in request.facts]
        known = [fact for fact in facts if isinstance(fact, Fact)]
        found = dict(zip(known, await self.collectors.collect(known), strict=True))
        readings = _bounded([found[fact] if isinstance(fact, Fact) else fact for fact in facts])
        now = time.time()
        return pb.AskReply(readings=[reading_message(reading, now) for reading in readings])

    async def send(self, request: pb.SendRequest, context: Context) -> pb.Reading:
        """Send a request of a pod of this node."""
        await self._admit(request, context)
        try:
            reading = await self.requests.send(request.pod, curl_request_of(request))
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return reading_message(reading, time.time())

    async def _admit(self, request: Message, context: Context) -> None:
        """Abort the call unless the operator asks this node, in this version."""
        if Role.OPERATOR.value.encode() not in (context.auth_context() or {}).get(_NAMES, ()):
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "only the operator may ask")
        if request.protocol_version != limits.PROTOCOL_VERSION:
            message = f"this node agent speaks version {limits.PROTOCOL_VERSION} of the protocol"
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, message)
        if request.node != self.node:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"this is {self.node}, not {request.node}")


def _fact(message: pb.Fact, node: str) -> Fact | Unavailable:
    """The fact that is asked for; why it is unavailable if this agent does not know its kind."""
    try:
        return fact_of(message, node)
    except ValueError as error:
        return Unavailable(EvidenceError.NODE_AGENT_OUTDATED, f"the node agent on {node}: {error}")


def _bounded(readings: list[Reading]) -> list[Reading]:
    """The readings, without those that do not fit into one reply any more."""
    left = limits.CALL_LIMIT
    kept: list[Reading] = []
    for reading in readings:
        size = len(reading.stdout) + len(reading.stderr) if isinstance(reading, Answer) else 0
        if size > left:
            message = f"the answers of one call exceed {limits.CALL_LIMIT} bytes"
            kept.append(Unavailable(EvidenceError.TOO_LARGE, message, reading.at))
            continue
        left -= size
        kept.append(reading)
    return kept


def server(service: NodeService, address: str, files: IdentityFiles) -> grpc.aio.Server:
    """A server at this address and port, to be started. Raises NoIdentityError, or RuntimeError if it can't listen."""
    made = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=limits.CALLS_AT_ONCE)
    made.add_generic_rpc_handlers((_handlers(service),))
    if not made.add_secure_port(address, _credentials(files)):
        raise RuntimeError(f"can't listen on {address}")
    return made


def _handlers(service: NodeService) -> grpc.GenericRpcHandler:
    def unary(
        method: Callable[[Any, Context], Awaitable[Any]], request: type[pb.AskRequest | pb.SendRequest]
    ) -> "grpc.RpcMethodHandler[Any, Any]":
        return grpc.unary_unary_rpc_method_handler(
            method,
            request_deserializer=request.FromString,
            response_serializer=lambda reply: reply.SerializeToString(),
        )

    return grpc.method_handlers_generic_handler(
        SERVICE, {"Ask": unary(service.ask, pb.AskRequest), "Send": unary(service.send, pb.SendRequest)}
    )


def _credentials(files: IdentityFiles) -> grpc.ServerCredentials:
    last = files.read()

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        """What is to be presented from now on; None: what was before."""
        nonlocal last
        try:
            now = files.read()
        except NoIdentityError as error:
            log.warning("certificate not read", error=str(error))
            return None
        if now == last:
            return None
        last = now
        return _configuration(now)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(last),
        fetch,  # type: ignore[arg-type]  # the stubs do not know that it may return None
        require_client_authentication=True,
    )


def _configuration(identity: Identity) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(identity.pair.key, identity.pair.certificate)], root_certificates=identity.authority
    )
