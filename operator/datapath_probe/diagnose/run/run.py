"""Everything known about the run of one path: the input of diagnosis, live or from a saved bundle."""

from dataclasses import dataclass, field

from ...evidence.reading import Reading
from ...evidence.store import Evidence
from ...plan.endpoint_churn import EndpointChurn
from ...plan.other_backends import OtherBackend
from ...plan.plan import CannotRun, Plan
from .windows import DEFAULT, Windows


@dataclass(frozen=True, slots=True)
class Request:
    """The request as it was sent. `started`: seconds since the epoch. `reading`: curl's output; None while the request
    is in flight.
    """

    started: float
    local_port: int
    reading: Reading | None


@dataclass(frozen=True, slots=True)
class PathRun:
    """`plan_after`: the plan as resolved after the run; if it differs, the cluster is in transition.

    `second_look`: doubtful facts were read twice. `view_age_s`: how long ago the API server last answered, so that
    objects may have changed unseen since. `hanging`: the request has been in flight for longer than successful ones.
    `destination_churn`, `dns_churn`: changes of the endpoints of the destination's Service, and of the cluster's DNS,
    at the second look. `windows`: how long a change counts as in transition. `others`: the backends to look at besides
    the one that the request uses; `suspects`: those of them of which an earlier run found something wrong.
    """

    plan: Plan
    request: Request
    evidence: Evidence = field(default_factory=Evidence)
    plan_after: Plan | CannotRun | None = None
    second_look: bool = False
    view_age_s: float = 0.0
    hanging: bool = False
    others: tuple[OtherBackend, ...] = ()
    suspects: tuple[OtherBackend, ...] = ()
    destination_churn: EndpointChurn | None = None
    dns_churn: EndpointChurn | None = None
    windows: Windows = DEFAULT
