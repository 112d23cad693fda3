"""The spec: what users write. Read by `plan` and `control`; the CRD is generated from it.

It contains only what works: a field that the operator would ignore must not be accepted. Every string and list is
bounded, which also keeps the cost of the CEL rules within the API server's budget.
"""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StrictBool

from .durations import seconds
from .expect import Expect
from .ip_family import IpFamilyChoice
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
"""After 1 s the packet is retransmitted, which makes the first drop readable: a ring holds its newest event back."""


class Client(StrEnum):
    """Where curl runs."""

    CONTAINER = "Container"


class Protocol(StrEnum):
    """Protocol of the request."""

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
    """Time from the start of one run to the start of the next: 1s to 24h. A run that is due while the previous run is
    still in progress is skipped and counted."""

    @property
    def interval_s(self) -> float:
        return seconds(self.interval)


class Source(ApiModel):
    """The pod that sends the request, in the namespace of the probe."""

    pod: PodName
    """Name of the pod that sends the request."""

    container: Label | None = None
    """Container of the pod in which curl runs. Default: the container that the pod's annotation
    kubectl.kubernetes.io/default-container names, otherwise the first container."""

    client: Client = Client.CONTAINER
    """Where curl runs. Container: in the container itself, which requires curl 7.70 or later."""


class PodDestination(ApiModel):
    """A pod, requested at its own IP address; a pod in the host network at the IP address of its node."""

    name: PodName
    """Name of the pod."""

    namespace: Label | None = None
    """Namespace of the pod. Default: the namespace of the probe."""

    port: PortNumber
    """Port number of the request: 1 to 65535."""


class ServiceDestination(ApiModel):
    """A Service of any type except ExternalName, requested as NAME.NAMESPACE.svc: at its ClusterIP, or if it is
    headless at the IP addresses of its pods. Or requested at its NodePort."""

    name: Label
    """Name of the Service."""

    namespace: Label | None = None
    """Namespace of the Service. Default: the namespace of the probe."""

    port: PortNumberOrName
    """Port of the Service: its number, 1 to 65535, or its name. The port of a headless Service is not translated: a
    number is used as it is, a name refers to the port of the pods."""

    frontend: FrontendType = FrontendType.CLUSTER_IP
    """Which address is requested. ClusterIP: the address that the name resolves to. NodePort: the InternalIP of the
    source's node and the NodePort of the port, without name resolution; requires that Cilium replaces kube-proxy."""


class Destination(ApiModel):
    """The destination of the request: exactly one of pod and service."""

    rules: ClassVar = (
        Rule(
            "has(self.pod) != has(self.service)",
            "must specify exactly one of pod and service",
            lambda destination: (destination.pod is None) != (destination.service is None),
        ),
    )

    pod: PodDestination | None = None
    """A pod, requested at its own IP address."""

    service: ServiceDestination | None = None
    """A Service, requested as NAME.NAMESPACE.svc or at its NodePort."""


class Header(ApiModel):
    """A header of the request."""

    name: HeaderName
    """Name of the header. Connection, Content-Length, Expect, Transfer-Encoding and Upgrade are rejected because curl
    sets them. Host is allowed."""

    value: HeaderValue
    """Value of the header, sent as it is. If it is empty, the header is sent without a value."""


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
    """Protocol of the request. HTTP: HTTP/1.1 without TLS; redirects are not followed."""

    method: Method = Method.GET
    """Method of the request."""

    path: RequestPath = "/"
    """Path and query, sent as they are. Only visible ASCII characters; percent-encode all others."""

    headers: Annotated[tuple[Header, ...], Field(max_length=16)] = ()
    """Headers to send in addition to those that curl sends by default."""

    body: Body = ""
    """Body of the request: at most 4096 bytes of UTF-8 without NUL. Its Content-Type is
    application/x-www-form-urlencoded unless set in headers."""

    timeout: Annotated[Duration, duration_between("100ms", "60s")] = "5s"
    """Maximum duration of the whole request, including name resolution: 100ms to 60s."""

    @property
    def timeout_s(self) -> float:
        return seconds(self.timeout)


class Threshold(ApiModel):
    """Numbers of consecutive runs that change the conditions ExpectationMet and PathHealthy."""

    failures: Annotated[int, Field(strict=True, ge=1, le=100)] = 1
    """Number of consecutive failed runs after which a condition becomes False: 1 to 100."""

    successes: Annotated[int, Field(strict=True, ge=1, le=100)] = 1
    """Number of consecutive successful runs after which a condition becomes True: 1 to 100."""


class HistorySpec(ApiModel):
    """Which earlier runs the status keeps."""

    limit: Annotated[int, Field(strict=True, ge=0, le=50)] = 10
    """Number of runs in status.history: 0 to 50."""


class ProbeSpec(ApiModel):
    """Specification of the probe: what is requested, how often, and what is expected."""

    rules: ClassVar = (
        Rule(
            "!has(self.expect.path) || !has(self.expect.path.locality) || has(self.destination.pod)",
            "expect.path.locality requires destination.pod: the backends of a Service may be on any node",
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
            "expect.outcome Denied requires a request.timeout of 2s or more: the first drop is reported late",
            lambda spec: (
                spec.expect.outcome is not ExpectedOutcome.DENIED
                or spec.request.timeout_s >= LEAST_TIMEOUT_TO_BE_DENIED_S
            ),
        ),
    )

    suspend: StrictBool = False
    """Whether the probe is suspended: no run is started, and the status stays as it is."""

    schedule: Schedule = Schedule(interval="60s")
    """When runs start."""

    source: Source
    """The pod that sends the request, in the namespace of the probe."""

    destination: Destination
    """The destination of the request: exactly one of pod and service."""

    ip_family: IpFamilyChoice = IpFamilyChoice.ANY
    """The version of IP of the request. Any: IPv4 if source and destination have it, otherwise IPv6. IPv4, IPv6: this
    version. Both: one path for each version."""

    request: Request = Request()
    """The request that curl sends. It reads at most 8 MiB of the response, at most 4 MiB a second."""

    expect: Expect = Expect()
    """The expected result of the request."""

    threshold: Threshold = Threshold()
    """Numbers of consecutive runs that change the conditions ExpectationMet and PathHealthy."""

    history: HistorySpec = HistorySpec()
    """Which earlier runs the status keeps."""
