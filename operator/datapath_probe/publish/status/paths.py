"""Diagnosis → `PathResult`: one path in the status. Called by `status`. Pure."""

from datetime import UTC, datetime

from ...api.spec.durations import duration
from ...api.status.hop_result import HopEvidence, HopRef, HopResult, WitnessReport
from ...api.status.hop_result import Segment as SegmentResult
from ...api.status.path_result import PathDestination, PathResult, PathSource, RequestResult, Timings
from ...api.vocabulary import HopVerdict, Witness
from ...diagnose.finding.diagnosis import Diagnosis
from ...diagnose.finding.finding import Divergence, Finding, Segment, Statement
from ...sources.client_report import ClientReport
from ..advice import next_step
from .assumptions import assumptions


def path_result(diagnosis: Diagnosis, *, with_hops: bool = True) -> PathResult:
    """The path: source, destination, request, and with `with_hops` every hop with its evidence."""
    return PathResult(
        source=_source(diagnosis),
        destination=_destination(diagnosis),
        verdict=diagnosis.verdict,
        fingerprint=_fingerprint(diagnosis),
        request=_request(diagnosis.report, diagnosis.local_port) if diagnosis.report else None,
        symptom=hop_ref(diagnosis.symptom) if diagnosis.symptom else None,
        assumptions=tuple(assumptions(diagnosis)),
        hops=tuple(_hop(finding) for finding in diagnosis.findings if with_hops),
    )


def _fingerprint(diagnosis: Diagnosis) -> str | None:
    answering = diagnosis.backend.pod_facts if diagnosis.backend else None
    if diagnosis.profile is None or answering is None:
        return None
    return diagnosis.profile.fingerprint(diagnosis.plan.source.pod.name, answering.pod.name)


def hop_ref(divergence: Divergence) -> HopRef:
    """A named hop, with what to do next."""
    return HopRef(
        name=divergence.hop,
        node=divergence.node,
        reason=divergence.reason,
        message=divergence.message,
        next=next_step(divergence.reason),
    )


def segment_result(segment: Segment) -> SegmentResult:
    """The part of the path on which the packets were lost."""
    return SegmentResult(after=segment.after, before=segment.before, node=segment.node or None)


def _source(diagnosis: Diagnosis) -> PathSource:
    facts = diagnosis.plan.source
    return PathSource(
        pod=facts.pod.name,
        node=facts.pod.node,
        ip=str(facts.ip),
        identity=facts.endpoint.identity if facts.endpoint else None,
    )


def _destination(diagnosis: Diagnosis) -> PathDestination:
    frontend, backend = diagnosis.plan.frontend, diagnosis.backend
    target, place = (backend.pod_facts, backend.place) if backend else (None, None)
    return PathDestination(
        name=target.pod.name if target else None,
        node=place.name if place else None,
        ip=str(backend.ip) if backend else None,
        port=backend.port if backend else None,
        identity=target.endpoint.identity if target and target.endpoint else None,
        service_ip=str(frontend.ip) if frontend else None,
    )


def _request(report: ClientReport, local_port: int) -> RequestResult:
    """The result of the request. If the connection failed, curl reports no local port: the assigned one is used."""
    timings = report.timings
    return RequestResult(
        exit_code=report.exit_code,
        http_status=report.status or None,
        local_port=local_port,
        remote_ip=str(report.remote_ip) if report.remote_ip else None,
        remote_port=report.remote_port or None,
        error=report.error or None,
        certificate_expires=_time(report.certificate_expires),
        timings=Timings(
            name_lookup=_measured(timings.name_lookup),
            connect=_measured(timings.connect),
            tls=_measured(timings.tls),
            first_byte=_measured(timings.first_byte),
            total=_measured(timings.total),
        ),
    )


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _measured(seconds: float | None) -> str | None:
    """The duration of a phase; None for 0, which curl reports for a phase that it did not reach."""
    return duration(seconds) if seconds else None


def _hop(finding: Finding) -> HopResult:
    ok = finding.verdict is HopVerdict.OK
    evidence = finding.evidence
    return HopResult(
        name=finding.hop,
        node=finding.node,
        object=finding.object or None,
        verdict=finding.verdict,
        reason=None if ok else finding.reason,
        message=finding.message,
        next=None if ok else next_step(finding.reason),
        evidence=HopEvidence(
            intent=_witness(evidence.get(Witness.INTENT)),
            programmed=_witness(evidence.get(Witness.PROGRAMMED)),
            observed=_witness(evidence.get(Witness.OBSERVED)),
        ),
    )


def _witness(statement: Statement | None) -> WitnessReport | None:
    if statement is None:
        return None
    return WitnessReport(
        stance=statement.stance,
        summary=statement.summary,
        facts=dict(statement.facts),
    )
