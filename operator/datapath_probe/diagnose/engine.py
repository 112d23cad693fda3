"""A run → its diagnosis; or, while it lasts, what is still to be asked. The entry to this package."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ..api.reasons import Reason
from ..api.vocabulary import HopName, HopVerdict
from ..evidence.question import Question
from ..evidence.reading import Answer, Unavailable
from ..plan.path import expected_path
from ..plan.plan import Backend
from ..sources import curl
from ..sources.curl import CurlReport
from .checks.endpoint_map import check_endpoint_lookup, check_locality_lookup, check_reply_delivery
from .checks.host import FROM_HOST, TO_HOST
from .checks.identity import check_source_identity
from .checks.interface import check_destination_interface, check_source_interface
from .checks.ipam import check_ipam
from .checks.ipcache import check_ipcache_lookup, check_reply_ipcache
from .checks.name_resolution import check_name_resolution
from .checks.overlay import (
    check_overlay_decapsulation,
    check_overlay_encapsulation,
    check_reply_decapsulation,
    check_reply_encapsulation,
)
from .checks.policy import check_egress_policy, check_ingress_policy
from .checks.program import check_destination_program, check_reply_program, check_source_program
from .checks.response import check_destination_response
from .checks.routing import check_node_routing, check_reply_routing
from .checks.service import check_service_lookup
from .checks.translation import check_reply_translation, check_service_translation
from .connection.connection import Connection
from .connection.conntrack_lookup import MAX_CANDIDATES, only_backend, trace
from .connection.flow_events import observe
from .connection.outcome import judge_outcome
from .connection.progress import Progress
from .context import Check, CheckContext
from .datapath.map_pinning import check_map_in_use, reloading
from .finding.diagnosis import Diagnosis
from .finding.evidence_reader import EvidenceReader, ParseCache
from .finding.finding import Finding
from .run.run import Run
from .verdict.agent_config_drift import disagreement, unjudgeable
from .verdict.data_transfer import transfer_zone
from .verdict.event_evidence import attach_events, hints, lost_events
from .verdict.loss_counters import count, wire_loss
from .verdict.observed_profile import observed_profile
from .verdict.root_cause import with_shared_cause
from .verdict.rules import Circumstances, conclude
from .verdict.transitions import in_transition

CHECKS: Mapping[HopName, Check] = {
    HopName.IPAM: check_ipam,
    HopName.SOURCE_INTERFACE: check_source_interface,
    HopName.SOURCE_PROGRAM: check_source_program,
    HopName.NAME_RESOLUTION: check_name_resolution,
    HopName.SERVICE_LOOKUP: check_service_lookup,
    HopName.SERVICE_TRANSLATION: check_service_translation,
    HopName.IPCACHE_LOOKUP: check_ipcache_lookup,
    HopName.EGRESS_POLICY: check_egress_policy,
    HopName.LOCALITY_LOOKUP: check_locality_lookup,
    HopName.OVERLAY_ENCAPSULATION: check_overlay_encapsulation,
    HopName.NODE_ROUTING: check_node_routing,
    HopName.OVERLAY_DECAPSULATION: check_overlay_decapsulation,
    HopName.SOURCE_IDENTITY: check_source_identity,
    HopName.ENDPOINT_LOOKUP: check_endpoint_lookup,
    HopName.DESTINATION_PROGRAM: check_destination_program,
    HopName.INGRESS_POLICY: check_ingress_policy,
    HopName.DESTINATION_INTERFACE: check_destination_interface,
    HopName.DESTINATION_RESPONSE: check_destination_response,
    HopName.REPLY_PROGRAM: check_reply_program,
    HopName.REPLY_IPCACHE: check_reply_ipcache,
    HopName.REPLY_ENCAPSULATION: check_reply_encapsulation,
    HopName.REPLY_ROUTING: check_reply_routing,
    HopName.REPLY_DECAPSULATION: check_reply_decapsulation,
    HopName.REPLY_DELIVERY: check_reply_delivery,
    HopName.REPLY_TRANSLATION: check_reply_translation,
}


def diagnose(run: Run, parse_cache: ParseCache | None = None) -> Diagnosis:
    """The verdict on one path, with every hop's finding. Total: any evidence, or none, gives a diagnosis."""
    reader = EvidenceReader(run.evidence, parse_cache)
    context = _case(run, reader)
    progress = replace(context.connection.progress(context.translates), transfer=transfer_zone(context))
    findings = with_shared_cause(
        attach_events(context, _examine(context), progress), lambda: _candidate_findings(run, reader, context)
    )
    unjudged = unjudgeable(context)
    transition = in_transition(run, context.connection.chosen, _doubtful(findings))
    if unjudged is None:  # else what checks and settings say of a transition proves nothing either
        transition = transition or _changing(context, findings, progress, parse_cache)
    circumstances = Circumstances(
        transition,
        unjudged,
        wire_loss(context, progress),
        tuple(hints(context)),
        _open_end(context),
        tuple(lost_events(context)),
    )
    conclusion = conclude(findings, context.outcome, progress, circumstances)
    return Diagnosis(
        plan=run.plan,
        backend=context.backend,
        report=context.report if isinstance(context.report, CurlReport) else None,
        local_port=run.request.local_port,
        locality=context.path.locality,
        encapsulation=context.path.encapsulation,
        met=context.outcome.met,
        verdict=conclusion.verdict,
        reason=conclusion.reason,
        message=conclusion.message,
        divergence=conclusion.divergence,
        segment=conclusion.segment,
        symptom=conclusion.symptom,
        findings=conclusion.findings,
        profile=None if transition else observed_profile(context, findings),
        confirm=frozenset().union(*(finding.confirm for finding in findings)),
        needs_second_look=not (run.second_look or unjudged) and any(map(_is_doubtful, findings)),
        events_to_reread=context.connection.events.events_to_reread,
        unread=tuple(_unread(context, reader)),
    )


def _unread(context: CheckContext, reader: EvidenceReader) -> Iterator[tuple[str, str]]:
    """(program, reason) of each answer that came and could not be used."""
    if isinstance(context.report, Unavailable) and isinstance(context.run.request.reading, Answer):
        yield "curl", context.report.reason
    yield from ((question.program, reason) for question, reason in reader.unread.items())


def _changing(
    context: CheckContext, findings: Sequence[Finding], progress: Progress, parse_cache: ParseCache | None
) -> str | None:
    """What was in transition by the evidence itself."""
    changing = reloading(findings) or disagreement(context)
    if changing or context.outcome.met is not False:
        return changing
    return _righted(context.run, findings, progress, parse_cache)


def _open_end(context: CheckContext) -> HopName | None:
    """The last hop of the way to a backend, where it is not known to which, and the hops of the case end before it."""
    backends = context.plan.backends
    if context.backend in backends or not backends:
        return None
    return expected_path(context.plan, backends[0]).hops[-1].name


def _candidate_findings(run: Run, reader: EvidenceReader, context: CheckContext) -> Iterator[Finding]:
    """The hops to each backend that may have been chosen, as far as the case does not know which was."""
    for backend in () if context.backend else run.plan.backends[:MAX_CANDIDATES]:
        yield from _examine(_case(run, reader, candidate=backend))


def _righted(
    run: Run, findings: Sequence[Finding], progress: Progress, parse_cache: ParseCache | None
) -> str | None:
    """What explained the failure at the first look and is right at the second: the request may have met it as it was
    before, and proves nothing of the path as it is now.
    """
    if not run.second_look:
        return None
    first_look = replace(run, evidence=run.evidence.first_readings(), second_look=False)
    context = _case(first_look, EvidenceReader(first_look.evidence, parse_cache))
    doubted = {
        f.hop: f for f in _examine(context) if f.reason is Reason.UNCONFIRMED and progress.fits(f.predicts)
    }
    righted = next((f for f in findings if f.verdict is HopVerdict.OK and f.hop in doubted), None)
    if righted is None:
        return None
    return f"{righted.hop} on {righted.node} changed during the run; before: {doubted[righted.hop].message}"


def _doubtful(findings: Sequence[Finding]) -> set[HopName]:
    return {finding.hop for finding in findings if finding.verdict is not HopVerdict.OK}


def _is_doubtful(finding: Finding) -> bool:
    """A contradiction that was seen once."""
    return finding.needs_second_look or finding.verdict is HopVerdict.BROKEN


def questions_of(run: Run, parse_cache: ParseCache | None = None) -> Sequence[Question]:
    """What the checks want to know and nobody has asked yet, in the order in which they want it. While it is not known
    which backend was chosen, that is what they want to know of any of the candidates.
    """
    reader = EvidenceReader(run.evidence, parse_cache)
    context = _case(run, reader)
    candidates = () if context.backend else run.plan.backends[:MAX_CANDIDATES]
    cases = [_case(run, reader, candidate=backend) for backend in candidates]
    if run.request.reading is not None or not candidates:
        cases.insert(0, context)
    for context in cases:
        findings = _examine(context)
        observed_profile(context, findings)
        disagreement(context)
        unjudgeable(context)
    return list(reader.missing)


def _case(run: Run, reader: EvidenceReader, candidate: Backend | None = None) -> CheckContext:
    """The case as far as it is known; `candidate`: as if this backend had been chosen, and the request under way."""
    plan, request = run.plan, run.request
    report: CurlReport | Unavailable | None = None
    connection = Connection(chosen=candidate or only_backend(plan))
    config = expected_path(plan, None).config
    if request.reading is not None and candidate is None:
        report = curl.parse_report(request.reading)
        told = report if isinstance(report, CurlReport) else None
        connection = trace(run, told, reader, config)
    path = expected_path(plan, connection.chosen)
    if run.hanging:
        observe(reader, run, None, path.destination_node)
        count(reader, path)
    outcome = judge_outcome(plan, report, request.local_port, path, connection)
    if outcome.denied_at:
        path = path.until(outcome.denied_at)
    return CheckContext(run, reader, path, connection.chosen, report, outcome, connection)


def _examine(context: CheckContext) -> list[Finding]:
    """All checks of the path, in path order."""
    checks = _checks(context)
    return [
        check_map_in_use(context, checks[expected.name](context, expected)) for expected in context.path.hops
    ]


def _checks(context: CheckContext) -> Mapping[HopName, Check]:
    """What is judged otherwise where an end has no endpoint stands in for what is judged of one."""
    to_host = TO_HOST if context.backend and context.destination is None else {}
    from_host = FROM_HOST if context.source.pod.host_network else {}
    return {**CHECKS, **from_host, **to_host}
