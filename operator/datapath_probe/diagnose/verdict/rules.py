"""Findings → one verdict: an ordered chain of rules, of which the first that answers decides.

Cause before symptom, a hop before a segment, never a guess. Each rule is pure and says in its docstring what it decides
and why it stands where it stands; docs/verdict.md is made of them. Called once per path, after all checks have run.
"""

from collections.abc import Callable
from dataclasses import replace

from ...api.reasons import Reason
from ...api.vocabulary import HopVerdict, ProbeVerdict
from ..connection.progress import Progress, segment_around, segment_between
from .adjustments import ADJUSTMENTS
from .answers import became, broken_at, lost_in, unknown, with_lost_events
from .blame import bypass_of, may_mask, root_cause_of, shared_cause_of
from .verdict_input import Verdict, VerdictInput, divergence_of

Rule = Callable[[VerdictInput], Verdict | None]


def unsupported_configuration(facts: VerdictInput) -> Verdict | None:
    """A setting or a version that no check knows: Unknown, with what became of the request.

    First, because no finding of such a path proves anything. A change explains a failure better, if there is one.
    """
    if facts.unsupported is None or facts.outcome.met is None or (facts.failed and facts.change):
        return None
    reason, why = Reason(facts.unsupported.reason), facts.unsupported.message
    if facts.outcome.met:
        return unknown(facts, reason, f"the request {became(facts.outcome)}, but {why}")
    return unknown(facts, reason, f"the request failed ({facts.outcome.message}), and {why}")


def outcome_unknown(facts: VerdictInput) -> Verdict | None:
    """curl's report does not say whether the expectation was met: Unknown.

    Before everything that depends on the outcome. A report that does not fit the pod is left to `change_in_progress`
    while something changes: the pod may have been re-created under its name.
    """
    outcome = facts.outcome
    re_created = facts.change and outcome.reason is Reason.IMPLAUSIBLE_CLIENT_REPORT
    if outcome.met is not None or re_created:
        return None
    hints = facts.hints if outcome.reason is Reason.DENIAL_NOT_OBSERVED else ()
    return unknown(facts, outcome.reason, "; ".join((outcome.message, *hints)))


def latent_fault(facts: VerdictInput) -> Verdict | None:
    """The expectation was met, but a hop is Stale: Degraded, at the first such hop.

    Before any doubt about other hops: a contradiction that was seen twice is certain.
    """
    stale = facts.first(HopVerdict.STALE)
    if not facts.outcome.met or stale is None:
        return None
    return Verdict(ProbeVerdict.DEGRADED, stale.reason, stale.message, facts.findings, divergence_of(stale))


def path_not_followed(facts: VerdictInput) -> Verdict | None:
    """The expectation was met, but no check follows the packets from some hop on: Unknown.

    Before `expectation_missed`, since what was missed may be the work of the proxy.
    """
    start = facts.not_followed
    if not facts.outcome.met or start is None:
        return None
    return unknown(facts, start.reason, f"the request {became(facts.outcome)}, but {start.message}")


def expectation_missed(facts: VerdictInput) -> Verdict | None:
    """The expected answer came, but late or by another path than expected: Degraded, without a hop.

    Before hops that can't be judged: this was measured.
    """
    if not facts.outcome.met or facts.outcome.shortfall is None:
        return None
    reason, message = facts.outcome.shortfall
    return Verdict(ProbeVerdict.DEGRADED, reason, message, facts.findings)


def hop_not_judged(facts: VerdictInput) -> Verdict | None:
    """The expectation was met, but evidence of a hop is missing: Unknown. Healthy takes every hop to be Ok."""
    hop = facts.first(HopVerdict.UNKNOWN)
    if not facts.outcome.met or hop is None:
        return None
    place = f"{hop.hop} on {hop.node}"
    message = f"the request {became(facts.outcome)}, but {place} can't be judged: {hop.message}"
    return unknown(facts, hop.reason, message)


def denied_as_expected(facts: VerdictInput) -> Verdict | None:
    """A denial was expected and a policy drop of this connection was seen: Healthy, up to the hop that denied."""
    outcome = facts.outcome
    if not outcome.met or outcome.reason is not Reason.DENIED:
        return None
    last, message = facts.findings[-1], outcome.message
    if last.hop is outcome.denied_at:
        message = f"{last.hop} on {last.node}: {last.message}"
    return Verdict(ProbeVerdict.HEALTHY, Reason.DENIED, message, facts.findings)


def healthy(facts: VerdictInput) -> Verdict | None:
    """The expectation was met and every hop is Ok: Healthy. The last rule for requests that met their expectation."""
    if not facts.outcome.met:
        return None
    message = f"all {len(facts.findings)} hops ok"
    return Verdict(ProbeVerdict.HEALTHY, Reason.ALL_HOPS_OK, message, facts.findings)


def change_in_progress(facts: VerdictInput) -> Verdict | None:
    """The request failed while something on its path changed: Unknown (`InTransition`).

    The first rule for failures: the request may have met the path as it was before.
    """
    return unknown(facts, Reason.IN_TRANSITION, facts.change) if facts.change else None


def root_cause(facts: VerdictInput) -> Verdict | None:
    """A Stale hop whose defect explains how far packets came: Broken at that hop. What was observed is its symptom.

    Before what was observed to fail: if policy drops packets for a wrong identity in the ipcache, the ipcache is the
    cause.
    """
    return broken_at(facts, root_cause_of(facts))


def shared_root_cause(facts: VerdictInput) -> Verdict | None:
    """A name did not resolve, or no endpoint is Ready, because of a hop that this request depends on too: Broken at it.

    After `root_cause`, which explains this very request.
    """
    return broken_at(facts, shared_cause_of(facts))


def policy_bypassed(facts: VerdictInput) -> Verdict | None:
    """A connection was established that policy denies, and a Stale hop kept its packets from that policy: Broken at it.

    A rule of its own, since packets that pass die nowhere, which is what `root_cause` goes by.
    """
    if facts.outcome.reason is not Reason.POLICY_NOT_ENFORCED:
        return None
    return broken_at(facts, bypass_of(facts))


def masked_failure(facts: VerdictInput) -> Verdict | None:
    """A hop was observed to fail, which may be the work of another one that can't be judged: Broken, as a segment.

    Before `observed_failure`: to name the wrong hop is worse than to name a segment.
    """
    observed = facts.observed
    masking = may_mask(facts, observed) if observed else None
    if observed is None or masking is None:
        return None
    message = (
        f"{observed.message}; the cause may be {masking.hop} on {masking.node}, which can't be judged: "
        f"{masking.message}"
    )
    symptom = replace(observed, verdict=HopVerdict.UNKNOWN, reason=masking.reason, message=message)
    findings = tuple(symptom if f is observed else f for f in facts.findings)
    segment = segment_around(findings, (masking.hop, observed.hop))
    return with_lost_events(
        facts,
        Verdict(
            ProbeVerdict.BROKEN,
            observed.reason,
            message,
            findings,
            segment=segment,
            symptom=divergence_of(observed),
        ),
    )


def answered_by_another(facts: VerdictInput) -> Verdict | None:
    """The connection was refused, although no packet reached the destination: Broken, with a segment.

    After `root_cause`, which names a hop that hands packets to somebody else. Before `observed_failure`, which would
    blame the application.
    """
    observed, sent = facts.observed, facts.progress.answered_instead
    if observed is None or sent is None or observed.reason is not Reason.CONNECTION_REFUSED:
        return None
    segment = segment_between(facts.findings, Progress(sent, sent))
    verdict = Verdict(
        ProbeVerdict.BROKEN,
        observed.reason,
        observed.message,
        facts.findings,
        segment=segment,
        symptom=divergence_of(observed),
    )
    return with_lost_events(facts, verdict)


def observed_failure(facts: VerdictInput) -> Verdict | None:
    """A hop was observed to fail, and nothing else explains it: Broken at that hop."""
    observed = facts.observed
    if observed is None:
        return None
    verdict = Verdict(
        ProbeVerdict.BROKEN, observed.reason, observed.message, facts.findings, divergence_of(observed)
    )
    return with_lost_events(facts, verdict)


def failure_not_followed(facts: VerdictInput) -> Verdict | None:
    """The request failed, and no check follows the packets from some hop on: Unknown.

    After what names a hop before that one. A loss between the nodes before it is named by `lost_between_nodes`.
    """
    start, loss = facts.not_followed, facts.wire_loss
    if start is None or (loss and facts.is_followed_to(loss.segment.before)):
        return None
    message = f"the request failed ({facts.outcome.message}), and {start.message}"
    return with_lost_events(facts, unknown(facts, start.reason, message))


def policy_not_enforced(facts: VerdictInput) -> Verdict | None:
    """A connection was established that should be denied, and no hop says why: Broken, without a hop.

    Before the segments: nothing was lost.
    """
    outcome = facts.outcome
    if outcome.reason is not Reason.POLICY_NOT_ENFORCED:
        return None
    verdict = Verdict(ProbeVerdict.BROKEN, outcome.reason, outcome.message, facts.findings)
    return with_lost_events(facts, verdict)


def lost_between_nodes(facts: VerdictInput) -> Verdict | None:
    """Packets left one node's tunnel device and none came out of the other's: Broken, between the two.

    Before `lost_in_transit`: counters of both devices narrow the segment further than conntrack entries can.
    """
    loss = facts.wire_loss
    return lost_in(facts, loss.segment, Reason.LOST_BETWEEN_NODES, loss.message) if loss else None


def lost_in_transit(facts: VerdictInput) -> Verdict:
    """Packets were lost and no hop can be named: Broken, with the narrowest segment that holds the loss.

    Always answers, and so comes last.
    """
    segment = segment_between(facts.findings, facts.progress, facts.last_planned_hop)
    return lost_in(facts, segment, Reason.LOST_IN_TRANSIT)


RULES: tuple[Rule, ...] = (
    unsupported_configuration,
    outcome_unknown,
    latent_fault,
    path_not_followed,
    expectation_missed,
    hop_not_judged,
    denied_as_expected,
    healthy,
    change_in_progress,
    root_cause,
    shared_root_cause,
    policy_bypassed,
    masked_failure,
    answered_by_another,
    observed_failure,
    failure_not_followed,
    policy_not_enforced,
    lost_between_nodes,
    lost_in_transit,
)


def conclude(facts: VerdictInput) -> Verdict:
    """The verdict of the first rule that answers, on adjusted findings."""
    for adjust in ADJUSTMENTS:
        facts = replace(facts, findings=adjust(facts))
    answers = ((rule, rule(facts)) for rule in RULES)
    return next(replace(verdict, rule=rule.__name__) for rule, verdict in answers if verdict)
