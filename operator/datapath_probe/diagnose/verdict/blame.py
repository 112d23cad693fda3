"""Finds the finding that explains a failure: compares its effects with how far packets got and where they were observed
to fail. Called by the rules.
"""

from collections.abc import Iterator

from ...api.reasons import Reason
from ...api.vocabulary import HOP_ORDER, HopName, HopVerdict
from ..connection.progress import Progress
from ..failure_model.effect import Effect
from ..failure_model.model import is_met_before, possible_causes_of
from ..failure_model.table import MODEL
from ..finding.finding import Finding
from .verdict_input import VerdictInput

_POLICIES = (HopName.EGRESS_POLICY, HopName.INGRESS_POLICY)


def root_cause_of(given: VerdictInput) -> Finding | None:
    """The first Stale hop whose defects explain how far packets got and what was observed."""
    return next(
        (
            finding
            for finding in _before_wire_loss(given)
            if finding.verdict is HopVerdict.STALE
            and any(_explains(given, finding, effect) for effect in finding.effects)
        ),
        None,
    )


def shared_cause_of(given: VerdictInput) -> Finding | None:
    """The hop of this path that caused the observed failure of a subpath: a name did not resolve, or endpoints are not
    Ready.
    """
    cause = given.observed.cause if given.observed else None
    if cause is None or not given.is_followed_to(cause.hop):
        return None
    return next((finding for finding in given.findings if finding.hop is cause.hop), None)


def bypass_of(given: VerdictInput) -> Finding | None:
    """The hop that explains why denied packets passed: another policy applied to them, or none."""
    observed = given.observed
    if observed is None:  # a fault of the policy's own map is more specific than "not enforced"
        own = (f for f in _before_wire_loss(given) if f.hop in _POLICIES)
        return next((f for f in own if f.reason is Reason.STALE_MAP_IN_USE), None)
    if observed.reason is Reason.POLICY_NOT_ENFORCED and not observed.certain:
        return None  # no policy denies it
    return next((f for f in _before_wire_loss(given) if _diverts(f, observed.hop)), None)


def may_mask(given: VerdictInput, observed: Finding) -> tuple[Finding, ...]:
    """The hops that may be the real cause of the failure observed at another hop, but are not proven: they are Unknown,
    or their defects do not explain how far packets got.
    """
    if observed.certain:
        return ()
    causes = possible_causes_of(observed.reason)
    return tuple(
        finding
        for finding in given.findings
        if finding.hop in causes
        and _may_come_before(finding, observed)
        and (finding.verdict is HopVerdict.UNKNOWN or _diverts(finding, observed.hop))
        and not _was_passed(given.progress, finding.hop)
    )


def _may_come_before(finding: Finding, observed: Finding) -> bool:
    """Whether packets reach the hop before the observed one, or meet its defects there. Of the latter, one that is not
    used after the observed failure is Unknown for that reason.
    """
    if HOP_ORDER[finding.hop] < HOP_ORDER[observed.hop]:
        return True
    met_there = any(
        effect.met_at
        and observed.reason in effect.symptoms
        and is_met_before(finding.hop, effect, observed.hop)
        for effect in MODEL[finding.hop].values()
    )
    return met_there and finding.reason is not Reason.NOT_OBSERVED


def _before_wire_loss(given: VerdictInput) -> Iterator[Finding]:
    """The findings of hops that packets may have reached: none beyond a loss between the nodes."""
    last = given.wire_loss.segment.before if given.wire_loss else HopName.REPLY_TRANSLATION
    return (finding for finding in given.findings if HOP_ORDER[finding.hop] <= HOP_ORDER[last])


def _explains(given: VerdictInput, finding: Finding, effect: Effect) -> bool:
    """Whether this effect leaves the traces that were found, and packets meet it before the hop where the connection
    was observed to fail, or the observed reason is a symptom of it.
    """
    observed = given.observed
    if observed and not (
        is_met_before(finding.hop, effect, observed.hop)
        or observed.reason in effect.symptoms
        or (observed.of_sender and finding is not observed)
    ):
        return False
    progress, predicts = given.progress, effect.predicts
    return progress.fits(predicts) or (bool(effect.answers) and progress.fits_answer(predicts))


def _diverts(finding: Finding, policy_hop: HopName) -> bool:
    """Whether a defect here makes packets bypass the policy of the other hop, or match it with a wrong identity."""
    return finding.verdict is HopVerdict.STALE and any(
        policy_hop in effect.judged_elsewhere for effect in finding.effects
    )


def _was_passed(progress: Progress, hop: HopName) -> bool:
    """Whether requests are known to have passed the hop."""
    return progress.arrived and HOP_ORDER[hop] < HOP_ORDER[HopName.INGRESS_POLICY]
