"""How far this run's packets got, and at which hops they may have been lost.

Programs create conntrack entries for packets that they process, so the last entry of this run bounds the segment. A
stage excludes only the objects that packets used before it: a wrong tunnel endpoint does not prevent the source's
entry. Source: Cilium 1.18 `bpf/lib/conntrack.h`, and the order of `bpf/bpf_lxc.c`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from ...api.vocabulary import HOP_ORDER, HopName, HopVerdict
from ..failure_model.model import HOPS_BY_STAGE
from ..failure_model.stage import Stage
from ..finding.finding import Finding, Segment

# These hops are compared with intent completely: if Ok, packets were not lost there.
_PURE_LOOKUPS = frozenset(
    {
        HopName.SERVICE_LOOKUP,
        HopName.IPCACHE_LOOKUP,
        HopName.EGRESS_POLICY,
        HopName.LOCALITY_LOOKUP,
        HopName.ENDPOINT_LOOKUP,
        HopName.DESTINATION_PROGRAM,
        HopName.INGRESS_POLICY,
        HopName.REPLY_IPCACHE,
        HopName.REPLY_DELIVERY,
        HopName.REPLY_TRANSLATION,
    }
)


@dataclass(frozen=True, slots=True)
class Progress:
    """`reached`: the last stage with a trace. `at_most`: the last stage that evidence does not exclude.

    `transfer`: the hops where data of an established connection may be lost. `translates`: the source's program selects
    a backend. `answered_instead`: the last stages that requests may have reached, if an answer arrived although none
    is known to have reached the destination's endpoint.
    """

    reached: Stage
    at_most: Stage
    transfer: frozenset[HopName] = HOPS_BY_STAGE[Stage.CONNECTED]
    translates: bool = True
    answered_instead: frozenset[Stage] = frozenset()

    def fits(self, predicted: frozenset[Stage]) -> bool:
        """Whether the evidence fits packets whose last trace is of one of these stages."""
        return any(self.reached <= self._stage(stage) <= self.at_most for stage in predicted)

    def fits_answer(self, predicted: frozenset[Stage]) -> bool:
        """Whether something other than the destination answered packets whose last trace is of one of these stages."""
        return any(self._stage(stage) in self.answered_instead for stage in predicted)

    def _stage(self, stage: Stage) -> Stage:
        """Without the selection of a backend there is no TRANSLATED stage, only NOTHING."""
        return Stage.NOTHING if stage is Stage.TRANSLATED and not self.translates else stage

    @property
    def arrived(self) -> bool:
        """Whether packets reached the destination's policy program, and so passed every hop before it."""
        return self.reached > Stage.SENT and not self.answered_instead

    @property
    def loss_hops(self) -> frozenset[HopName]:
        """Every hop where these packets may have been lost."""
        hops_by_stage = {**HOPS_BY_STAGE, Stage.CONNECTED: self.transfer}
        return frozenset(
            hop for stage in Stage if self.reached <= stage <= self.at_most for hop in hops_by_stage[stage]
        )


def segment_between(
    findings: Sequence[Finding], progress: Progress, open_end: HopName | None = None
) -> Segment:
    """The narrowest segment that contains the loss. There is at least one finding. `open_end`: the last hop of the
    planned path, if the actual path is not known that far.
    """
    on_path = {finding.hop: finding for finding in findings}
    candidates = (
        [hop for hop in progress.loss_hops if hop in on_path and not _is_exonerated(on_path[hop])]
        or [hop for hop in on_path if hop in progress.loss_hops]
        or list(on_path)
    )
    segment = segment_around(findings, candidates)
    last = HOP_ORDER[findings[-1].hop]
    if open_end and any(HOP_ORDER[hop] > last for hop in progress.loss_hops):
        return replace(segment, before=open_end)
    return segment


def segment_around(findings: Sequence[Finding], candidates: Collection[HopName]) -> Segment:
    """The segment from the hop before these to the hop after them."""
    orders = [HOP_ORDER[hop] for hop in candidates]
    before_loss = [finding for finding in findings if HOP_ORDER[finding.hop] < min(orders)]
    after_loss = [finding for finding in findings if HOP_ORDER[finding.hop] > max(orders)]
    after = before_loss[-1] if before_loss else findings[0]
    before = after_loss[0] if after_loss else findings[-1]
    return Segment(after.hop, before.hop, after.node)


def _is_exonerated(finding: Finding) -> bool:
    return finding.hop in _PURE_LOOKUPS and finding.verdict is HopVerdict.OK and not finding.inconclusive
