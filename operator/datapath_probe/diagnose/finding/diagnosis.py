"""What diagnosis produces for a path: the verdict with every hop's finding."""

from dataclasses import dataclass

from ...api.reasons import Reason
from ...api.vocabulary import Encapsulation, Locality, ProbeVerdict
from ...evidence.fact import Fact
from ...plan.plan import Backend, Plan
from ...sources.client_report import ClientReport
from .finding import Divergence, Finding, Segment
from .path_profile import ObservedPathProfile


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of one path. `reason` is Healthy's `AllHopsOk`, the divergence's, or why it is Unknown; `rule` is the
    name of the rule that decided.

    `needs_second_look`: some contradiction has been seen only once; ask the facts of `confirm` again.
    `events_to_reread`: what may show more in a moment, if it matters. `unread`: the programs whose answers
    could not be used, one entry a fact, each with the reason.
    """

    plan: Plan
    backend: Backend | None
    report: ClientReport | None
    local_port: int
    locality: Locality | None
    encapsulation: Encapsulation
    met: bool | None  # the expectation on the outcome; None: can't be said
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
