"""One pair of source and destination: who, the request, the hops between them. Part of the status."""

from typing import Annotated

from pydantic import Field

from .hop_result import HopRef, HopResult
from .model import ApiModel, Clip
from .status_fields import Address, Latency, Line, Name
from .vocabulary import ProbeVerdict

HOPS_LIMIT = 32


class PathSource(ApiModel):
    """The pod that sent the request."""

    pod: Name
    """Name of the pod."""

    node: Name
    """Node of the pod."""

    ip: Address
    """Address of the pod."""

    identity: int | None = None
    """Security identity of the pod."""


class PathDestination(ApiModel):
    """What answered, or should have."""

    name: Name | None = None
    """Name of the pod, if it is known which."""

    node: Name | None = None
    """Node of the pod."""

    ip: Address | None = None
    """Address of the pod."""

    port: int | None = None
    """Port of the pod."""

    identity: int | None = None
    """Security identity of the pod."""

    service_ip: Address | None = Field(default=None, alias="serviceIP")
    """Address of the Service that was requested."""


class Timings(ApiModel):
    """What curl measured, from the start of the request."""

    name_lookup: Latency | None = None
    """Until the name was resolved."""

    connect: Latency | None = None
    """Until the connection stood."""

    tls: Latency | None = None
    """Until TLS was negotiated."""

    first_byte: Latency | None = None
    """Until the first byte of the response."""

    total: Latency | None = None
    """Until the end."""


class RequestResult(ApiModel):
    """What curl reported."""

    exit_code: int
    """Exit code of curl."""

    http_status: int | None = None
    """Status code of the response."""

    local_port: int | None = None
    """Port from which the request came."""

    remote_ip: Address | None = Field(default=None, alias="remoteIP")
    """Address that curl connected to."""

    remote_port: int | None = None
    """Port that curl connected to."""

    error: Line | None = None
    """What curl said went wrong."""

    timings: Timings = Timings()
    """What curl measured, from the start of the request."""


class PathResult(ApiModel):
    """One pair of source and destination, and the way between them."""

    source: PathSource
    """The pod that sent the request."""

    destination: PathDestination
    """What answered, or should have."""

    verdict: ProbeVerdict
    """Healthy, Degraded, Broken or Unknown."""

    fingerprint: Annotated[str, Clip(80)] | None = None
    """Digest of the way that packets take to this destination; changes when the way does, not when a load
    balancer chooses another backend. Absent while not all of the way is known, or something is in transition."""

    request: RequestResult | None = None
    """What curl reported."""

    symptom: HopRef | None = None
    """Where the packets died, when that is not the cause, or nobody can tell whether it is."""

    hops: Annotated[tuple[HopResult, ...], Clip(HOPS_LIMIT)] = ()
    """The hops of the path, in the order in which packets take them."""
