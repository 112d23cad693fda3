"""Everything known of the run of one path: what diagnosis works on, now or from a saved bundle years later."""

from dataclasses import dataclass, field

from ...evidence.reading import Reading
from ...evidence.store import Evidence
from ...plan.endpoint_churn import EndpointChurn
from ...plan.plan import CannotRun, Plan
from .windows import DEFAULT, Windows


@dataclass(frozen=True, slots=True)
class Request:
    """The request as it was sent. `started`: seconds since the epoch; `reading`: what curl printed, None while it
    is still under way.
    """

    started: float
    local_port: int
    reading: Reading | None


@dataclass(frozen=True, slots=True)
class PathRun:
    """`plan_after` is the plan resolved again after the run: where it differs, the cluster is in transition.

    `second_look`: the answers in doubt have been asked for twice. `view_age_s`: for how long objects may have changed
    unseen, because the API server was not reached. `hanging`: the request is under way for longer than good ones take.
    `destination_churn`, `dns_churn`: what changed behind the destination's Service, and behind the cluster's DNS,
    at the second look. `windows`: for how long a change counts as being in transition.
    """

    plan: Plan
    request: Request
    evidence: Evidence = field(default_factory=Evidence)
    plan_after: Plan | CannotRun | None = None
    second_look: bool = False
    view_age_s: float = 0.0
    hanging: bool = False
    destination_churn: EndpointChurn | None = None
    dns_churn: EndpointChurn | None = None
    windows: Windows = DEFAULT
