"""The paths to backends that the request does not use: ready endpoints of its Service, and name servers.

The next request may use them, so a contradiction on their path is a latent fault. Missing evidence of them is none.
What is wrong with the backend that the request does use is latent for the next request, too.

In: a run and its backends. Out: findings of the same checks, as programmed. Called by `examination`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ..api.reasons import Reason
from ..api.vocabulary import HOP_ORDER, HopName, HopVerdict, Stance, Witness
from ..plan.other_backends import OtherBackend
from ..plan.path import ExpectedHop
from ..plan.plan import Backend, Plan
from .checks.subpaths.dns_path import first_fault, plan_of_queries
from .checks.subpaths.subpath import is_harmful
from .connection.outcome import Outcome
from .context import CheckContext
from .context_builder import ContextBuilder
from .finding.finding import Finding, Statement
from .verdict.transitions import other_in_transition

# The request itself traverses these, or they need its packets.
_OF_REQUEST: Final = frozenset(
    {
        HopName.SOURCE_INTERFACE,
        HopName.SOURCE_PROGRAM,
        HopName.NAME_RESOLUTION,
        HopName.SERVICE_LOOKUP,
        HopName.SERVICE_TRANSLATION,
        HopName.SOURCE_IDENTITY,
        HopName.DESTINATION_RESPONSE,
        HopName.REPLY_TRANSLATION,
    }
)


OF_BACKENDS: Final = frozenset(HopName) - _OF_REQUEST
"""The hops that are judged on the path to a backend that the request does not use."""


_FAILED_BEFORE: Final = Outcome(False, Reason.LOST_IN_TRANSIT, "an earlier request to this backend failed")


@dataclass(frozen=True, slots=True)
class OtherPath:
    """The path to one of the backends. `hops`: those to judge."""

    other: OtherBackend
    backend: Backend
    context: CheckContext
    hops: tuple[ExpectedHop, ...]


def other_path(builder: ContextBuilder, other: OtherBackend) -> OtherPath | None:
    """The path as if the request were in flight and this backend selected; None if it is not in the plan. That of a
    suspect is searched for causes of loss as after a failed request: otherwise no look could see it repaired.
    """
    backend, plan = other.in_plan(builder.run.plan), _plan(builder.run.plan, other)
    if backend is None or plan is None:
        return None
    run = replace(builder.run, plan=plan, hanging=False) if other.of_dns else builder.run
    context = ContextBuilder(run, builder.reader, builder.confirmation).build(backend)
    if other in run.suspects:
        context = replace(context, outcome=_FAILED_BEFORE)
    judged = context.registry.of_queries if other.of_dns else OF_BACKENDS
    return OtherPath(other, backend, context, tuple(hop for hop in context.path.hops if hop.name in judged))


def _plan(plan: Plan, other: OtherBackend) -> Plan | None:
    if not other.of_dns:
        return plan
    return plan_of_queries(plan, plan.nameserver) if plan.nameserver else None


def followed(findings: Sequence[Finding]) -> Sequence[Finding]:
    """The findings up to the first hop beyond which no check follows the packets."""
    end = next((number for number, f in enumerate(findings) if f.unfollowed_beyond), len(findings))
    return findings[:end]


def fault_of(findings: Sequence[Finding], *, of_dns: bool) -> Finding | None:
    """The first hop that prevents packets to this backend from arriving, or else the first that contradicts intent;
    also if that was read only once. Of name servers only the former: queries are few and small.
    """
    assumed = [_as_if_confirmed(finding) for finding in followed(findings)]
    if of_dns:
        found = first_fault(assumed)
        fault = found[1] if found else None
    else:
        stale = (finding for finding in assumed if finding.verdict is HopVerdict.STALE)
        fault = next(filter(is_harmful, assumed), None) or next(stale, None)
    return findings[assumed.index(fault)] if fault else None


def is_right(findings: Sequence[Finding]) -> bool:
    """Whether every hop that a check can follow is Ok."""
    return all(finding.verdict is HopVerdict.OK for finding in followed(findings))


def is_suspect(findings: Sequence[Finding]) -> bool:
    """Whether something was found wrong, perhaps only once, on the path of the request."""
    wrong = (HopVerdict.STALE, HopVerdict.BROKEN)
    return any(_as_if_confirmed(finding).verdict in wrong for finding in followed(findings))


def _as_if_confirmed(finding: Finding) -> Finding:
    doubtful = finding.reason is Reason.UNCONFIRMED
    return replace(finding, verdict=HopVerdict.STALE) if doubtful else finding


def with_latent_faults(
    context: CheckContext, findings: Sequence[Finding], faults: Sequence[tuple[OtherPath, Finding]]
) -> list[Finding]:
    """The findings of the request's path with the confirmed faults of other backends.

    Each takes the place of an Ok finding of its hop: what the request itself met comes first.
    """
    merged = {finding.hop: finding for finding in findings}
    for path, fault in faults:
        if fault.verdict is not HopVerdict.STALE or other_in_transition(context.run, path.other):
            continue
        shown: Finding | None = _at_hop(context, path, fault)
        if path.other.of_dns:
            shown = _at_name_resolution(path, fault, merged)
        known = merged.get(shown.hop) if shown else None
        if shown and (known is None or known.verdict is HopVerdict.OK):
            merged[shown.hop] = shown
    return sorted(merged.values(), key=lambda finding: HOP_ORDER[finding.hop])


def _at_hop(context: CheckContext, path: OtherPath, fault: Finding) -> Finding:
    """The fault as one of the hop on the request's path."""
    other = (
        f"{path.backend.label}, a ready backend of {context.plan.destination} that this request did not use"
    )
    return replace(fault, message=f"{other}: {fault.message}")


def _at_name_resolution(path: OtherPath, fault: Finding, findings: dict[HopName, Finding]) -> Finding | None:
    """The fault as one of the name resolution, which the name server may fail to answer next time."""
    resolved, found = findings.get(HopName.NAME_RESOLUTION), first_fault([fault])
    if resolved is None or found is None:
        return None
    reason, _ = found
    message = f"name server {path.backend.label}: {fault.hop} on {fault.node}: {fault.message}"
    statement = Statement(Stance.CONTRADICTS, f"{fault.hop} on {fault.node} contradicts intent")
    evidence = {**resolved.evidence, Witness.PROGRAMMED: statement}
    return replace(
        resolved,
        verdict=HopVerdict.STALE,
        reason=reason,
        message=message,
        evidence={witness: evidence[witness] for witness in Witness if witness in evidence},
        unconfirmed=fault.unconfirmed,
    )


def doubts(faults: Sequence[tuple[OtherPath, Finding]]) -> Iterator[Finding]:
    """The faults that must be read again before they count."""
    yield from (fault for _, fault in faults if fault.needs_second_look)
