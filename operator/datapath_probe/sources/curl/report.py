"""curl's report → `ClientReport`. Called by `diagnose`.

Source: curl 7.70–8.23 `src/tool_writeout.c`, and reports of 7.74, 7.88, 8.14 and 8.23.
"""

import json
from dataclasses import replace

from ...addresses import IpAddress, address
from ...evidence.errors import EvidenceError
from ...evidence.reading import Answer, Reading, Unavailable
from ..client_report import ClientFailure, ClientReport, Timings
from ..parsing import Json, line, parser
from .curl_exit import CurlExit
from .tls import certificate_expiry, tls_failure
from .write_out import complaint, members

_NOT_ENDED = range(126, 256)  # exit codes of shells: it can't be run, or was killed by a signal
_LAST_STATUS = 999  # curl accepts any status of three digits
_LONGEST_TIMEOUT_S = 60.0
_LATE_S = 5.0  # how long after its timeout curl may end, in a container without CPU time

# How a request ends that only connects; the second since 8.15.
_NOTHING_SENT = (CurlExit.READ_ERROR, CurlExit.BAD_FUNCTION_ARGUMENT)

_FAILURES: dict[int, ClientFailure | None] = {
    CurlExit.OK: None,
    CurlExit.UNSUPPORTED_PROTOCOL: ClientFailure.NOT_HTTP,
    CurlExit.COULDNT_RESOLVE_HOST: ClientFailure.NAME_NOT_RESOLVED,
    CurlExit.COULDNT_CONNECT: ClientFailure.NOT_CONNECTED,
    CurlExit.WEIRD_SERVER_REPLY: ClientFailure.NOT_HTTP,
    CurlExit.PARTIAL_FILE: ClientFailure.CUT_SHORT,
    CurlExit.OPERATION_TIMEDOUT: ClientFailure.TIMED_OUT,
    CurlExit.INTERFACE_FAILED: ClientFailure.LOCAL_PORT_IN_USE,
    CurlExit.GOT_NOTHING: ClientFailure.NO_RESPONSE,
    CurlExit.SEND_ERROR: ClientFailure.CUT_SHORT,
    CurlExit.RECV_ERROR: ClientFailure.CUT_SHORT,
    CurlExit.FILESIZE_EXCEEDED: None,
}


def only_report(stderr: bytes) -> bytes:
    """The report with only the members that are used here. Nothing else is kept but a complaint about an option: a
    wrapper of curl may trace the request with its headers. b"{" if it is no report.
    """
    if b"{" not in stderr:
        return complaint(stderr)
    try:
        kept = members(stderr)
    except (ValueError, RecursionError):
        return b"{"
    return b"{" if kept is None else json.dumps(kept).encode()


def parse_report(
    reading: Reading, timeout_s: float = _LONGEST_TIMEOUT_S, protocol: str = "http"
) -> ClientReport | Unavailable:
    """The report of a request with this timeout and protocol; Unavailable(UnparsableOutput) if this curl writes none
    (before 7.70), or its numbers are impossible. A truncated body does not matter.
    """
    if isinstance(reading, Unavailable):
        return reading
    report = _parse_report(replace(reading, truncated=False))
    if isinstance(report, Unavailable):
        return report
    report = _of(protocol, report)
    if report.timings.longest > timeout_s + _LATE_S:
        message = f"curl reports a request of more than {timeout_s:g} s, its timeout"
        return Unavailable(EvidenceError.UNPARSABLE, message, reading.at)
    return replace(report, body_cut=reading.truncated or report.exit_code == CurlExit.FILESIZE_EXCEEDED)


def _of(protocol: str, report: ClientReport) -> ClientReport:
    """The report as that of a request with this protocol."""
    if protocol == "tcp" and report.connected and report.exit_code in _NOTHING_SENT:
        return replace(report, failure=None, error="")
    if protocol == "https":
        # curl 7.88 reports no time of the connection if the handshake fails, later ones no port
        report = replace(report, connected=report.connected or report.local_port > 0)
    else:
        failure = _FAILURES.get(report.exit_code, ClientFailure.CLIENT_FAILED)
        report = replace(report, failure=failure, certificate_expires=None)
    if report.exit_code == CurlExit.UNSUPPORTED_PROTOCOL and not report.connected:
        return replace(report, failure=ClientFailure.CLIENT_FAILED)  # this curl was built without it
    return report


@parser("curl", exit_codes=range(256))
def _parse_report(answer: Answer) -> ClientReport | Unavailable:
    if answer.exit_code in _NOT_ENDED:
        message = f"curl: exit code {answer.exit_code}: it was killed, or could not be run"
        return Unavailable(EvidenceError.COMMAND_FAILED, message, answer.at)
    shown = members(answer.stderr)
    if shown is None:
        said = complaint(answer.stderr).decode() or "nothing"
        message = f"curl exit {answer.exit_code} without a report (is it older than 7.70?): {said}"
        return Unavailable(EvidenceError.UNPARSABLE, message, answer.at)
    report = Json(shown)
    status = report["http_code"].integer(0)
    if not 0 <= status <= _LAST_STATUS:
        raise ValueError("http_code is not a status code")
    error = line(report["errormsg"].text(""))
    timings = Timings(
        name_lookup=_time(report["time_namelookup"]),
        connect=_time(report["time_connect"]),
        tls=_time(report["time_appconnect"]),
        # without a response, curl 8.23 reports the end of the request
        first_byte=_time(report["time_starttransfer"]) if status else 0.0,
        total=_time(report["time_total"]),
    )
    of_tls = tls_failure(answer.exit_code, error, report["ssl_verify_result"].integer(0))
    return ClientReport(
        failure=of_tls or _FAILURES.get(answer.exit_code, ClientFailure.CLIENT_FAILED),
        exit_code=answer.exit_code,
        error=error,
        connected=timings.connect > 0 or status > 0,
        status=status,
        local_ip=_address(report["local_ip"]),
        local_port=_port(report["local_port"]),
        remote_ip=_address(report["remote_ip"]),
        remote_port=_port(report["remote_port"]),
        timings=timings,
        body=answer.stdout,
        tried=tuple(address(ip.text()) for ip in report["tried"] or ()),
        certificate_expires=certificate_expiry(report["certs"].text("")),
    )


def _time(shown: Json) -> float:
    seconds = shown.number(0.0)
    if seconds < 0:
        raise ValueError("a time is negative")
    return seconds


def _port(shown: Json) -> int:
    """0 without a connection, for which curl 8 reports -1."""
    return 0 if shown.integer(0) == -1 else shown.unsigned(16, 0)


def _address(shown: Json) -> IpAddress | None:
    text = shown.text("")
    return address(text) if text else None
