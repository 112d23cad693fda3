"""Reports of the real curl of this machine: responses, failures, and old versions."""

import json
import re
import shutil
import socket
from ipaddress import ip_address

import pytest

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.sources.client_report import ClientFailure, ClientReport, Timings
from datapath_probe.sources.curl.curl_exit import CurlExit
from datapath_probe.sources.curl.report import parse_report
from datapath_probe.sources.curl.request import argv
from unit.sources.curl.curl_runs import free_port, report_of, request_to
from unit.sources.http_server import Server

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


def test_redirects_are_reported_and_not_followed(server: Server) -> None:
    server.response = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    assert report_of(request_to(server)).status == 302
    assert len(server.take()) == 1


def test_a_response_body_is_returned_byte_for_byte_or_not_at_all(server: Server) -> None:
    body = bytes(range(256))
    server.response = b"HTTP/1.1 200 OK\r\nContent-Length: 256\r\n\r\n" + body
    assert report_of(request_to(server)).body == body
    assert report_of(request_to(server, keep_body=False)).body == b""


MIB = 1024 * 1024


def _response(body_bytes: int, announced: int | None = None) -> bytes:
    """A response of x's. `announced`: its Content-Length; None: it is chunked."""
    body = b"x" * body_bytes
    if announced is not None:
        return f"HTTP/1.1 200 OK\r\nContent-Length: {announced}\r\n\r\n".encode() + body
    size = f"{body_bytes:x}\r\n".encode()
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + body + b"\r\n0\r\n\r\n"


def test_a_response_at_the_limit_is_read_to_its_end(server: Server) -> None:
    server.response = _response(8 * MIB, announced=8 * MIB)
    report = report_of(request_to(server))
    assert (report.failure, report.body_cut, len(report.body)) == (None, False, 8 * MIB)


def test_the_body_of_a_longer_response_is_not_read_and_the_server_did_answer(server: Server) -> None:
    server.response = _response(0, announced=8 * MIB + 1)
    report = report_of(request_to(server))
    assert (report.exit_code, report.failure) == (CurlExit.FILESIZE_EXCEEDED, None)
    assert (report.status, report.answered, report.body_cut, report.body) == (200, True, True, b"")


def test_a_response_that_does_not_end_is_read_at_a_limited_rate(server: Server) -> None:
    """However old curl is: since 8.4 it ends the transfer at the limit, before it reads on until the timeout."""
    server.response = _response(40 * MIB)
    report = report_of(request_to(server, timeout_s=3))
    if report.exit_code == CurlExit.FILESIZE_EXCEEDED:
        assert (report.failure, report.body_cut) == (None, True)
    else:
        assert report.failure is ClientFailure.TIMED_OUT
    # the first second may exceed the rate, and on a busy machine the request ends late
    assert len(report.body) < (max(3, report.timings.total) + 1) * 4 * MIB + 8 * MIB


@pytest.mark.parametrize("show_addresses", [False, True])
def test_long_headers_of_a_response_do_not_hide_the_verdict(server: Server, show_addresses: bool) -> None:
    """Less than the 100 KiB and 300 KiB that curl accepts of one header and of all."""
    headers = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 9_000) for number in range(10))
    server.response = b"HTTP/1.1 200 OK\r\n" + headers + b"Content-Length: 2\r\n\r\nok"
    request = request_to(server, show_addresses=show_addresses)
    report = report_of(request)
    assert (report.failure, report.status, report.local_port) == (None, 200, request.local_port)
    assert (report.body, report.body_cut) == (b"ok", False)
    assert report.tried == ((ip_address(server.host),) if show_addresses else ())


def test_a_message_that_curl_does_not_know_is_none() -> None:
    """As curl 7.74 prints it."""
    stderr = b"\nerrormsg:curl: unknown --write-out variable: 'errormsg'\n\n" + b'{"http_code":"000"}\n'
    report = parse_report(Answer(7, b"", stderr, at=0.0, duration_s=0.0))
    assert isinstance(report, ClientReport)
    assert (report.error, report.status) == ("", 0)


def test_refused(server: Server) -> None:
    report = report_of(request_to(server, port=free_port()))
    assert (report.exit_code, report.failure) == (CurlExit.COULDNT_CONNECT, ClientFailure.NOT_CONNECTED)
    assert not report.connected
    assert (report.local_ip, report.local_port, report.remote_ip, report.remote_port) == (None, 0, None, 0)
    assert report.timings.connect == 0


def test_a_server_that_does_not_respond_is_a_timeout(server: Server) -> None:
    server.response = None
    report = report_of(request_to(server, timeout_s=0.5))
    assert (report.exit_code, report.failure) == (CurlExit.OPERATION_TIMEDOUT, ClientFailure.TIMED_OUT)
    assert report.connected
    assert report.timings.connect > 0
    assert report.timings.first_byte == 0
    assert 0.4 < report.timings.total < 5  # curl rounds its clock down


@pytest.mark.parametrize(("timeout_s", "word"), [(5.0, "5"), (0.25, "0.25"), (30, "30")])
def test_whole_seconds_need_no_decimal_separator(server: Server, timeout_s: float, word: str) -> None:
    words, _ = argv(request_to(server, timeout_s=timeout_s))
    assert words[words.index("--max-time") + 1] == word


def test_a_port_in_use_is_distinguished_from_a_refusal(server: Server) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:  # noqa: S104  # whichever address curl binds
        report = report_of(request_to(server, local_port=taken.getsockname()[1]))
    assert (report.exit_code, report.failure) == (
        CurlExit.INTERFACE_FAILED,
        ClientFailure.LOCAL_PORT_IN_USE,
    )
    assert server.take() == []


@pytest.mark.parametrize(
    ("response", "exit_code", "failure", "status"),
    [
        (b"", CurlExit.GOT_NOTHING, ClientFailure.NO_RESPONSE, 0),
        (b"SSH-2.0-OpenSSH_9.7\r\n", CurlExit.UNSUPPORTED_PROTOCOL, ClientFailure.NOT_HTTP, 0),
        (b"HTTP/9.9 hello\r\n\r\n", CurlExit.UNSUPPORTED_PROTOCOL, ClientFailure.NOT_HTTP, 0),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
            CurlExit.PARTIAL_FILE,
            ClientFailure.CUT_SHORT,
            200,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            CurlExit.RECV_ERROR,
            ClientFailure.CUT_SHORT,
            200,
        ),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", CurlExit.OK, None, 503),
        (b"HTTP/1.1 204 None\r\n\r\n", CurlExit.OK, None, 204),
    ],
)
def test_each_failure_of_a_server_has_its_own_exit_code(
    server: Server, response: bytes, exit_code: CurlExit, failure: ClientFailure | None, status: int
) -> None:
    server.response = response
    report = report_of(request_to(server))
    assert (report.exit_code, report.failure, report.status) == (exit_code, failure, status)
    assert report.connected
    assert report.timings.connect > 0
    assert bool(report.error) == (failure is not None)
    assert report.answered == (failure is None)


@pytest.mark.parametrize("exit_code", [2, 3, 22, 23, 27, 47, 61, 77, 125])
def test_other_exit_codes_are_failures_of_curl(exit_code: int) -> None:
    report_json = b'{"errormsg":"out of memory","http_code":0}'
    report = parse_report(Answer(exit_code, b"", report_json, at=0.0, duration_s=0.0))
    assert isinstance(report, ClientReport)
    assert report.failure is ClientFailure.CLIENT_FAILED
    assert report.error_text == f"curl exit {exit_code}: out of memory"


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        (b"", "nothing"),
        (b"curl: option --x: is unknown\ntry 'curl --help'\n", "curl: option --x: is unknown"),
    ],
)
def test_a_curl_too_old_to_report_is_named(stderr: bytes, said: str) -> None:
    unavailable = parse_report(Answer(2, b"", stderr, at=0.0, duration_s=0.0))
    assert isinstance(unavailable, Unavailable)
    assert unavailable.reason == EvidenceError.UNPARSABLE
    assert re.search("older than 7.70", unavailable.message)
    assert unavailable.message.endswith(said)


def test_the_first_curl_with_a_report_has_no_message() -> None:
    seven_seventy = b'{"http_code":0,"local_ip":null,"local_port":0,"remote_ip":null,"time_total":0.1}'
    report = parse_report(Answer(7, b"", b"Warning: old\n" + seven_seventy, at=0.0, duration_s=0.0))
    assert isinstance(report, ClientReport)
    assert (report.exit_code, report.error, report.local_ip, report.remote_port) == (7, "", None, 0)
    assert report.timings == Timings(name_lookup=0, connect=0, tls=0, first_byte=0, total=0.1)


@pytest.mark.parametrize("number", ["true", '"1"', "[]", "NaN", "Infinity", "1e999", "9" * 400])
def test_a_report_with_an_invalid_time_is_unparsable(number: str) -> None:
    stderr = f'{{"http_code":200,"time_total":{number}}}'.encode()
    unavailable = parse_report(Answer(0, b"", stderr, at=0.0, duration_s=0.0))
    assert isinstance(unavailable, Unavailable)
    assert unavailable.reason == EvidenceError.UNPARSABLE


@pytest.mark.parametrize(
    "member",
    [
        *({"remote_port": 65536}, {"remote_port": 10**30}, {"remote_port": -2}, {"local_port": 70000}),
        *({"http_code": 1000}, {"http_code": 10**30}, {"http_code": -1}),
        *({"time_total": 1e300}, {"time_total": -1e300}, {"time_connect": 7.1}, {"time_namelookup": -0.1}),
    ],
    ids=str,
)
def test_a_report_with_an_impossible_number_is_unparsable(member: dict[str, float]) -> None:
    stderr = json.dumps({"http_code": 200, "time_total": 0.1, **member}).encode()
    unavailable = parse_report(Answer(0, b"", stderr, at=0.0, duration_s=0.0), timeout_s=2.0)
    assert isinstance(unavailable, Unavailable)
    assert unavailable.reason == EvidenceError.UNPARSABLE


def test_a_report_may_have_the_largest_possible_numbers() -> None:
    largest = {"http_code": 999, "remote_port": 65535, "local_port": 65535, "time_total": 7.0}
    report = parse_report(Answer(0, b"", json.dumps(largest).encode(), at=0.0, duration_s=0.0), 2.0)
    assert isinstance(report, ClientReport)
    assert (report.status, report.remote_port, report.timings.total) == (999, 65535, 7.0)


@pytest.mark.parametrize("exit_code", [126, 127, 137, 143])
def test_a_curl_that_did_not_run_or_was_killed_has_no_report(exit_code: int) -> None:
    unavailable = parse_report(Answer(exit_code, b"", b'{"http_code":200}', at=0.0, duration_s=0.0))
    assert isinstance(unavailable, Unavailable)
    assert unavailable.reason == EvidenceError.COMMAND_FAILED
