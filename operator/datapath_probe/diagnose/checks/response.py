"""Hop `destination-response`: the response of the application itself. Distinguishes refused, reset, no response, wrong
status and wrong body; the application is the cause only of what came from its pod. Exercises 5 and 7.
"""

from ...api.reasons import Reason
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ...sources.client_report import ClientFailure, ClientReport
from ..context import CheckContext
from ..finding.finding import Finding
from ..finding.hop_check import HopCheck
from ..netstack import host_sockets
from ..netstack.pod_sockets import listens, overflow, unread
from ..run.redaction import without_values

_OUTSIDE = "the host, or something else beyond the node,"
_ENDED_EARLY = (ClientFailure.NO_RESPONSE, ClientFailure.CUT_SHORT)


def check_destination_response(context: CheckContext, expected: ExpectedHop) -> Finding:
    """Compare curl's report with what came from the pod according to conntrack."""
    hop = context.hop(expected, context.plan.destination)
    wanted = " or ".join(map(str, context.plan.expect.statuses)) or "2xx"
    request = context.plan.request
    asked = "connect" if request.connects_only else f"{request.method} {without_values(request.path)}"
    expected_text = "the connection is established" if request.connects_only else f"HTTP {wanted}"
    hop.intent("not reached" if context.plan.expect.denied else expected_text, {"request": asked})
    report = context.report
    if report is None:
        return hop.unknown(Unavailable(Reason.NOT_OBSERVED, "the request is in flight"))
    if isinstance(report, Unavailable):
        return hop.unknown(report)
    hop.observed(_reported(report), _facts(report))
    if context.plan.expect.denied:
        return _unexpected(context, hop, report)
    if report.responded and context.outcome.met is False:
        other = f", although {_not_reached(context)}" if context.connection.answered_by_other else ""
        return hop.broken(context.outcome.reason, f"{context.outcome.message}{other}")
    if report.answered:
        return hop.ok(f"{report.result_text} in {report.timings.total * 1000:.1f} ms")
    return _failed(context, hop, report)


def _failed(context: CheckContext, hop: HopCheck, report: ClientReport) -> Finding:
    """Without a complete response: what came from the pod, and the state of its sockets."""
    connection = context.connection
    if report.failure is ClientFailure.NOT_CONNECTED and connection.refused:
        contradiction = host_sockets.socket_contradiction(context)
        if contradiction:
            return hop.unknown(contradiction)
        return hop.broken(
            Reason.CONNECTION_REFUSED, f"{context.server} refused the connection: {_why_refused(context)}"
        )
    if connection.connected and report.failure in _ENDED_EARLY and connection.ended_by_pod:
        return hop.broken(
            Reason.CONNECTION_RESET,
            f"{context.server} accepted the connection and closed it without a complete response",
        )
    if report.failure is ClientFailure.TIMED_OUT:
        full = overflow(context)
        if full and not connection.answered:
            return hop.broken(Reason.NO_RESPONSE, full)
        if _unanswered_in_time(context, report):
            message = f"{context.server} accepted the connection and the request, but did not respond in time"
            return hop.broken(Reason.NO_RESPONSE, f"{message}: {full}" if full else message)
    if report.failure is ClientFailure.NOT_HTTP:
        return hop.broken(Reason.NO_RESPONSE, f"{context.server} responded with something that is not HTTP")
    return hop.unknown(Unavailable(Reason.NOT_OBSERVED, "no packet from the application was observed"))


def _why_refused(context: CheckContext) -> str:
    if context.connection.answered_by_other:
        return f"a RST was received, although {_not_reached(context)}"
    listening = listens(context) if context.to_endpoint else host_sockets.listens(context)
    why = {True: ", although a process listens on that port", False: ", no process listens on that port"}
    who = (
        "the pod"
        if context.to_endpoint
        else "the host"
        if context.backend and context.backend.host
        else _OUTSIDE
    )
    return f"{who} replied with a RST{why[listening] if listening is not None else ''}"


def _not_reached(context: CheckContext) -> str:
    asked = isinstance(context.connection.incoming, Absent)
    return f"no packet of this connection {'reached' if asked else 'is known to have reached'} the pod"


def _unexpected(context: CheckContext, hop: HopCheck, report: ClientReport) -> Finding:
    """If a denial is expected, the application can't be wrong; its response only shows that it was reached."""
    if context.connection.connected or context.connection.refused:
        return hop.ok(f"{context.server} was reached: {_reported(report)}")
    return hop.unknown(Unavailable(Reason.NOT_OBSERVED, "no packet from the application was observed"))


def _unanswered_in_time(context: CheckContext, report: ClientReport) -> bool:
    """The request arrived, and the application sent no data. Once data left the pod, packets may have been lost after
    it, so the application is not the cause.
    """
    connection = context.connection
    return (
        connection.connected
        and (connection.request_arrived or unread(context))
        and context.plan.request.fits_one_segment
        and not connection.response_left
        and report.timings.first_byte == 0
    )


def _reported(report: ClientReport) -> str:
    return report.result_text if report.answered else report.error_text


def _facts(report: ClientReport) -> dict[str, object]:
    timings = report.timings
    phases = {
        "nameLookup": timings.name_lookup,
        "connect": timings.connect,
        **({"tls": timings.tls} if timings.tls else {}),
        "firstByte": timings.first_byte,
        "total": timings.total,
    }
    return {
        "exitCode": report.exit_code,
        "httpStatus": report.status or "",
        **{name: f"{seconds * 1000:.1f} ms" for name, seconds in phases.items()},
    }
