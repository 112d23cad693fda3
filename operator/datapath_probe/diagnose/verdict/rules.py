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


def unsupported_configuration(given: VerdictInput) -> Verdict | None:
    """A setting or a version that no check knows: Unknown, with what became of the request.

    First, because no finding of such a path proves anything. A change explains a failure better, if there is one.
    """
    if given.unsupported is None or given.outcome.met is None or (given.failed and given.change):
        return None
    reason, why = Reason(given.unsupported.reason), given.unsupported.message
    if given.outcome.met:
        return unknown(given, reason, f"the request {became(given.outcome)}, but {why}")
    return unknown(given, reason, f"the request failed ({given.outcome.message}), and {why}")


def outcome_unknown(given: VerdictInput) -> Verdict | None:
    """curl's report does not say whether the expectation was met: Unknown.

    Before everything that depends on the outcome. A report that does not fit the pod is left to `change_in_progress`
    while something changes: the pod may have been re-created under its name.
    """
    outcome = given.outcome
    re_created = given.change and outcome.reason is Reason.IMPLAUSIBLE_CLIENT_REPORT
    if outcome.met is not None or re_created:
        return None
    hints = given.hints if outcome.reason is Reason.DENIAL_NOT_OBSERVED else ()
    return unknown(given, outcome.reason, "; ".join((outcome.message, *hints)))


def latent_fault(given: VerdictInput) -> Verdict | None:
    """The expectation was met, but a hop is Stale: Degraded, at the first such hop.

    Before any doubt about other hops: a contradiction that was seen twice is certain.
    """
    stale = given.first(HopVerdict.STALE)
    if not given.outcome.met or stale is None:
        return None
    return Verdict(ProbeVerdict.DEGRADED, stale.reason, stale.message, given.findings, divergence_of(stale))


def path_not_followed(given: VerdictInput) -> Verdict | None:
    """The expectation was met, but no check follows the packets from some hop on: Unknown.

    Before `expectation_missed`, since what was missed may be the work of the proxy.
    """
    start = given.not_followed
    if not given.outcome.met or start is None:
        return None
    return unknown(given, start.reason, f"the request {became(given.outcome)}, but {start.message}")


def expectation_missed(given: VerdictInput) -> Verdict | None:
    """The expected answer came, but late or by another path than expected: Degraded, without a hop.

    Before hops that can't be judged: this was measured.
    """
    if not given.outcome.met or given.outcome.shortfall is None:
        return None
    reason, message = given.outcome.shortfall
    return Verdict(ProbeVerdict.DEGRADED, reason, message, given.findings)


def hop_not_judged(given: VerdictInput) -> Verdict | None:
    """The expectation was met, but evidence of a hop is missing: Unknown. Healthy takes every hop to be Ok."""
    hop = given.first(HopVerdict.UNKNOWN)
    if not given.outcome.met or hop is None:
        return None
    place = f"{hop.hop} on {hop.node}"
    message = f"the request {became(given.outcome)}, but {place} can't be judged: {hop.message}"
    return unknown(given, hop.reason, message)


def denied_as_expected(given: VerdictInput) -> Verdict | None:
    """A denial was expected and a policy drop of this connection was seen: Healthy, up to the hop that denied."""
    outcome = given.outcome
    if not outcome.met or outcome.reason is not Reason.DENIED:
        return None
    last, message = given.findings[-1], outcome.message
    if last.hop is outcome.denied_at:
        message = f"{last.hop} on {last.node}: {last.message}"
    return Verdict(ProbeVerdict.HEALTHY, Reason.DENIED, message, given.findings)


def healthy(given: VerdictInput) -> Verdict | None:
    """The expectation was met and every hop is Ok: Healthy. The last rule for requests that met their expectation."""
    if not given.outcome.met:
        return None
    message = f"all {len(given.findings)} hops ok"
    return Verdict(ProbeVerdict.HEALTHY, Reason.ALL_HOPS_OK, message, given.findings)


def change_in_progress(given: VerdictInput) -> Verdict | None:
    """The request failed while something on its path changed: Unknown (`InTransition`).

    The first rule for failures: the request may have met the path as it was before.
    """
    return unknown(given, Reason.IN_TRANSITION, given.change) if given.change else None


def root_cause(given: VerdictInput) -> Verdict | None:
    """A Stale hop whose defect explains how far packets came: Broken at that hop. What was observed is its symptom.

    Before what was observed to fail: if policy drops packets for a wrong identity in the ipcache, the ipcache is the
    cause.
    """
    return broken_at(given, root_cause_of(given))


def shared_root_cause(given: VerdictInput) -> Verdict | None:
    """A name did not resolve, or no endpoint is Ready, because of a hop that this request depends on too: Broken at it.

    After `root_cause`, which explains this very request.
    """
    return broken_at(given, shared_cause_of(given))


def policy_bypassed(given: VerdictInput) -> Verdict | None:
    """A connection was established that policy denies, and a Stale hop kept its packets from that policy: Broken at it.

    A rule of its own, since packets that pass die nowhere, which is what `root_cause` goes by.
    """
    if given.outcome.reason is not Reason.POLICY_NOT_ENFORCED:
        return None
    return broken_at(given, bypass_of(given))


def masked_failure(given: VerdictInput) -> Verdict | None:
    """A hop was observed to fail, which may be the work of another one that can't be judged: Broken, as a segment.

    Before `observed_failure`: to name the wrong hop is worse than to name a segment.
    """
    observed = given.observed
    masking = may_mask(given, observed) if observed else None
    if observed is None or masking is None:
        return None
    message = (
        f"{observed.message}; the cause may be {masking.hop} on {masking.node}, which can't be judged: "
        f"{masking.message}"
    )
    symptom = replace(observed, verdict=HopVerdict.UNKNOWN, reason=masking.reason, message=message)
    findings = tuple(symptom if f is observed else f for f in given.findings)
    segment = segment_around(findings, (masking.hop, observed.hop))
    return with_lost_events(
        given,
        Verdict(
            ProbeVerdict.BROKEN,
            observed.reason,
            message,
            findings,
            segment=segment,
            symptom=divergence_of(observed),
        ),
    )


def answered_by_another(given: VerdictInput) -> Verdict | None:
    """The connection was refused, although no packet reached the destination: Broken, with a segment.

    After `root_cause`, which names a hop that hands packets to somebody else. Before `observed_failure`, which would
    blame the application.
    """
    observed, sent = given.observed, given.progress.answered_instead
    if observed is None or sent is None or observed.reason is not Reason.CONNECTION_REFUSED:
        return None
    segment = segment_between(given.findings, Progress(sent, sent))
    verdict = Verdict(
        ProbeVerdict.BROKEN,
        observed.reason,
        observed.message,
        given.findings,
        segment=segment,
        symptom=divergence_of(observed),
    )
    return with_lost_events(given, verdict)


def observed_failure(given: VerdictInput) -> Verdict | None:
    """A hop was observed to fail, and nothing else explains it: Broken at that hop."""
    observed = given.observed
    if observed is None:
        return None
    verdict = Verdict(
        ProbeVerdict.BROKEN, observed.reason, observed.message, given.findings, divergence_of(observed)
    )
    return with_lost_events(given, verdict)


def failure_not_followed(given: VerdictInput) -> Verdict | None:
    """The request failed, and no check follows the packets from some hop on: Unknown.

    After what names a hop before that one. A loss between the nodes before it is named by `lost_between_nodes`.
    """
    start, loss = given.not_followed, given.wire_loss
    if start is None or (loss and given.is_followed_to(loss.segment.before)):
        return None
    message = f"the request failed ({given.outcome.message}), and {start.message}"
    return with_lost_events(given, unknown(given, start.reason, message))


def policy_not_enforced(given: VerdictInput) -> Verdict | None:
    """A connection was established that should be denied, and no hop says why: Broken, without a hop.

    Before the segments: nothing was lost.
    """
    outcome = given.outcome
    if outcome.reason is not Reason.POLICY_NOT_ENFORCED:
        return None
    verdict = Verdict(ProbeVerdict.BROKEN, outcome.reason, outcome.message, given.findings)
    return with_lost_events(given, verdict)


def lost_between_nodes(given: VerdictInput) -> Verdict | None:
    """Packets left one node's tunnel device and none came out of the other's: Broken, between the two.

    Before `lost_in_transit`: counters of both devices narrow the segment further than conntrack entries can.
    """
    loss = given.wire_loss
    return lost_in(given, loss.segment, Reason.LOST_BETWEEN_NODES, loss.message) if loss else None


def lost_in_transit(given: VerdictInput) -> Verdict:
    """Packets were lost and no hop can be named: Broken, with the narrowest segment that holds the loss.

    Always answers, and so comes last.
    """
    segment = segment_between(given.findings, given.progress, given.last_planned_hop)
    return lost_in(given, segment, Reason.LOST_IN_TRANSIT)


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


def conclude(given: VerdictInput) -> Verdict:
    """The verdict of the first rule that answers, on adjusted findings."""
    for adjust in ADJUSTMENTS:
        given = replace(given, findings=adjust(given))
    answers = ((rule, rule(given)) for rule in RULES)
    return next(replace(verdict, rule=rule.__name__) for rule, verdict in answers if verdict)
