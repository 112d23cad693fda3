"""The spec: what people write. Read by `plan` and `control`; the CRD is made from it.

Only what works is in here: a field that the operator would ignore must not be accepted. Every string and list
is bounded, which is also what keeps the cost of the CEL rules within the API server's budget.
"""

import re
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StrictBool, WithJsonSchema

from .durations import PATTERN, seconds
from .model import ApiModel, Rule, matches
from .vocabulary import Encapsulation, Locality

BODY_LIMIT_BYTES = 4096

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_PORT_NAME = f"^{_LABEL}$"
_OWN_HEADERS = ("connection", "content-length", "expect", "transfer-encoding", "upgrade")


def _duration_between(least: str, most: str) -> Rule:
    return Rule(
        f"self.matches('{PATTERN}') "
        f"&& duration(self) >= duration('{least}') && duration(self) <= duration('{most}')",
        f"must be a duration from {least} to {most}, such as 30s, 1m30s or 250ms",
        lambda text: bool(re.fullmatch(PATTERN, text)) and seconds(least) <= seconds(text) <= seconds(most),
    )


def _is_port(port: int | str) -> bool:
    if isinstance(port, int):
        return 1 <= port <= 65535
    return bool(re.fullmatch(_PORT_NAME, port) and re.search("[a-z]", port))


Duration = Annotated[str, Field(max_length=24)]
Label = Annotated[
    str,
    Field(max_length=63),
    matches(
        f"^{_LABEL}$",
        "must be a name of lower-case letters, digits and '-', with a letter or digit at both ends",
    ),
]
StatusCode = Annotated[int, Field(strict=True, ge=200, le=599)]
PodName = Annotated[
    str,
    Field(max_length=253),
    matches(
        rf"^{_LABEL}(\.{_LABEL})*$", "must be the name of a pod: lower-case letters, digits, '-' and '.'"
    ),
]
PortNumber = Annotated[int, Field(strict=True, ge=1, le=65535)]
PortNumberOrName = Annotated[
    Annotated[int, Field(strict=True)] | str,
    WithJsonSchema({"x-kubernetes-int-or-string": True, "maxLength": 63}),
    Rule(
        "type(self) == int ? self >= 1 && self <= 65535 "
        f": self.matches('{_PORT_NAME}') && self.matches('[a-z]')",
        "must be a port number from 1 to 65535, without quotes, or the name of one of the Service's ports",
        _is_port,
    ),
]
HeaderName = Annotated[
    str,
    Field(max_length=64),
    matches("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", "must be an HTTP token: letters, digits and !#$%&'*+-.^_`|~"),
    Rule(
        f"!(self.lowerAscii() in [{', '.join(repr(name) for name in _OWN_HEADERS)}])",
        f"must not be one of {', '.join(_OWN_HEADERS)}: they frame the request, which is for curl to do",
        lambda name: name.lower() not in _OWN_HEADERS,
    ),
]
HeaderValue = Annotated[
    str,
    Field(max_length=1024),
    matches(
        r"^([^\x00-\x20\x7f]([^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)?$",
        "must hold no line breaks or other control characters and no blanks at its ends",
    ),
]
RequestPath = Annotated[
    str,
    Field(max_length=2048),
    matches(
        r'^/[!"$-~]*$',
        "must start with '/' and hold only visible ASCII characters without '#'; percent-encode all others",
    ),
]
Body = Annotated[
    str,
    Field(max_length=BODY_LIMIT_BYTES),
    Rule(
        f"size(bytes(self)) <= {BODY_LIMIT_BYTES}",
        f"must be at most {BODY_LIMIT_BYTES} bytes of UTF-8",
        lambda text: len(text.encode()) <= BODY_LIMIT_BYTES,
    ),
    matches(r"^[^\x00]*$", "must not hold NUL, which curl can't be given"),
]


class Client(StrEnum):
    """Where curl runs."""

    CONTAINER = "Container"


class Protocol(StrEnum):
    """What is spoken to the destination."""

    HTTP = "HTTP"


class Method(StrEnum):
    """The methods of RFC 9110 and 5789 that make sense for a probe."""

    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"
    OPTIONS = "OPTIONS"


class Outcome(StrEnum):
    """What should become of the request."""

    DELIVERED = "Delivered"


class Schedule(ApiModel):
    """When runs start."""

    interval: Annotated[Duration, _duration_between("1s", "24h")]
    """Time from the start of one run to the start of the next: 1s to 24h. A run that would start while the
    one before it still lasts is skipped and counted."""

    @property
    def interval_s(self) -> float:
        return seconds(self.interval)


class Source(ApiModel):
    """Where the request comes from; always in the probe's own namespace."""

    pod: PodName
    """Name of the pod that sends the request."""

    container: Label | None = None
    """Container of the pod in which curl runs. Default: the one that the pod's annotation
    kubectl.kubernetes.io/default-container names, else the first."""

    client: Client = Client.CONTAINER
    """Where curl runs. Container: in the container itself, which must have curl 7.70 or later."""


class PodDestination(ApiModel):
    """A pod, requested at its own address."""

    name: PodName
    """Name of the pod."""

    namespace: Label | None = None
    """Namespace of the pod. Default: the probe's."""

    port: PortNumber
    """Port number that is requested: 1 to 65535."""


class ServiceDestination(ApiModel):
    """A Service, requested as <name>.<namespace>.svc."""

    name: Label
    """Name of the Service."""

    namespace: Label | None = None
    """Namespace of the Service. Default: the probe's."""

    port: PortNumberOrName
    """Port of the Service: its number, 1 to 65535, or its name."""


class Destination(ApiModel):
    """Where the request goes: exactly one of pod and service."""

    rules: ClassVar = (
        Rule(
            "has(self.pod) != has(self.service)",
            "must hold exactly one of pod and service",
            lambda destination: (destination.pod is None) != (destination.service is None),
        ),
    )

    pod: PodDestination | None = None
    """A pod, requested at its own address."""

    service: ServiceDestination | None = None
    """A Service, requested as <name>.<namespace>.svc."""


class Header(ApiModel):
    """A header of the request."""

    name: HeaderName
    """Name of the header. Connection, Content-Length, Expect, Transfer-Encoding and Upgrade are refused: they
    frame the request, which is for curl to do. Host is allowed."""

    value: HeaderValue
    """Value of the header, sent as it is; empty sends the header without a value."""


class Request(ApiModel):
    """The request that curl sends."""

    rules: ClassVar = (
        Rule(
            "self.method != 'HEAD' || !has(self.body) || self.body == ''",
            "a HEAD request has no body: leave out body or choose another method",
            lambda request: request.method != Method.HEAD or not request.body,
        ),
    )

    protocol: Protocol = Protocol.HTTP
    """What is spoken to the destination. HTTP: HTTP/1.1 in plain text, redirects are not followed."""

    method: Method = Method.GET
    """Method of the request."""

    path: RequestPath = "/"
    """Path and query, sent as they are. Visible ASCII only; percent-encode all other characters."""

    headers: Annotated[tuple[Header, ...], Field(max_length=16)] = ()
    """Headers sent besides those that curl sends by itself."""

    body: Body = ""
    """Body of the request, at most 4096 bytes of UTF-8 without NUL. Its Content-Type is
    application/x-www-form-urlencoded unless headers say otherwise."""

    timeout: Annotated[Duration, _duration_between("100ms", "60s")] = "5s"
    """Time that the whole request may take, name resolution included: 100ms to 60s."""

    @property
    def timeout_s(self) -> float:
        return seconds(self.timeout)


class ExpectedPath(ApiModel):
    """The way that packets should take."""

    rules: ClassVar = (
        Rule(
            "!has(self.locality) || self.locality != 'SameNode' || !has(self.encapsulation) "
            "|| self.encapsulation == 'none'",
            "packets that stay on one node are not encapsulated: leave out encapsulation or locality",
            lambda path: (
                path.locality != Locality.SAME_NODE or path.encapsulation in (None, Encapsulation.NONE)
            ),
        ),
    )

    locality: Locality | None = None
    """Whether source and destination are on one node. Needs destination.pod."""

    encapsulation: Encapsulation | None = None
    """How packets travel between nodes: in a vxlan or geneve tunnel, or routed as they are (none). Not judged
    when they stay on one node."""


class Expect(ApiModel):
    """What makes a run a success."""

    outcome: Outcome = Outcome.DELIVERED
    """What should become of the request. Delivered: it is answered as status and bodyContains say."""

    status: Annotated[tuple[StatusCode, ...], Field(min_length=1, max_length=16)] = ()
    """HTTP status codes of a good response, 200 to 599. Default: any from 200 to 299."""

    body_contains: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """Text that the body of the response must hold, compared byte for byte."""

    max_latency: Annotated[Duration, _duration_between("1ms", "60s")] | None = None
    """Time that a request may take before the probe is Degraded: 1ms to 60s, as curl measures it."""

    path: ExpectedPath | None = None
    """The way that packets should take; another one makes the probe Degraded."""

    @property
    def max_latency_s(self) -> float | None:
        return None if self.max_latency is None else seconds(self.max_latency)


class Threshold(ApiModel):
    """How many runs in a row it takes to change the conditions Reachable and PathHealthy."""

    failures: Annotated[int, Field(strict=True, ge=1, le=100)] = 1
    """Failed runs in a row before a condition becomes False: 1 to 100."""

    successes: Annotated[int, Field(strict=True, ge=1, le=100)] = 1
    """Good runs in a row before a condition becomes True again: 1 to 100."""


class HistorySpec(ApiModel):
    """How much of the past is kept in the status."""

    limit: Annotated[int, Field(strict=True, ge=0, le=50)] = 10
    """Entries kept in status.history: 0 to 50."""


class ProbeSpec(ApiModel):
    """What is probed, how often, and what is expected."""

    rules: ClassVar = (
        Rule(
            "!has(self.expect.path) || !has(self.expect.path.locality) || has(self.destination.pod)",
            "expect.path.locality needs destination.pod: the backends of a Service may be on any node",
            lambda spec: (
                spec.expect.path is None
                or spec.expect.path.locality is None
                or spec.destination.pod is not None
            ),
        ),
        Rule(
            "!has(self.expect.bodyContains) || self.request.method != 'HEAD'",
            "expect.bodyContains can't be met by a HEAD request, whose response has no body",
            lambda spec: spec.expect.body_contains is None or spec.request.method != Method.HEAD,
        ),
    )

    suspend: StrictBool = False
    """Whether to stop starting runs. The status stays as it is."""

    schedule: Schedule = Schedule(interval="60s")
    """When runs start."""

    source: Source
    """Where the request comes from; always in the probe's own namespace."""

    destination: Destination
    """Where the request goes: exactly one of pod and service."""

    request: Request = Request()
    """The request that curl sends."""

    expect: Expect = Expect()
    """What makes a run a success."""

    threshold: Threshold = Threshold()
    """How many runs in a row it takes to change the conditions Reachable and PathHealthy."""

    history: HistorySpec = HistorySpec()
    """How much of the past is kept in the status."""
