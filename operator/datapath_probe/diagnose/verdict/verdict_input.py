"""The input of the rules, and the verdict that they return."""

from dataclasses import dataclass

from ...api.reasons import Reason
from ...api.vocabulary import HOP_ORDER, HopName, HopVerdict, ProbeVerdict
from ...evidence.reading import Unavailable
from ...plan.plan import Backend
from ..connection.outcome import Outcome
from ..connection.progress import Progress
from ..finding.finding import Divergence, Finding, Segment
from .loss_counters import WireLoss


@dataclass(frozen=True, slots=True)
class VerdictInput:
    """Everything about one run of one path that its verdict depends on. There is at least one finding.

    `change`: what Kubernetes or Cilium is changing on this path, as one sentence. `unsupported`: an unsupported setting
    or version on this path. `wire_loss`: packets that left one node's tunnel device and did not arrive at the other's.
    `hints`: more observations for users, if no hop is named. `last_planned_hop`: the last hop of the path, if the
    backend were known. `lost_events`: the numbers of events that nodes lost, as sentences. `doubts`: findings about
    backends that the request did not use, read only once. `candidates`: while the selected backend is not known, the
    backends that may have been selected, each with the findings on its path.
    """

    findings: tuple[Finding, ...]
    outcome: Outcome
    progress: Progress
    change: str | None = None
    unsupported: Unavailable | None = None
    wire_loss: WireLoss | None = None
    hints: tuple[str, ...] = ()
    last_planned_hop: HopName | None = None
    lost_events: tuple[str, ...] = ()
    doubts: tuple[Finding, ...] = ()
    candidates: tuple[tuple[Backend, tuple[Finding, ...]], ...] = ()

    @property
    def failed(self) -> bool:
        """The expectation was not met."""
        return self.outcome.met is False

    @property
    def not_followed(self) -> Finding | None:
        """The first hop beyond which no check follows the packets."""
        return next((finding for finding in self.findings if finding.unfollowed_beyond), None)

    @property
    def observed(self) -> Finding | None:
        """The first hop where this connection was observed to fail."""
        return self.first(HopVerdict.BROKEN)

    def first(self, verdict: HopVerdict) -> Finding | None:
        """The first finding with this verdict, in path order."""
        return next((finding for finding in self.findings if finding.verdict is verdict), None)

    def is_followed_to(self, hop: HopName) -> bool:
        """Whether checks follow the packets as far as this hop."""
        start = self.not_followed
        return start is None or HOP_ORDER[hop] < HOP_ORDER[start.hop]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict of a path, and the findings with the cause marked Broken. `rule`: the rule that decided."""

    verdict: ProbeVerdict
    reason: Reason
    message: str
    findings: tuple[Finding, ...]
    divergence: Divergence | None = None
    segment: Segment | None = None
    symptom: Divergence | None = None
    rule: str = ""


def divergence_of(finding: Finding) -> Divergence:
    """The finding as the hop to look at first."""
    return Divergence(finding.hop, finding.node, finding.reason, finding.message)
