"""The spec: what people write. Read by `plan` and `control`; the CRD is made from it.

Only what works is in here: a field that the operator would ignore must not be accepted. Every string and list
is bounded, which is also what keeps the cost of the CEL rules within the API server's budget.
"""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StrictBool

from .durations import seconds
from .expect import Expect
from .model import ApiModel, Rule
from .scalars import (
    Body,
    Duration,
    HeaderName,
    HeaderValue,
    Label,
    PodName,
    PortNumber,
    PortNumberOrName,
    RequestPath,
    duration_between,
)
from .vocabulary import ExpectedOutcome, FrontendType

LEAST_TIMEOUT_TO_BE_DENIED_S = 2.0
"""The packet is sent again after 1 s, which makes the first drop readable: a ring keeps back its newest event."""


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


class Schedule(ApiModel):
    """When runs start."""

    interval: Annotated[Duration, duration_between("1s", "24h")]
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
    """A pod, requested at its own address; one in the host's network at its node's."""

    name: PodName
    """Name of the pod."""

    namespace: Label | None = None
    """Namespace of the pod. Default: the probe's."""

    port: PortNumber
    """Port number that is requested: 1 to 65535."""


class ServiceDestination(ApiModel):
    """A Service of any type but ExternalName, requested as NAME.NAMESPACE.svc: by its ClusterIP, or headless by the
    addresses of its pods. Or requested at its NodePort."""

    name: Label
    """Name of the Service."""

    namespace: Label | None = None
    """Namespace of the Service. Default: the probe's."""

    port: PortNumberOrName
    """Port of the Service: its number, 1 to 65535, or its name. The port of a headless Service is not translated: a
    number is requested as it is, a name stands for the port of the pods."""

    frontend: FrontendType = FrontendType.CLUSTER_IP
    """Which address is requested. ClusterIP: the one that the name resolves to. NodePort: the InternalIP of the
    source's own node with the NodePort of the port, without any name; only where Cilium replaces kube-proxy."""


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
    """A Service, requested as NAME.NAMESPACE.svc, or at its NodePort."""


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

    timeout: Annotated[Duration, duration_between("100ms", "60s")] = "5s"
    """Time that the whole request may take, name resolution included: 100ms to 60s."""

    @property
    def timeout_s(self) -> float:
        return seconds(self.timeout)


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
        Rule(
            "self.expect.outcome != 'Denied' || duration(self.request.timeout) >= duration('2s')",
            "expect.outcome Denied needs a request.timeout of 2s or more: the drop of a lone packet shows up late",
            lambda spec: (
                spec.expect.outcome is not ExpectedOutcome.DENIED
                or spec.request.timeout_s >= LEAST_TIMEOUT_TO_BE_DENIED_S
            ),
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
