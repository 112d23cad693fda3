"""The entry point of this package: a run → its diagnosis, or the facts that are still to be collected."""

from collections.abc import Iterator, Sequence

from ..api.reasons import Reason
from ..api.vocabulary import Encapsulation, HopVerdict, ProbeVerdict
from ..evidence.delivery import delivery
from ..evidence.fact import Fact
from ..evidence.internal_error import internal_error
from ..evidence.reading import Answer, Unavailable
from ..sources.client_report import ClientReport
from ..sources.curl.report import parse_report
from .context import CheckContext
from .datapath.map_headroom import map_pressures
from .examination import Examination
from .finding.diagnosis import Diagnosis
from .finding.finding import Finding
from .finding.finding_cache import KnownFindings
from .finding.hop_check import LIVE, ConfirmationPolicy
from .run.run import PathRun
from .verdict.observed_profile import observed_profile
from .verdict.rules import conclude


def diagnose(
    run: PathRun, known: KnownFindings | None = None, confirmation: ConfirmationPolicy = LIVE
) -> Diagnosis:
    """The verdict on one path, with the finding of every hop. Total: any evidence, even none, gives a diagnosis.

    An exception of a check makes its hop Unknown, any other exception the path. `confirmation`: how often a
    contradiction must be read before it counts.
    """
    try:
        return _diagnosed(run, known, confirmation)
    except Exception as error:
        return _undiagnosed(run, internal_error("the diagnosis", error))


def _diagnosed(run: PathRun, known: KnownFindings | None, confirmation: ConfirmationPolicy) -> Diagnosis:
    examination = Examination.of(run, known, confirmation)
    context, given = examination.context, examination.verdict_input()
    verdict = conclude(given)
    may_look_again = confirmation.takes_second_look and not (run.second_look or given.unsupported)
    return Diagnosis(
        plan=run.plan,
        backend=context.backend,
        report=context.report if isinstance(context.report, ClientReport) else None,
        local_port=run.request.local_port,
        locality=context.path.locality,
        encapsulation=context.path.encapsulation,
        met=context.outcome.met,
        verdict=verdict.verdict,
        reason=verdict.reason,
        message=verdict.message,
        divergence=verdict.divergence,
        segment=verdict.segment,
        symptom=verdict.symptom,
        findings=verdict.findings,
        profile=None if given.change else observed_profile(context, given.findings),
        rule=verdict.rule,
        confirm=frozenset().union(*(finding.confirm for finding in (*given.findings, *given.doubts))),
        needs_second_look=may_look_again and any(map(_is_doubtful, (*given.findings, *given.doubts))),
        looks=examination.looks(),
        map_pressure=map_pressures(context),
        events_to_reread=context.connection.events.events_to_reread,
        unread=tuple(_unread(context)),
    )


def facts_of(run: PathRun, known: KnownFindings | None = None) -> Sequence[Fact]:
    """The facts that checks ask for and that have no reading yet, in the order of the checks. None if that ends with an
    exception: `diagnose` reports it.
    """
    try:
        return Examination.of(run, known).facts()
    except Exception:
        return ()


def _undiagnosed(run: PathRun, error: Unavailable) -> Diagnosis:
    """What is known without an examination: what curl reports."""
    reading, request = run.request.reading, run.plan.request
    report = None if reading is None else parse_report(reading, request.timeout_s, request.protocol)
    return Diagnosis(
        plan=run.plan,
        backend=None,
        report=report if isinstance(report, ClientReport) else None,
        local_port=run.request.local_port,
        locality=None,
        encapsulation=Encapsulation.NONE,
        met=None,
        verdict=ProbeVerdict.UNKNOWN,
        reason=Reason.INTERNAL_ERROR,
        message=error.message,
        divergence=None,
        segment=None,
        symptom=None,
        findings=(),
        profile=None,
        rule="internal_error",
    )


def _unread(context: CheckContext) -> Iterator[tuple[str, str]]:
    """(tool, reason) of each answer that could not be parsed."""
    if isinstance(context.report, Unavailable) and isinstance(context.run.request.reading, Answer):
        yield "curl", context.report.reason
    yield from ((delivery(fact).tool, reason) for fact, reason in context.reader.unread.items())


def _is_doubtful(finding: Finding) -> bool:
    """A contradiction that was read only once."""
    return finding.needs_second_look or finding.verdict is HopVerdict.BROKEN
