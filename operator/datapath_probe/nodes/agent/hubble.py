"""Events of packets from Hubble's socket on the node, printed as `hubble observe -o jsonpb` prints them.

In: facts. Out: one JSON document per line, for `sources.flows.hubble`. Called by `collectors`.
Source: Cilium 1.16–1.20 `api/v1/observer/observer.proto`, `hubble/cmd/observe/flows_filter.go` (`--ip`, `--port`).
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Final

import grpc
import grpc.aio
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from ...evidence.errors import EvidenceError
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...tools.commands import EVENTS_LIMIT
from . import hubble_pb2 as pb
from .bpf import Printed
from .cilium import CiliumError

SOCKET: Final = "/var/run/cilium/hubble.sock"
_METHOD: Final = "/observer.Observer/GetFlows"
_OPTIONS: Final = (("grpc.max_receive_message_length", 256 * 1024),)


class Hubble:
    """Asks for events. Opened lazily; `close` when done."""

    def __init__(self, path: str = SOCKET) -> None:
        self._path = path
        self._channel: grpc.aio.Channel | None = None

    async def ask(self, fact: Fact) -> Printed:
        """The events that the fact is about. Raises CiliumError, TimeoutError by the caller's timeout."""
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(f"unix:{self._path}", options=_OPTIONS)
        call: grpc.aio.UnaryStreamMultiCallable[pb.GetFlowsRequest, pb.GetFlowsResponse]
        call = self._channel.unary_stream(
            _METHOD,
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=pb.GetFlowsResponse.FromString,
        )
        try:
            lines = [_line(response) async for response in call(_QUESTIONS[fact.kind](fact))]
        except grpc.aio.AioRpcError as error:
            message = f"Hubble can't be asked at {self._path}: {error.code().name.lower()}: {error.details()}"
            raise CiliumError(EvidenceError.AGENT_NOT_RESPONDING, message) from None
        return Printed(0, b"".join(lines))

    async def close(self) -> None:
        """Close the connection."""
        if self._channel:
            await self._channel.close()


def _line(response: pb.GetFlowsResponse) -> bytes:
    shown = MessageToDict(response, preserving_proto_field_name=True)
    point = shown.get("flow", {}).get("trace_observation_point")
    if isinstance(point, int):  # one that a later version of Cilium has added
        del shown["flow"]["trace_observation_point"]
    return json.dumps(shown, separators=(",", ":")).encode() + b"\n"


def _recent(fact: Fact, *filters: pb.FlowFilter) -> pb.GetFlowsRequest:
    since = Timestamp()
    since.FromNanoseconds(int((time.time() - fact.number("since_s")) * 1e9))
    return pb.GetFlowsRequest(number=EVENTS_LIMIT, since=since, whitelist=filters)


def _of_connection(fact: Fact) -> pb.GetFlowsRequest:
    ips, ports = [fact.text("address")], [str(fact.number("port"))]
    return _recent(
        fact,
        pb.FlowFilter(source_ip=ips, source_port=ports),
        pb.FlowFilter(destination_ip=ips, destination_port=ports),
    )


def _of_icmp(fact: Fact) -> pb.GetFlowsRequest:
    ips, icmp = [fact.text("address")], ["icmp"]
    return _recent(
        fact, pb.FlowFilter(source_ip=ips, protocol=icmp), pb.FlowFilter(destination_ip=ips, protocol=icmp)
    )


_QUESTIONS: Final[Mapping[FactKind, Callable[[Fact], pb.GetFlowsRequest]]] = {
    FactKind.FLOWS: _of_connection,
    FactKind.ICMP_FLOWS: _of_icmp,
    FactKind.NEWEST_FLOW: lambda _: pb.GetFlowsRequest(number=1),
}
KINDS: Final = frozenset(_QUESTIONS)
