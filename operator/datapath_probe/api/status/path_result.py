"""Result of one pair of source and destination: both ends, the request, the hops. Part of the status."""

from typing import Annotated

from pydantic import Field

from ..limits import Clip
from ..model import ApiModel
from ..vocabulary import ProbeVerdict
from .fields import Address, ExitCode, Hop, HttpStatus, Identity, Latency, Line, Name, Port, Time
from .hop_result import HopRef, HopResult

HOPS_LIMIT = 32
ASSUMPTIONS_LIMIT = 8


class PathSource(ApiModel):
    """The pod that sent the request."""

    pod: Name
    """Name of the pod."""

    node: Name
    """Node of the pod."""

    ip: Address
    """IP address of the pod."""

    identity: Identity | None = None
    """Security identity of the pod."""


class PathDestination(ApiModel):
    """The pod that answered the request, or that the request was sent to."""

    name: Name | None = None
    """Name of the pod. Absent if the selected backend is not known."""

    node: Name | None = None
    """Node of the pod."""

    ip: Address | None = None
    """IP address of the pod."""

    port: Port | None = None
    """Port of the pod."""

    identity: Identity | None = None
    """Security identity of the pod."""

    service_ip: Address | None = Field(default=None, alias="serviceIP")
    """IP address of the Service that was requested."""


class Timings(ApiModel):
    """Durations measured by curl, each from the start of the request. Phases that were not reached are absent."""

    name_lookup: Latency | None = None
    """Until the name was resolved."""

    connect: Latency | None = None
    """Until the TCP connection was established."""

    tls: Latency | None = None
    """Until the TLS handshake was complete."""

    first_byte: Latency | None = None
    """Until the first byte of the response arrived."""

    total: Latency | None = None
    """Until the request ended."""


class RequestResult(ApiModel):
    """What curl reported."""

    exit_code: ExitCode
    """Exit code of curl. A TCP request that connects ends with 26 or 43, because curl has nothing to send."""

    http_status: HttpStatus | None = None
    """HTTP status code of the response."""

    local_port: Port | None = None
    """Source port of the request."""

    remote_ip: Address | None = Field(default=None, alias="remoteIP")
    """IP address that curl connected to."""

    remote_port: Port | None = None
    """Port that curl connected to."""

    error: Line | None = None
    """Error message of curl."""

    certificate_expires: Time | None = None
    """Time when the server's certificate expires, as curl reports it. Absent without TLS, and before curl 7.88."""

    timings: Timings = Timings()
    """Durations measured by curl, each from the start of the request."""


class Assumption(ApiModel):
    """Something that the verdict relies on and that no evidence confirms."""

    hop: Hop
    """Name of the hop."""

    message: Line
    """What was taken on trust, and why it could not be checked."""


class PathResult(ApiModel):
    """Result of one pair of source and destination."""

    source: PathSource
    """The pod that sent the request."""

    destination: PathDestination
    """The pod that answered the request, or that the request was sent to."""

    verdict: ProbeVerdict
    """Healthy, Degraded, Broken or Unknown."""

    fingerprint: Annotated[str, Clip(80)] | None = None
    """Digest of the path to this destination. It changes if the path changes, but not if the load balancer selects
    another backend on the same node. Absent if the path is not completely known or is in transition."""

    request: RequestResult | None = None
    """What curl reported."""

    symptom: HopRef | None = None
    """Hop at which the packets were lost, if it differs from the cause, or if the cause is not certain."""

    assumptions: Annotated[tuple[Assumption, ...], Clip(ASSUMPTIONS_LIMIT)] = ()
    """What the verdict takes on trust, in path order."""

    hops: Annotated[tuple[HopResult, ...], Clip(HOPS_LIMIT)] = ()
    """The hops of the path, in path order. Of several paths, those that are Healthy have none, except the first."""
