"""What a probe expects of its request, a part of the spec."""

from typing import Annotated, ClassVar

from pydantic import Field

from .durations import seconds
from .model import ApiModel, Rule
from .scalars import Duration, StatusCode, duration_between
from .vocabulary import Encapsulation, ExpectedOutcome, Locality


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

    rules: ClassVar = (
        Rule(
            "self.outcome != 'Denied' "
            "|| !(has(self.status) || has(self.bodyContains) || has(self.maxLatency) || has(self.path))",
            "a request that is Denied has no answer: leave out status, bodyContains, maxLatency and path",
            lambda expect: (
                expect.outcome is not ExpectedOutcome.DENIED
                or not (expect.status or expect.body_contains or expect.max_latency or expect.path)
            ),
        ),
    )

    outcome: ExpectedOutcome = ExpectedOutcome.DELIVERED
    """What should become of the request. Delivered: it is answered as status and bodyContains say. Denied: a policy
    drops it, and the drop of this very connection is witnessed; a refusal or a mere timeout is Unknown."""

    status: Annotated[tuple[StatusCode, ...], Field(min_length=1, max_length=16)] = ()
    """HTTP status codes of a good response, 200 to 599. Default: any from 200 to 299."""

    body_contains: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """Text that the body of the response must hold, compared byte for byte, within its first 64 KiB. Of a body that
    is still not through after 1 MiB nothing is known."""

    max_latency: Annotated[Duration, duration_between("1ms", "60s")] | None = None
    """Time that a request may take before the probe is Degraded: 1ms to 60s, as curl measures it."""

    path: ExpectedPath | None = None
    """The way that packets should take; another one makes the probe Degraded."""

    @property
    def max_latency_s(self) -> float | None:
        return None if self.max_latency is None else seconds(self.max_latency)
