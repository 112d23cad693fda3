"""Adds flow events to findings, as part of the *observed* witness.

In: the findings of the checks. Out: the same with events; a hop that dropped packets of a failed request is Broken if
they may have been lost there. Called by `examination`, after the checks.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ...api.vocabulary import HopName, HopVerdict, Stance, Witness
from ...evidence.errors import EvidenceError
from ...sources.flows.flow import Point
from ..connection.drops import Drop
from ..connection.flow_events import Observation
from ..connection.progress import Progress
from ..context import CheckContext
from ..finding.finding import Finding, Statement
from .kernel_hints import counted_by_kernels
from .loss_counters import counted_drops


def attach_events(context: CheckContext, findings: Sequence[Finding], progress: Progress) -> list[Finding]:
    """The findings, each with the events of its hop."""
    drops = context.connection.events.drops
    return [
        _with_losses(context, _with_drops(context, _with_observations(context, f), _of(f, drops), progress))
        for f in findings
    ]


def _of(finding: Finding, drops: Sequence[Drop]) -> list[Drop]:
    """The drops that this hop owns."""
    return [d for d in drops if d.hop is finding.hop and (d.node == finding.node or d.is_of_its_sender)]


def hints(context: CheckContext) -> Iterator[str]:
    """Observations that name no hop, as sentences, to help users who look at a segment or a denial."""
    events = context.connection.events
    yield from map(str, events.drops)
    if not events.drops:
        yield from counted_drops(context)
        yield from counted_by_kernels(context)
    for error in events.icmp:
        yield f"ICMP error from {error}"
    yield from lost_events(context)
    for node, why in sorted(events.unread.items()):
        if why.reason != EvidenceError.NOT_COLLECTED:
            yield f"no events from {node}: {why.message}"


def lost_events(context: CheckContext) -> Iterator[str]:
    """The number of lost events by node, as sentences: any of them may be of this connection."""
    for node, lost in sorted(context.connection.events.lost.items()):
        yield f"{node} lost {lost} events"


def _with_drops(
    context: CheckContext, finding: Finding, drops: Sequence[Drop], progress: Progress
) -> Finding:
    """Drops make the hop Broken if the request failed and packets got no further; otherwise they are only listed. The
    most frequent kind of drop gives the reason.
    """
    if not drops:
        return finding
    facts = {
        "drop": ", ".join(f"{drop.name} ({drop.code})" for drop in drops),
        "dropDirection": _distinct(drop.direction for drop in drops),
        "dropFile": _distinct(drop.file for drop in drops),
        "drops": str(sum(drop.count for drop in drops)),
        "deniedBy": _distinct(policy for drop in drops for policy in drop.policies),
    }
    of_sender = any(drop.is_of_its_sender for drop in drops)
    can_be_here = finding.hop in progress.loss_hops or of_sender
    fatal = context.outcome.met is False and can_be_here
    stance = Stance.CONTRADICTS if fatal else Stance.AGREES
    finding = _observed(finding, "a packet of this connection was dropped here", facts, stance)
    if not fatal:
        return finding
    summary = "; ".join(map(str, drops))
    # a known defect, or a hop that is not followed, is more specific than the drop
    if finding.verdict is HopVerdict.STALE or finding.unfollowed_beyond:
        message, certain = f"{finding.message}; {summary}", bool(finding.defects)
        return replace(finding, verdict=HopVerdict.BROKEN, message=message, certain=certain)
    most = max(drops, key=lambda drop: drop.count)
    return replace(
        finding, verdict=HopVerdict.BROKEN, reason=most.reason, message=summary, of_sender=of_sender
    )


def _with_losses(context: CheckContext, finding: Finding) -> Finding:
    """The number of events that the hop's node lost during the run: any of them may be of this connection."""
    lost = context.connection.events.lost.get(finding.node)
    if not lost:
        return finding
    silent = Witness.OBSERVED not in finding.evidence
    stance = Stance.SILENT if silent else Stance.AGREES
    return _observed(finding, "events were lost", {"lostEvents": str(lost)}, stance)


def _distinct(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(filter(None, words)))


def _with_observations(context: CheckContext, finding: Finding) -> Finding:
    events = context.connection.events
    seen = [
        observation for observation in events.observations if finding.hop in _places(context, observation)
    ]
    if not seen:
        return finding
    facts = {
        "events": ", ".join(f"{s.point} {'|'.join(sorted(s.flags))}".strip() for s in seen),
    }
    return _observed(finding, "packets of this connection were observed", facts)


def _places(context: CheckContext, observation: Observation) -> Iterator[HopName]:
    """The hops that forwarded a packet observed at this point."""
    source, destination = context.path.source_node, context.path.destination_node
    begin, end = (destination, source) if observation.reply else (source, destination)
    if observation.point is Point.TO_ENDPOINT and observation.node == end:
        yield HopName.REPLY_DELIVERY if observation.reply else HopName.INGRESS_POLICY
    elif observation.node == begin and observation.point is Point.TO_OVERLAY:
        yield HopName.REPLY_ENCAPSULATION if observation.reply else HopName.OVERLAY_ENCAPSULATION
    elif observation.node == begin and observation.point in (Point.TO_STACK, Point.TO_NETWORK):
        yield HopName.REPLY_ROUTING if observation.reply else HopName.NODE_ROUTING


def _observed(
    finding: Finding, summary: str, facts: dict[str, str], stance: Stance = Stance.AGREES
) -> Finding:
    """The finding with more observed facts. The check's own summary stays unless the events contradict it."""
    known = finding.evidence.get(Witness.OBSERVED)
    merged = {key: fact for key, fact in facts.items() if fact}
    if known:
        merged = {**known.facts, **merged}
        if stance is Stance.AGREES:
            summary, stance = known.summary, known.stance
    statement = Statement(stance, summary, merged)
    evidence = {**finding.evidence, Witness.OBSERVED: statement}
    return replace(finding, evidence={w: evidence[w] for w in Witness if w in evidence})
