"""The spec: what users write. Read by `plan` and `control`; the CRD is generated from it.

It contains only what works: a field that the operator would ignore must not be accepted. Every string and list is
bounded, which also keeps the cost of the CEL rules within the API server's budget.
"""

from typing import Annotated, ClassVar

from pydantic import Field, StrictBool

from ..model import ApiModel, Rule
from ..vocabulary import ExpectedOutcome
from .destination import Destination, RequestedBackends
from .expect import Expect
from .ip_family import IpFamilyChoice
from .request import Method, Protocol, Request
from .schedule import Schedule
from .source import Source

LEAST_TIMEOUT_TO_BE_DENIED_S = 2.0
"""After 1 s the packet is retransmitted, which makes the first drop readable: a ring holds its newest event back."""


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
            "!has(self.expect.path) || !has(self.expect.path.locality) || !has(self.destination.service) "
            "|| (has(self.destination.backends) && self.destination.backends == 'Each')",
            "expect.path.locality of a Service is judged for each backend: set destination.backends to Each, "
            "or specify destination.pod or workload",
            lambda spec: (
                spec.expect.path is None
                or spec.expect.path.locality is None
                or spec.destination.service is None
                or spec.destination.backends is RequestedBackends.EACH
            ),
        ),
        Rule(
            "!has(self.expect.bodyContains) || self.request.method != 'HEAD'",
            "expect.bodyContains can't be met by a HEAD request, whose response has no body",
            lambda spec: spec.expect.body_contains is None or spec.request.method != Method.HEAD,
        ),
        Rule(
            "self.request.protocol != 'TCP' || !(has(self.expect.status) || has(self.expect.bodyContains))",
            "expect.status and expect.bodyContains require request.protocol HTTP or HTTPS: TCP has no response",
            lambda spec: (
                spec.request.protocol != Protocol.TCP or not (spec.expect.status or spec.expect.body_contains)
            ),
        ),
        Rule(
            "self.request.protocol == 'HTTPS' || !has(self.expect.certificateExpiresAfter)",
            "expect.certificateExpiresAfter requires HTTPS: set request.protocol to HTTPS, or remove it",
            lambda spec: (
                spec.request.protocol == Protocol.HTTPS or spec.expect.certificate_expires_after is None
            ),
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

    # The CRD has no default: what the API server stored, `kubectl apply` would merge with a cron of the manifest.
    schedule: Schedule = Field(default_factory=lambda: Schedule(interval="60s"))
    """When runs start. Default: every 60s."""

    source: Source
    """The pods that send requests, in the namespace of the probe: exactly one of pod, workload and selector."""

    destination: Destination
    """The destination of requests: exactly one of pod, service, workload and address."""

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
