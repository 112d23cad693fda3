"""Findings → one verdict: an ordered chain of rules. The first rule that returns a verdict decides.

Causes come before symptoms, hops before segments; no rule guesses. Each rule is pure. Its docstring says what it
decides and the reason for its place in the order; docs/verdict.md is generated from them. Called once for each path,
after all checks.
"""

from collections.abc import Callable
from dataclasses import replace

from ...api.reasons import Reason
from ...api.vocabulary import HopName, HopVerdict, ProbeVerdict
from ..connection.progress import Progress, segment_around
from .adjustments import ADJUSTMENTS
from .answers import broken_at, lost_in, outcome_text, segment_of, unknown, with_lost_events
from .blame import bypass_of, may_mask, root_cause_of, shared_cause_of
from .verdict_input import Verdict, VerdictInput, divergence_of

Rule = Callable[[VerdictInput], Verdict | None]


def unsupported_configuration(given: VerdictInput) -> Verdict | None:
    """An unsupported setting or version: Unknown, with the outcome of the request.

    First, because findings prove nothing on such a path. If something is changing, that explains a failure better.
    """
    if given.unsupported is None or given.outcome.met is None or (given.failed and given.change):
        return None
    reason, why = Reason(given.unsupported.reason), given.unsupported.message
    if given.outcome.met:
        return unknown(given, reason, f"the request {outcome_text(given.outcome)}, but {why}")
    return unknown(given, reason, f"the request failed ({given.outcome.message}), and {why}")


def outcome_unknown(given: VerdictInput) -> Verdict | None:
    """curl's report does not show whether the expectation was met: Unknown.

    Before all rules that depend on the outcome. While something changes, `change_in_progress` handles a report that
    does not fit the pod: the pod may have been re-created with the same name.
    """
    outcome = given.outcome
    re_created = given.change and outcome.reason is Reason.IMPLAUSIBLE_CLIENT_REPORT
    if outcome.met is not None or re_created:
        return None
    hints = given.hints if outcome.reason is Reason.DENIAL_NOT_OBSERVED else ()
    return unknown(given, outcome.reason, "; ".join((outcome.message, *hints)))


def latent_fault(given: VerdictInput) -> Verdict | None:
    """The expectation was met, but a hop is Stale: Degraded, at the first such hop.

    Before rules about hops that can't be judged: a contradiction that was read twice is certain.
    """
    stale = given.first(HopVerdict.STALE)
    if not given.outcome.met or stale is None:
        return None
    return Verdict(ProbeVerdict.DEGRADED, stale.reason, stale.message, given.findings, divergence_of(stale))


def path_not_followed(given: VerdictInput) -> Verdict | None:
    """The expectation was met, but no check follows the packets beyond some hop: Unknown.

    Before `expectation_missed`, because the proxy may be the reason for what was missed.
    """
    start = given.not_followed
    if not given.outcome.met or start is None:
        return None
    return unknown(given, start.reason, f"the request {outcome_text(given.outcome)}, but {start.message}")


def expectation_missed(given: VerdictInput) -> Verdict | None:
    """The expected response arrived, but late or over an unexpected path: Degraded, without a hop.

    Before rules about hops that can't be judged, because this was measured.
    """
    if not given.outcome.met or given.outcome.shortfall is None:
        return None
    reason, message = given.outcome.shortfall
    return Verdict(ProbeVerdict.DEGRADED, reason, message, given.findings)


def hop_not_judged(given: VerdictInput) -> Verdict | None:
    """The expectation was met, but evidence of a hop is missing: Unknown. Healthy requires every hop to be Ok."""
    hop = given.first(HopVerdict.UNKNOWN)
    if not given.outcome.met or hop is None:
        return None
    place = f"{hop.hop} on {hop.node}"
    message = f"the request {outcome_text(given.outcome)}, but {place} can't be judged: {hop.message}"
    return unknown(given, hop.reason, message)


def denied_as_expected(given: VerdictInput) -> Verdict | None:
    """A denial was expected, and a policy drop of this connection was observed: Healthy, up to the hop of the drop."""
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
    """The request failed while something on its path was changing: Unknown (`InTransition`).

    The first rule for failures: the request may have met an earlier state of the path.
    """
    return unknown(given, Reason.IN_TRANSITION, given.change) if given.change else None


def root_cause(given: VerdictInput) -> Verdict | None:
    """A Stale hop has a defect that explains how far packets got: Broken at that hop; the observed hop is its symptom.

    Before rules about observed failures: if policy drops packets because of a wrong identity in the ipcache, the
    ipcache is the cause.
    """
    return broken_at(given, root_cause_of(given))


def shared_root_cause(given: VerdictInput) -> Verdict | None:
    """A subpath failed because of a hop that the request depends on too: Broken at that hop.

    A name did not resolve, or no endpoint is Ready. After `root_cause`, which explains the request itself.
    """
    return broken_at(given, shared_cause_of(given))


def policy_bypassed(given: VerdictInput) -> Verdict | None:
    """A connection that policy denies was established, because it bypassed that policy at a Stale hop: Broken there.

    A separate rule, because `root_cause` explains lost packets, and these packets were not lost.
    """
    if given.outcome.reason is not Reason.POLICY_NOT_ENFORCED:
        return None
    return broken_at(given, bypass_of(given))


def masked_failure(given: VerdictInput) -> Verdict | None:
    """A hop was observed to fail, but the cause may be another hop that can't be judged: Broken, with a segment.

    Before `observed_failure`: a segment is better than the wrong hop.
    """
    observed = given.observed
    hidden = may_mask(given, observed) if observed else ()
    if observed is None or not hidden:
        return None
    masking = hidden[0]
    message = (
        f"{observed.message}; the cause may be {masking.hop} on {masking.node}, which can't be judged: "
        f"{masking.message}"
    )
    symptom = replace(observed, verdict=HopVerdict.UNKNOWN, reason=masking.reason, message=message)
    findings = tuple(symptom if f is observed else f for f in given.findings)
    segment = segment_around(findings, (observed.hop, *(finding.hop for finding in hidden)))
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
    """An answer arrived, although no packet is known to have reached the destination: Broken, with a segment.

    After `root_cause`, which names a hop that diverts packets. Before `observed_failure`, which would name the
    application.
    """
    observed, reached = given.observed, given.progress.answered_instead
    if observed is None or not reached or observed.hop is not HopName.DESTINATION_RESPONSE:
        return None
    segment = segment_of(given, Progress(min(reached), max(reached)))
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
    """The request failed, and no check follows the packets beyond some hop: Unknown.

    After the rules that name an earlier hop. `lost_on_the_wire` reports a loss between the nodes before that hop.
    """
    start, loss = given.not_followed, given.wire_loss
    if start is None or (loss and given.is_followed_to(loss.segment.before)):
        return None
    message = f"the request failed ({given.outcome.message}), and {start.message}"
    return with_lost_events(given, unknown(given, start.reason, message))


def policy_not_enforced(given: VerdictInput) -> Verdict | None:
    """A connection was established that should be denied, and no hop explains it: Broken, without a hop.

    Before rules that name a segment, because no packet was lost.
    """
    outcome = given.outcome
    if outcome.reason is not Reason.POLICY_NOT_ENFORCED:
        return None
    verdict = Verdict(ProbeVerdict.BROKEN, outcome.reason, outcome.message, given.findings)
    return with_lost_events(given, verdict)


def lost_on_the_wire(given: VerdictInput) -> Verdict | None:
    """Packets left a node, and none arrived at the other one, or none came back from outside: Broken, between the two.

    Before `lost_in_transit`, because device counters and the kernel's conntrack narrow the segment further than
    Cilium's conntrack entries.
    """
    loss = given.wire_loss
    return lost_in(given, loss.segment, loss.reason, loss.message) if loss else None


def lost_in_transit(given: VerdictInput) -> Verdict:
    """Packets were lost, and no hop can be named: Broken, with the narrowest segment that contains the loss.

    Last, because it always returns a verdict.
    """
    segment = segment_of(given, given.progress)
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
    lost_on_the_wire,
    lost_in_transit,
)


def conclude(given: VerdictInput) -> Verdict:
    """The verdict of the first rule that returns one, on adjusted findings."""
    for adjust in ADJUSTMENTS:
        given = replace(given, findings=adjust(given))
    verdicts = ((rule, rule(given)) for rule in RULES)
    return next(replace(verdict, rule=rule.__name__) for rule, verdict in verdicts if verdict)
