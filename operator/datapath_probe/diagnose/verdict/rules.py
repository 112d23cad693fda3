"""Findings → one verdict. The rules of the design: cause before symptom, a hop before a segment, never a guess.

Called once per path, after all checks have run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...api.reasons import Reason
from ...api.vocabulary import HOP_ORDER, HopName, HopVerdict, ProbeVerdict, Witness
from ...evidence.reading import Unavailable
from ..connection.outcome import Outcome
from ..connection.progress import HOPS_BY_STAGE, Progress, segment_around, segment_between
from ..finding.finding import Divergence, Finding, Segment
from .loss_counters import WireLoss
from .withheld import as_far_as_followed, is_beyond, unfollowed, withheld

# What is seen at one hop and may be the work of another: a filter refuses in the name of the application, or leads to
# another one, a wrong identity has policies deny, and who can't get out of the pod gets no answer from the name server.
_FEIGNED_BY: dict[Reason, frozenset[HopName]] = {
    **dict.fromkeys(
        (Reason.CONNECTION_REFUSED, Reason.CONNECTION_RESET, Reason.NO_RESPONSE),
        # the second: the filters of a host that is asked by its own pod
        frozenset({HopName.NODE_ROUTING, HopName.ENDPOINT_LOOKUP, HopName.DESTINATION_INTERFACE}),
    ),
    **dict.fromkeys(
        (Reason.UNEXPECTED_STATUS, Reason.UNEXPECTED_BODY),
        frozenset({HopName.SOURCE_INTERFACE, HopName.SOURCE_PROGRAM}),
    ),
    **dict.fromkeys(
        (Reason.DNS_LOOKUP_FAILED, Reason.DNS_TIMEOUT),
        frozenset({HopName.SOURCE_INTERFACE, HopName.SOURCE_PROGRAM, HopName.SERVICE_TRANSLATION}),
    ),
    Reason.NOT_TRANSLATED: frozenset({HopName.SERVICE_LOOKUP}),
    Reason.POLICY_DENIED: frozenset(
        {HopName.IPCACHE_LOOKUP, HopName.SOURCE_IDENTITY, HopName.ENDPOINT_LOOKUP}
    ),
}

# Programs are attached to a device: another one in its place, under its name, lacks them too.
_DEVICE_OF: dict[HopName, HopName] = {
    HopName.SOURCE_PROGRAM: HopName.SOURCE_INTERFACE,
    HopName.DESTINATION_PROGRAM: HopName.DESTINATION_INTERFACE,
    HopName.REPLY_PROGRAM: HopName.DESTINATION_INTERFACE,
    HopName.REPLY_DELIVERY: HopName.SOURCE_INTERFACE,
}

# What has packets judged by another policy than theirs, or by none, by the hop where that shows; and how.
_MISTAKEN = frozenset({Reason.WRONG_IDENTITY, Reason.IPCACHE_ENTRY_MISSING, Reason.STALE_MAP_IN_USE})
_BYPASSED = frozenset({Reason.PROGRAM_MISSING, Reason.FOREIGN_PROGRAM})
_MISLED = frozenset({Reason.ENDPOINT_ENTRY_MISSING, Reason.ENDPOINT_ENTRY_MISMATCH, Reason.STALE_MAP_IN_USE})
_JUDGED_ELSEWHERE: dict[HopName, dict[HopName, frozenset[Reason]]] = {
    HopName.EGRESS_POLICY: {HopName.SOURCE_PROGRAM: _BYPASSED, HopName.IPCACHE_LOOKUP: _MISTAKEN},
    HopName.SOURCE_IDENTITY: {HopName.SOURCE_PROGRAM: _BYPASSED},
    HopName.INGRESS_POLICY: {
        HopName.SOURCE_IDENTITY: _MISTAKEN,
        HopName.ENDPOINT_LOOKUP: _MISLED,
        HopName.DESTINATION_PROGRAM: _BYPASSED,
    },
}


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The verdict of a path, and the findings with the cause marked Broken."""

    verdict: ProbeVerdict
    reason: Reason
    message: str
    findings: tuple[Finding, ...]
    divergence: Divergence | None = None
    segment: Segment | None = None
    symptom: Divergence | None = None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a verdict depends on beside the findings.

    `transition`: what Kubernetes or Cilium is in the middle of changing on this path, if anything; `unjudgeable`: what
    on this path no check knows; `wire`: packets that were lost between the nodes; `hints`: what else was seen, for
    people, where no hop is named; `open_end`: where the path would end, if it is not known so far; `lost_events`: what
    witnesses know that they missed.
    """

    transition: str | None = None
    unjudgeable: Unavailable | None = None
    wire: WireLoss | None = None
    hints: tuple[str, ...] = ()
    open_end: HopName | None = None
    lost_events: tuple[str, ...] = ()


def conclude(
    findings: Sequence[Finding], outcome: Outcome, progress: Progress, circumstances: Circumstances
) -> Conclusion:
    """One verdict."""
    transition, unjudgeable = circumstances.transition, circumstances.unjudgeable
    findings = as_far_as_followed(tuple(_known_to_miss(finding, findings) for finding in findings))
    if unjudgeable:
        reason, why = Reason(unjudgeable.reason), unjudgeable.message
        findings = tuple(withheld(finding, why, reason) for finding in findings)
        if outcome.met:
            return Conclusion(
                ProbeVerdict.UNKNOWN, reason, f"the request {_became(outcome)}, but {why}", findings
            )
        if outcome.met is False and not transition:
            message = f"the request failed ({outcome.message}), and {why}"
            return Conclusion(ProbeVerdict.UNKNOWN, reason, message, findings)
    if transition:
        findings = tuple(withheld(finding, transition) for finding in findings)
    if outcome.met is None and not (transition and outcome.reason is Reason.IMPLAUSIBLE_CLIENT_REPORT):
        hints = circumstances.hints if outcome.reason is Reason.DENIAL_NOT_OBSERVED else ()
        message = "; ".join((outcome.message, *hints))
        return Conclusion(ProbeVerdict.UNKNOWN, outcome.reason, message, findings)
    if outcome.met:
        return _succeeded(findings, outcome)
    if transition:  # also why a report may not fit: the pod was re-created under its name
        return Conclusion(ProbeVerdict.UNKNOWN, Reason.IN_TRANSITION, transition, findings)
    return _telling(_failed(findings, outcome, progress, circumstances), circumstances.lost_events)


def _telling(conclusion: Conclusion, lost_events: Sequence[str]) -> Conclusion:
    """With what may have escaped the witnesses, beside whatever is blamed."""
    untold = [lost for lost in lost_events if lost not in conclusion.message]
    message = "; ".join((conclusion.message, *untold))
    blamed = conclusion.divergence
    divergence = replace(blamed, message="; ".join((blamed.message, *untold))) if blamed else None
    return replace(conclusion, message=message, divergence=divergence)


def _known_to_miss(finding: Finding, findings: Sequence[Finding]) -> Finding:
    """The finding, unless a program is missing at a device of which nobody knows whether it is the pod's own."""
    if finding.reason is not Reason.PROGRAM_MISSING:
        return finding
    device = next((f for f in findings if f.hop is _DEVICE_OF.get(finding.hop)), None)
    if device is None or device.verdict is not HopVerdict.UNKNOWN or Witness.PROGRAMMED in device.evidence:
        return finding
    return withheld(finding, f"{device.hop} can't be judged ({device.message})", device.reason)


def _succeeded(findings: tuple[Finding, ...], outcome: Outcome) -> Conclusion:
    """The request was answered as expected: a Stale hop is a latent fault, and a drop that was seen is none."""
    findings = tuple(
        replace(f, verdict=HopVerdict.STALE) if f.verdict is HopVerdict.BROKEN else f for f in findings
    )
    stale = _first(findings, HopVerdict.STALE)
    if stale:
        return Conclusion(ProbeVerdict.DEGRADED, stale.reason, stale.message, findings, _divergence(stale))
    start = unfollowed(findings)
    if start:
        message = f"the request {_became(outcome)}, but {start.message}"
        return Conclusion(ProbeVerdict.UNKNOWN, start.reason, message, findings)
    if outcome.shortfall:
        reason, message = outcome.shortfall
        return Conclusion(ProbeVerdict.DEGRADED, reason, message, findings)
    unknown = _first(findings, HopVerdict.UNKNOWN)
    if unknown:
        place = f"{unknown.hop} on {unknown.node}"
        message = f"the request {_became(outcome)}, but {place} can't be judged: {unknown.message}"
        return Conclusion(ProbeVerdict.UNKNOWN, unknown.reason, message, findings)
    if outcome.reason is Reason.DENIED:
        last = findings[-1]
        message = (
            f"{last.hop} on {last.node}: {last.message}" if last.hop is outcome.denied_at else outcome.message
        )
        return Conclusion(ProbeVerdict.HEALTHY, Reason.DENIED, message, findings)
    return Conclusion(ProbeVerdict.HEALTHY, Reason.ALL_HOPS_OK, f"all {len(findings)} hops ok", findings)


def _became(outcome: Outcome) -> str:
    """What a request that met the expectation did."""
    return "was denied" if outcome.reason is Reason.DENIED else "succeeded"


def _failed(
    findings: tuple[Finding, ...], outcome: Outcome, progress: Progress, circumstances: Circumstances
) -> Conclusion:
    """The request failed: the Stale hop that predicts where it died, else the hop seen to drop, else a segment."""
    observed, wire = _first(findings, HopVerdict.BROKEN), circumstances.wire
    start = unfollowed(findings)
    # what comes after has not seen a packet
    last = wire.segment.before if wire else HopName.REPLY_TRANSLATION
    upstream = [f for f in findings if _acts_before(f, observed) and HOP_ORDER[f.hop] <= HOP_ORDER[last]]
    cause = next((f for f in upstream if f.verdict is HopVerdict.STALE and progress.fits(f.predicts)), None)
    if observed and observed.cause and not is_beyond(start, observed.cause.hop):
        cause = cause or next(f for f in findings if f.hop is observed.cause.hop)
    if outcome.reason is Reason.POLICY_NOT_ENFORCED:
        cause = cause or _bypassing(upstream, observed)
    if cause:
        broken = replace(cause, verdict=HopVerdict.BROKEN)
        findings = tuple(broken if f is cause else f for f in findings)
        symptom = _divergence(observed) if observed else None
        return Conclusion(
            ProbeVerdict.BROKEN, cause.reason, cause.message, findings, _divergence(cause), symptom=symptom
        )
    if observed:
        return _blamed(findings, observed, progress)
    if start and (wire is None or is_beyond(start, wire.segment.before)):
        message = f"the request failed ({outcome.message}), and {start.message}"
        return Conclusion(ProbeVerdict.UNKNOWN, start.reason, message, findings)
    if outcome.reason is Reason.POLICY_NOT_ENFORCED:  # nothing was lost
        return Conclusion(ProbeVerdict.BROKEN, outcome.reason, outcome.message, findings)
    return _lost_between(findings, outcome, progress, circumstances)


def _lost_between(
    findings: tuple[Finding, ...], outcome: Outcome, progress: Progress, circumstances: Circumstances
) -> Conclusion:
    """No hop can be named: the narrowest stretch that holds the loss."""
    wire = circumstances.wire
    segment = wire.segment if wire else segment_between(findings, progress, circumstances.open_end)
    reason = Reason.LOST_BETWEEN_NODES if wire else Reason.LOST_IN_TRANSIT
    message = f"{outcome.message}; packets were lost between {segment.after} and {segment.before}"
    told = "; ".join((message, *((wire.message,) if wire else ()), *circumstances.hints))
    return Conclusion(ProbeVerdict.BROKEN, reason, told, findings, segment=segment)


def _blamed(findings: tuple[Finding, ...], observed: Finding, progress: Progress) -> Conclusion:
    """The hop that was seen to fail; no more than a symptom, if what may have feigned it can't be judged."""
    reason, message = observed.reason, observed.message
    feigning = frozenset[HopName]() if observed.predicts else _FEIGNED_BY.get(reason, frozenset())
    unjudged = [
        f
        for f in findings
        if f.hop in feigning
        and (f.verdict is HopVerdict.UNKNOWN or (f.verdict is HopVerdict.STALE and _diverts(f, observed.hop)))
        and HOP_ORDER[f.hop] < HOP_ORDER[observed.hop]
        and not (progress.arrived and HOP_ORDER[f.hop] < HOP_ORDER[HopName.INGRESS_POLICY])
    ]
    if not unjudged:
        return Conclusion(ProbeVerdict.BROKEN, reason, message, findings, _divergence(observed))
    first = unjudged[0]
    message = (
        f"{message}; that may come of {first.hop} on {first.node}, which can't be judged: {first.message}"
    )
    symptom = replace(observed, verdict=HopVerdict.UNKNOWN, reason=first.reason, message=message)
    findings = tuple(symptom if f is observed else f for f in findings)
    segment = segment_around(findings, (first.hop, observed.hop))
    return Conclusion(
        ProbeVerdict.BROKEN, reason, message, findings, segment=segment, symptom=_divergence(observed)
    )


def _acts_before(finding: Finding, observed: Finding | None) -> bool:
    """Whether packets meet this hop before the one that was seen to fail: by its place on the path, because it also
    serves the way there (in native routing, who the source is), or because it serves those to the name server too.
    """
    if observed is None or HOP_ORDER[finding.hop] < HOP_ORDER[observed.hop]:
        return True
    if observed.hop is HopName.NAME_RESOLUTION and finding.hop in _FEIGNED_BY.get(observed.reason, ()):
        return True
    return any(finding.hop not in HOPS_BY_STAGE[stage] for stage in finding.predicts)


def _bypassing(upstream: Sequence[Finding], observed: Finding | None) -> Finding | None:
    """Why packets passed that a policy should deny: another policy judged them, or none did."""
    if observed is None:  # what is wrong with the policy's own map says more than that it was not enforced
        policies = (HopName.EGRESS_POLICY, HopName.INGRESS_POLICY)
        return next((f for f in upstream if f.hop in policies and f.reason is Reason.STALE_MAP_IN_USE), None)
    if observed.reason is Reason.POLICY_NOT_ENFORCED and not observed.predicts:
        return None
    return next((f for f in upstream if f.verdict is HopVerdict.STALE and _diverts(f, observed.hop)), None)


def _diverts(finding: Finding, shown_at: HopName) -> bool:
    """Whether what is wrong here has another policy, or none, judge the packets of the hop where that shows."""
    reasons = _JUDGED_ELSEWHERE.get(shown_at, {}).get(finding.hop, frozenset[Reason]())
    return finding.reason in reasons and bool(finding.predicts)


def _first(findings: Sequence[Finding], verdict: HopVerdict) -> Finding | None:
    return next((finding for finding in findings if finding.verdict is verdict), None)


def _divergence(finding: Finding) -> Divergence:
    return Divergence(finding.hop, finding.node, finding.reason, finding.message)
