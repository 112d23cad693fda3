"""Messages ↔ our values. What arrives is validated: ValueError says what is wrong with it. Pure.

Called by `client` and by `agent`; neither trusts the other.
"""

import math
from collections.abc import Iterable, Iterator

from ...addresses import IpFamily
from ...evidence.errors import EvidenceError
from ...evidence.fact import Fact
from ...evidence.fact_kinds import FactKind
from ...evidence.parameters import Scalar, Value
from ...evidence.reading import Answer, Reading, Unavailable
from ...sources.curl.request import CurlRequest, Tls
from . import node_agent_pb2 as pb

_LONGEST_S = 1e6
_MESSAGE_LENGTH = 500
_EXIT_CODES = range(-255, 256)


def fact_message(fact: Fact) -> pb.Fact:
    """A fact, without its node."""
    return pb.Fact(
        kind=str(fact.kind), parameters=(_parameter(name, value) for name, value in fact.parameters)
    )


def fact_of(message: pb.Fact, node: str) -> Fact:
    """The fact that is asked for. Raises ValueError for an unknown kind or invalid parameters."""
    parameters = tuple((each.name, _value(each)) for each in message.parameters)
    if len(dict(parameters)) < len(parameters):
        raise ValueError("a parameter is given twice")
    return Fact(FactKind(message.kind), node, parameters)


def reading_message(reading: Reading, now: float) -> pb.Reading:
    """A reading. `now`: when the call ends, by the clock of the reading."""
    age_s = max(0.0, now - reading.at) if reading.at else 0.0
    if isinstance(reading, Unavailable):
        why = pb.Unavailable(reason=str(reading.reason), message=reading.message[:_MESSAGE_LENGTH])
        return pb.Reading(unavailable=why, age_s=age_s)
    answer = pb.Answer(
        exit_code=reading.exit_code,
        stdout=reading.stdout,
        stderr=reading.stderr,
        duration_s=reading.duration_s,
        truncated=reading.truncated,
    )
    return pb.Reading(answer=answer, age_s=age_s)


def reading_of(message: pb.Reading, now: float, source: str = "") -> Reading:
    """The reading. `now`: when it arrived. Raises ValueError if it is none."""
    at = now - _seconds(message.age_s)
    match message.WhichOneof("outcome"):
        case "answer":
            answer = message.answer
            if answer.exit_code not in _EXIT_CODES:
                raise ValueError(f"{answer.exit_code} is no exit code")
            duration_s = _seconds(answer.duration_s)
            output = answer.exit_code, answer.stdout, answer.stderr
            return Answer(*output, at, duration_s, answer.truncated, source)
        case "unavailable":
            why = message.unavailable
            return Unavailable(EvidenceError(why.reason), why.message[:_MESSAGE_LENGTH], at)
    raise ValueError("the reading has no outcome")


def send_message(request: CurlRequest, node: str, pod: str, version: int) -> pb.SendRequest:
    """A request to send from the pod with this UID."""
    return pb.SendRequest(
        protocol_version=version,
        node=node,
        pod=pod,
        protocol=request.protocol,
        host=request.host,
        port=request.port,
        method=request.method,
        path=request.path,
        headers=(pb.Header(name=name, value=value) for name, value in request.headers),
        body=request.body,
        timeout_s=request.timeout_s,
        local_port=request.local_port,
        keep_body=request.keep_body,
        family=request.family.value if request.family else 0,
        show_addresses=request.show_addresses,
        tls=pb.Tls(
            trusted=request.tls.trusted, server_name=request.tls.server_name, insecure=not request.tls.verify
        ),
    )


def curl_request_of(message: pb.SendRequest) -> CurlRequest:
    """The request, not yet validated."""
    return CurlRequest(
        protocol=message.protocol,
        host=message.host,
        port=message.port,
        method=message.method,
        path=message.path,
        headers=tuple((header.name, header.value) for header in message.headers),
        body=message.body,
        timeout_s=message.timeout_s,
        local_port=message.local_port,
        keep_body=message.keep_body,
        family=IpFamily(message.family) if message.family else None,
        show_addresses=message.show_addresses,
        tls=Tls(message.tls.trusted, message.tls.server_name, not message.tls.insecure),
    )


def _parameter(name: str, value: Value) -> pb.Parameter:
    if isinstance(value, tuple):
        return pb.Parameter(name=name, list=pb.List(values=map(_scalar, value)))
    if isinstance(value, int):
        return pb.Parameter(name=name, number=value)
    return pb.Parameter(name=name, text=value)


def _scalar(value: Scalar) -> pb.Scalar:
    return pb.Scalar(number=value) if isinstance(value, int) else pb.Scalar(text=value)


def _value(message: pb.Parameter) -> Value:
    if message.WhichOneof("value") == "list":
        return tuple(_scalars(message.list.values))
    return next(_scalars((message,)))


def _scalars(messages: Iterable[pb.Parameter | pb.Scalar]) -> Iterator[Scalar]:
    for message in messages:
        match message.WhichOneof("value"):
            case "text":
                yield message.text
            case "number":
                yield message.number
            case _:
                raise ValueError("a value is missing")


def _seconds(value: float) -> float:
    if not (math.isfinite(value) and 0 <= value <= _LONGEST_S):
        raise ValueError(f"{value} is no time")
    return value
