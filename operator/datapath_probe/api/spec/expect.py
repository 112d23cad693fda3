"""What a probe expects of its request. Part of the spec."""

from typing import Annotated, ClassVar

from pydantic import Field

from ..model import ApiModel, Rule
from ..vocabulary import Encapsulation, ExpectedOutcome, Locality
from .durations import seconds
from .scalars import Duration, StatusCode, duration_between


class ExpectedPath(ApiModel):
    """Expected properties of the path."""

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
    """Whether source and destination are on the same node (SameNode) or not (CrossNode). For a
    Service, it is judged for each backend and requires destination.backends: Each."""

    encapsulation: Encapsulation | None = None
    """How packets travel between nodes: in a vxlan or geneve tunnel, or without encapsulation (none). Ignored if
    they stay on one node."""


class Expect(ApiModel):
    """The expected result of the request."""

    rules: ClassVar = (
        Rule(
            "self.outcome != 'Denied' "
            "|| !(has(self.status) || has(self.bodyContains) || has(self.maxLatency) || has(self.path) "
            "|| has(self.certificateExpiresAfter))",
            "a request that is Denied has no response: leave out status, bodyContains, maxLatency, path and "
            "certificateExpiresAfter",
            lambda expect: (
                expect.outcome is not ExpectedOutcome.DENIED
                or (
                    not (expect.status or expect.body_contains or expect.max_latency or expect.path)
                    and expect.certificate_expires_after is None
                )
            ),
        ),
    )

    outcome: ExpectedOutcome = ExpectedOutcome.DELIVERED
    """The expected outcome. Delivered: a response arrives that matches status and bodyContains, or with
    protocol TCP the connection is established. Denied: a policy drops
    the request, and the drop of this very connection is observed; a refusal or a timeout alone is Unknown."""

    status: Annotated[tuple[StatusCode, ...], Field(min_length=1, max_length=16)] = ()
    """Accepted HTTP status codes, 200 to 599. Default: any from 200 to 299."""

    body_contains: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """Text that the first 64 KiB of the response body must contain, compared byte by byte. Bodies larger than 1 MiB
    cannot be matched and make the result Unknown."""

    max_latency: Annotated[Duration, duration_between("1ms", "60s")] | None = None
    """Maximum duration of the request as curl measures it: 1ms to 60s. A request that takes longer makes the probe
    Degraded."""

    certificate_expires_after: Annotated[Duration, duration_between("1m", "87600h")] | None = None
    """Minimum time until the server's certificate expires: 1m to 87600h, such as 336h for 14 days. A certificate that
    expires earlier makes the probe Degraded. Requires protocol HTTPS, and curl 7.88 or later in the source container:
    other versions make the result Unknown."""

    path: ExpectedPath | None = None
    """Expected properties of the path. A mismatch makes the probe Degraded."""

    @property
    def certificate_expires_after_s(self) -> float | None:
        after = self.certificate_expires_after
        return None if after is None else seconds(after)

    @property
    def max_latency_s(self) -> float | None:
        return None if self.max_latency is None else seconds(self.max_latency)
