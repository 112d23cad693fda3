"""The result of diagnosis for a path: the verdict with the finding of every hop."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...api.reasons import Reason
from ...api.vocabulary import Encapsulation, Locality, ProbeVerdict
from ...evidence.fact import Fact
from ...plan.other_backends import Looks
from ...plan.plan import Backend, Plan
from ...sources.agent.map_pressure import CountedMap
from ...sources.client_report import ClientReport
from .finding import Divergence, Finding, Segment
from .path_profile import ObservedPathProfile


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result for one path. `reason`: `AllHopsOk` if Healthy, the reason of the divergence, or why the verdict is
    Unknown. `rule`: the name of the rule that decided.

    `needs_second_look`: a contradiction was read only once; read the facts of `confirm` again. `events_to_reread`:
    event facts that may show more a moment later. `unread`: (tool, reason) of each answer that could not be parsed.
    `looks`: what was found of the request's backend and of those looked at besides it. `map_pressure`: the share of
    used entries of the path's maps.
    """

    plan: Plan
    backend: Backend | None
    report: ClientReport | None
    local_port: int
    locality: Locality | None
    encapsulation: Encapsulation
    met: bool | None  # whether the expectation was met; None if unknown
    verdict: ProbeVerdict
    reason: Reason
    message: str
    divergence: Divergence | None
    segment: Segment | None
    symptom: Divergence | None
    findings: tuple[Finding, ...]
    profile: ObservedPathProfile | None  # None while something is in transition
    rule: str = ""
    confirm: frozenset[Fact] = frozenset()
    needs_second_look: bool = False
    events_to_reread: tuple[Fact, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()
    looks: Looks = field(default_factory=Looks)
    map_pressure: Mapping[CountedMap, float] = field(default_factory=dict)
