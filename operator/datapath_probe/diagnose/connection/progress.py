"""How far this run's packets came, and so where they can have died.

Conntrack entries are written where packets pass, so the last fresh one bounds the segment. A stage clears only what the
packet has used so far: a wrong tunnel endpoint leaves the source's entry intact.
Source: Cilium 1.18 `bpf/lib/conntrack.h`, and the order of `bpf/bpf_lxc.c`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from ...api.vocabulary import HOP_ORDER, HopName, HopVerdict
from ..failure_model.model import HOPS_BY_STAGE
from ..failure_model.stage import Stage
from ..finding.finding import Finding, Segment

# Judged by a complete comparison with intent: if Ok, they are not where packets were lost.
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
    """`reached`: the last stage with evidence; `at_most`: the last one that evidence does not exclude.

    `transfer`: where data can have died of a connection that was established. `translates`: the source's program
    chooses a backend. `answered_instead`: the last stage of requests, if a RST came although no request reached the
    destination's endpoint.
    """

    reached: Stage
    at_most: Stage
    transfer: frozenset[HopName] = HOPS_BY_STAGE[Stage.CONNECTED]
    translates: bool = True
    answered_instead: Stage | None = None

    def fits(self, predicted: frozenset[Stage]) -> bool:
        """Whether packets whose last trace is of one of these stages would have left this evidence."""
        return any(self.reached <= self._stage(stage) <= self.at_most for stage in predicted)

    def fits_answer(self, predicted: frozenset[Stage]) -> bool:
        """Whether something else than the destination answered packets whose last trace is of one of these stages."""
        return any(self._stage(stage) is self.answered_instead for stage in predicted)

    def _stage(self, stage: Stage) -> Stage:
        """Where no backend is chosen, packets that do not leave stop at nothing."""
        return Stage.NOTHING if stage is Stage.TRANSLATED and not self.translates else stage

    @property
    def arrived(self) -> bool:
        """Whether packets came to the destination's policy program, and so past every hop before it."""
        return self.reached > Stage.SENT

    @property
    def zone(self) -> frozenset[HopName]:
        """Every hop where these packets can have died."""
        zones = {**HOPS_BY_STAGE, Stage.CONNECTED: self.transfer}
        return frozenset(
            hop for stage in Stage if self.reached <= stage <= self.at_most for hop in zones[stage]
        )


def segment_between(
    findings: Sequence[Finding], progress: Progress, open_end: HopName | None = None
) -> Segment:
    """The narrowest stretch of the path that holds the loss. There is at least one finding. `open_end`: where the path
    would end, if it is not known as far as that.
    """
    on_path = {finding.hop: finding for finding in findings}
    suspects = (
        [hop for hop in progress.zone if hop in on_path and not _is_exonerated(on_path[hop])]
        or [hop for hop in on_path if hop in progress.zone]
        or list(on_path)
    )
    segment = segment_around(findings, suspects)
    last = HOP_ORDER[findings[-1].hop]
    if open_end and any(HOP_ORDER[hop] > last for hop in progress.zone):
        return replace(segment, before=open_end)
    return segment


def segment_around(findings: Sequence[Finding], suspects: Collection[HopName]) -> Segment:
    """From the hop before these to the one after them."""
    orders = [HOP_ORDER[hop] for hop in suspects]
    before_loss = [finding for finding in findings if HOP_ORDER[finding.hop] < min(orders)]
    after_loss = [finding for finding in findings if HOP_ORDER[finding.hop] > max(orders)]
    after = before_loss[-1] if before_loss else findings[0]
    before = after_loss[0] if after_loss else findings[-1]
    return Segment(after.hop, before.hop, after.node)


def _is_exonerated(finding: Finding) -> bool:
    return finding.hop in _PURE_LOOKUPS and finding.verdict is HopVerdict.OK and not finding.inconclusive
