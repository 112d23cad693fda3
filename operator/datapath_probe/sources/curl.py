"""The request: curl's command line, and its report → `ClientReport`. Called by `runs.request` and
`diagnose.connection`.

No part of a request becomes a shell word, an option or a file to read. URL, header values and body are never part of
argv, which audit logs and process lists show: they go through a config file on stdin.
Source: curl 7.70–8.x `src/tool_parsecfg.c` (quoting), `src/tool_writeout_json.c` (report),
`docs/cmdline-opts/max-filesize.md`.
"""

import json
import re
from dataclasses import dataclass, replace
from enum import IntEnum

from ..addresses import IpAddress, IpFamily, address, parse_address, with_port
from ..evidence.errors import EvidenceError
from ..evidence.reading import Answer, Reading, Unavailable
from .client_report import ClientFailure, ClientReport, Timings
from .parsing import Json, line, parser

# What a server can make the source pod read. curl ends the transfer at the size if the response announces its length,
# and since 8.4 any transfer; before, the rate and the timeout limit a response of unknown length.
# Health endpoints answer with kilobytes; even the longest response takes no more than two seconds at the rate.
MAX_RESPONSE_BYTES = 8 * 1024 * 1024
MAX_RATE_BYTES_PER_S = 4 * 1024 * 1024
_LIMITS = ("--max-filesize", str(MAX_RESPONSE_BYTES), "--limit-rate", str(MAX_RATE_BYTES_PER_S))

_CONFIG_ESCAPES = {"\\": "\\\\", '"': '\\"', "\t": "\\t", "\n": "\\n", "\r": "\\r", "\v": "\\v"}


_COMPLAINT = re.compile(rb"(?<![^\n])curl: option --?[a-z-]{1,40}: [a-z ]{1,60}(?=\r?\n|\Z)")
_NOT_ENDED = range(126, 256)  # exit codes of shells: it can't be run, or was killed by a signal
_LAST_STATUS = 999  # curl accepts any status of three digits
_LONGEST_TIMEOUT_S = 60.0
_LATE_S = 5.0  # how long after its timeout curl may end, in a container without CPU time

# The members of the report that are used, in addition to the times.
_REPORT_FIELDS = frozenset({"errormsg", "http_code", "local_ip", "local_port", "remote_ip", "remote_port"})


class CurlExit(IntEnum):
    """The exit codes that describe the path or the server; all others are failures of curl itself."""

    OK = 0
    UNSUPPORTED_PROTOCOL = 1  # after connecting: the response is not HTTP
    COULDNT_RESOLVE_HOST = 6
    COULDNT_CONNECT = 7
    WEIRD_SERVER_REPLY = 8
    PARTIAL_FILE = 18
    OPERATION_TIMEDOUT = 28
    INTERFACE_FAILED = 45  # the local port is in use
    GOT_NOTHING = 52
    SEND_ERROR = 55
    RECV_ERROR = 56
    FILESIZE_EXCEEDED = 63  # the server answered; the rest of the body was not read


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


@dataclass(frozen=True, slots=True)
class CurlRequest:
    """The request to send.

    `path` contains visible ASCII without '#'; header names are tokens, values contain no NUL or line breaks; the body
    is UTF-8 without NUL. `keep_body`: return the response body. `family`: the version of IP to use, even if
    the name has addresses of another one; None: any.
    """

    protocol: str
    host: str
    port: int
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    timeout_s: float
    local_port: int
    keep_body: bool
    family: IpFamily | None = None


def argv(request: CurlRequest) -> tuple[tuple[str, ...], bytes]:
    """The command, and the data for its stdin."""
    words = [
        "curl",
        "-q",  # must be first; otherwise ~/.curlrc is read
        "--silent",
        "--noproxy",
        "*",
        "--globoff",
        "--path-as-is",
        "--proto",
        "=http,https",
        "--http1.1",
        "--local-port",
        str(request.local_port),
        "--max-time",
        f"{request.timeout_s:g}",  # before 7.87 curl expects the decimal separator of the locale: avoid it
        "--write-out",
        "%{stderr}%{json}",
    ]
    if request.family is not None:
        words.append(f"--ipv{request.family.value}")
    if request.method == "HEAD":
        words.append("--head")
    else:
        words += ["--request", request.method]
    if not request.keep_body:
        words += ["--output", "/dev/null"]
    return (*words, *_LIMITS, "--config", "-"), _config(request)


def _url(request: CurlRequest) -> str:
    host = parse_address(request.host) or request.host
    return f"{request.protocol}://{with_port(host, request.port)}{request.path}"


def _config(request: CurlRequest) -> bytes:
    """URL, headers and body as lines of a config file. `Name;` sends an empty value; `Name:` would remove the
    header.
    """
    lines = [f"url = {_quoted(_url(request))}"]
    lines += [
        f"header = {_quoted(f'{name}: {value}' if value else f'{name};')}" for name, value in request.headers
    ]
    if request.body:
        # data-raw: a leading @ does not name a file
        lines.append(f"data-raw = {_quoted(request.body.decode())}")
    return "".join(f"{text}\n" for text in lines).encode()


def _quoted(text: str) -> str:
    return '"' + "".join(_CONFIG_ESCAPES.get(char, char) for char in text) + '"'


def only_report(stderr: bytes) -> bytes:
    """The report with only the members that are used here: others contain URLs, including that of a redirect. Nothing
    else is kept but a complaint about an option: a wrapper of curl may trace the request with its headers. b"{" if it
    is no report.
    """
    if b"{" not in stderr:
        return _complaint(stderr)
    try:
        report = json.loads(_report_of(stderr))
    except (ValueError, RecursionError):
        return b"{"
    if not isinstance(report, dict):
        return b"{"
    kept = {
        name: value for name, value in report.items() if name in _REPORT_FIELDS or name.startswith("time_")
    }
    return json.dumps(kept).encode()


def _report_of(stderr: bytes) -> bytes:
    """What follows warnings and the like."""
    return stderr[stderr.find(b"{") :] if b"{" in stderr else b""


def _complaint(stderr: bytes) -> bytes:
    """What curl says about an option that it does not know; options contain nothing of a request."""
    found = _COMPLAINT.search(stderr)
    return found[0] if found else b""


def parse_report(reading: Reading, timeout_s: float = _LONGEST_TIMEOUT_S) -> ClientReport | Unavailable:
    """The report; Unavailable(UnparsableOutput) if this curl writes none (before 7.70), or its numbers are impossible
    for a request with this timeout. A truncated body does not matter.
    """
    if isinstance(reading, Unavailable):
        return reading
    report = _parse_report(replace(reading, truncated=False))
    if isinstance(report, Unavailable):
        return report
    if report.timings.longest > timeout_s + _LATE_S:
        message = f"curl reports a request of more than {timeout_s:g} s, its timeout"
        return Unavailable(EvidenceError.UNPARSABLE, message, reading.at)
    return replace(report, body_cut=reading.truncated or report.exit_code == CurlExit.FILESIZE_EXCEEDED)


@parser("curl", exit_codes=range(256))
def _parse_report(answer: Answer) -> ClientReport | Unavailable:
    if answer.exit_code in _NOT_ENDED:
        message = f"curl: exit code {answer.exit_code}: it was killed, or could not be run"
        return Unavailable(EvidenceError.COMMAND_FAILED, message, answer.at)
    text = _report_of(answer.stderr)
    if not text:
        said = _complaint(answer.stderr).decode() or "nothing"
        message = f"curl exit {answer.exit_code} without a report (is it older than 7.70?): {said}"
        return Unavailable(EvidenceError.UNPARSABLE, message, answer.at)
    report = _json(text)
    status = report["http_code"].integer(0)
    if not 0 <= status <= _LAST_STATUS:
        raise ValueError("http_code is not a status code")
    timings = Timings(
        name_lookup=_time(report["time_namelookup"]),
        connect=_time(report["time_connect"]),
        tls=_time(report["time_appconnect"]),
        first_byte=_time(report["time_starttransfer"]),
        total=_time(report["time_total"]),
    )
    return ClientReport(
        failure=_FAILURES.get(answer.exit_code, ClientFailure.CLIENT_FAILED),
        exit_code=answer.exit_code,
        error=line(report["errormsg"].text("")),
        connected=timings.connect > 0 or status > 0,
        status=status,
        local_ip=_address(report["local_ip"]),
        local_port=_port(report["local_port"]),
        remote_ip=_address(report["remote_ip"]),
        remote_port=_port(report["remote_port"]),
        timings=timings,
        body=answer.stdout,
    )


def _json(text: bytes) -> Json:
    """Without the decoder's message, which may quote what a wrapper of curl has printed."""
    try:
        return Json(json.loads(text))
    except ValueError:
        raise ValueError("what it printed is not a report") from None


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
