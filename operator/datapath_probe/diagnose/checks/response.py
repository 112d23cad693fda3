"""Hop `destination-response`: what the application itself did. Refused, reset, silent, wrong status and wrong body are
told apart; the application is blamed only for what was seen to come from its pod. Exercises 5 and 7.
"""

from ...api.reasons import Reason
from ...evidence.reading import Unavailable
from ...plan.path import ExpectedHop
from ...sources.curl import CurlExit, CurlReport
from ..context import Case
from ..finding.finding import Finding
from ..finding.hop_check import Hop
from ..netstack import host_sockets
from ..netstack.pod_sockets import listens, overflow, unread
from ..run.redaction import without_values

_CUT_SHORT = frozenset(
    {CurlExit.GOT_NOTHING, CurlExit.RECV_ERROR, CurlExit.SEND_ERROR, CurlExit.PARTIAL_FILE}
)


def check_destination_response(case: Case, expected: ExpectedHop) -> Finding:
    """curl's report, held against what conntrack says came from the pod."""
    hop = case.hop(expected, case.plan.destination)
    wanted = " or ".join(map(str, case.plan.expect.statuses)) or "2xx"
    asked = f"{case.plan.request.method} {without_values(case.plan.request.path)}"
    hop.intent("not reached" if case.plan.expect.denied else f"HTTP {wanted}", {"request": asked})
    report = case.report
    if report is None:
        return hop.unknown(Unavailable(Reason.NOT_OBSERVED, "the request is under way"))
    if isinstance(report, Unavailable):
        return hop.unknown(report)
    hop.observed(_told(report), _facts(report))
    if case.plan.expect.denied:
        return _unexpected(case, hop, report)
    if report.exit_code == CurlExit.OK:
        reason = case.outcome.reason
        if case.outcome.met is False:
            return hop.broken(reason, case.outcome.message)
        return hop.fine(f"HTTP {report.http_status} in {report.timings.total * 1000:.1f} ms")
    return _failed(case, hop, report)


def _failed(case: Case, hop: Hop, report: CurlReport) -> Finding:
    """Without a whole response: what was seen to come from the pod, and what its sockets say."""
    connection = case.connection
    if report.exit_code == CurlExit.COULDNT_CONNECT and connection.refused:
        feigned = host_sockets.doubt(case)
        if feigned:
            return hop.unknown(feigned)
        why = "although something listens" if listens(case) else "nothing listens"
        message = f"{case.server} refused the connection: the pod answered with a RST, {why} on that port"
        return hop.broken(Reason.CONNECTION_REFUSED, message)
    if connection.connected and report.exit_code in _CUT_SHORT and connection.ended_by_pod:
        return hop.broken(
            Reason.CONNECTION_RESET,
            f"{case.server} took the connection and ended it without a whole response",
        )
    if report.exit_code == CurlExit.OPERATION_TIMEDOUT:
        full = overflow(case)
        if full and not connection.answered:
            return hop.broken(Reason.NO_RESPONSE, full)
        if _left_waiting(case, report):
            message = f"{case.server} took the connection and the request, and did not answer in time"
            return hop.broken(Reason.NO_RESPONSE, f"{message}: {full}" if full else message)
    if report.exit_code in (CurlExit.WEIRD_SERVER_REPLY, CurlExit.UNSUPPORTED_PROTOCOL):
        return hop.broken(Reason.NO_RESPONSE, f"{case.server} answered with something that is not HTTP")
    return hop.unknown(Unavailable(Reason.NOT_OBSERVED, "nothing was seen to come from the application"))


def _unexpected(case: Case, hop: Hop, report: CurlReport) -> Finding:
    """Where a denial is expected, the application has nothing to do wrong: it may only show that it was reached."""
    if case.connection.connected or case.connection.refused:
        return hop.fine(f"{case.server} was reached: {_told(report)}")
    return hop.unknown(Unavailable(Reason.NOT_OBSERVED, "nothing was seen to come from the application"))


def _left_waiting(case: Case, report: CurlReport) -> bool:
    """The request arrived and nothing came of it. Once data left the pod, large packets may be lost on their way back:
    then nobody is named.
    """
    connection = case.connection
    return (
        connection.connected
        and (connection.request_arrived or unread(case))
        and case.plan.request.fits_one_segment
        and not connection.response_left
        and report.timings.first_byte == 0
    )


def _told(report: CurlReport) -> str:
    if report.exit_code == CurlExit.OK:
        return f"HTTP {report.http_status}"
    return f"curl exit {int(report.exit_code)}: {report.error or 'no message'}"


def _facts(report: CurlReport) -> dict[str, object]:
    timings = report.timings
    phases = {
        "nameLookup": timings.name_lookup,
        "connect": timings.connect,
        "firstByte": timings.first_byte,
        "total": timings.total,
    }
    return {
        "exitCode": int(report.exit_code),
        "httpStatus": report.http_status or "",
        **{name: f"{seconds * 1000:.1f} ms" for name, seconds in phases.items()},
    }
