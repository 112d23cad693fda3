"""Verdicts that several rules share: Unknown, Broken at a hop, Broken in a segment. Called by the rules."""

from dataclasses import replace

from ...api.reasons import Reason
from ...api.vocabulary import HOP_ORDER, HopVerdict, ProbeVerdict
from ..connection.outcome import Outcome
from ..connection.progress import Progress, segment_between
from ..finding.finding import Finding, Segment
from .verdict_input import Verdict, VerdictInput, divergence_of


def unknown(given: VerdictInput, reason: Reason, message: str) -> Verdict:
    """Unknown for this reason."""
    return Verdict(ProbeVerdict.UNKNOWN, reason, message, given.findings)


def broken_at(given: VerdictInput, cause: Finding | None) -> Verdict | None:
    """Broken at the cause. The hop where the failure was observed is the symptom."""
    if cause is None:
        return None
    broken, observed = replace(cause, verdict=HopVerdict.BROKEN), given.observed
    verdict = Verdict(
        ProbeVerdict.BROKEN,
        cause.reason,
        cause.message,
        tuple(broken if finding is cause else finding for finding in given.findings),
        divergence_of(cause),
        symptom=divergence_of(observed) if observed else None,
    )
    return with_lost_events(given, verdict)


def segment_of(given: VerdictInput, progress: Progress) -> Segment:
    """The narrowest segment that contains the loss; without a known backend, that of all candidates together."""
    if not given.candidates:
        return segment_between(given.findings, progress, given.last_planned_hop)
    segments = [segment_between(findings, progress) for _, findings in given.candidates]
    first = min(segments, key=lambda segment: HOP_ORDER[segment.after])
    last = max(segments, key=lambda segment: HOP_ORDER[segment.before])
    return replace(first, before=last.before)


def tried(given: VerdictInput) -> tuple[str, ...]:
    """The addresses that the request may have gone to, as a sentence; none if the backend is known."""
    names = [backend.label for backend, _ in given.candidates]
    if len(names) < 2:
        return tuple(f"the only backend is {name}" for name in names)
    return (f"nothing shows which backend was selected: {', '.join(names[:-1])} or {names[-1]}",)


def lost_in(given: VerdictInput, segment: Segment, reason: Reason, *counted: str) -> Verdict:
    """Broken in this segment. `counted`: what counters show about it."""
    message = f"{given.outcome.message}; packets were lost between {segment.after} and {segment.before}"
    message = "; ".join((message, *tried(given), *counted, *given.hints))
    verdict = Verdict(ProbeVerdict.BROKEN, reason, message, given.findings, segment=segment)
    return with_lost_events(given, verdict)


def with_lost_events(given: VerdictInput, verdict: Verdict) -> Verdict:
    """The verdict of a failure, with the numbers of lost events."""
    not_mentioned = [lost for lost in given.lost_events if lost not in verdict.message]
    message = "; ".join((verdict.message, *not_mentioned))
    named = verdict.divergence
    divergence = replace(named, message="; ".join((named.message, *not_mentioned))) if named else None
    return replace(verdict, message=message, divergence=divergence)


def outcome_text(outcome: Outcome) -> str:
    """What happened to a request that met the expectation."""
    return "was denied" if outcome.reason is Reason.DENIED else "succeeded"
