"""Requests by the real curl of this machine: requests arrive byte for byte, and nothing else happens."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.sources import curl
from datapath_probe.sources.client_report import ClientFailure, ClientReport, Timings
from datapath_probe.sources.curl import CurlExit, CurlRequest
from unit.sources.http_server import OK, Received, Server, serving

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")

SECRET = "s3cr3t"  # noqa: S105  # what must not be seen in a process list


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture(autouse=True)
def _fresh(server: Server) -> None:
    server.take()
    server.response = OK


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def request_to(server: Server, **changes: object) -> CurlRequest:
    """A plain request to the server."""
    plain = CurlRequest(
        protocol="http",
        host=server.host,
        port=server.port,
        method="POST",
        path="/v1/request-landing",
        headers=(),
        body=b"",
        timeout_s=10,
        local_port=free_port(),
        keep_body=True,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # a test's shorthand


def run(request: CurlRequest, **environment: str) -> ClientReport | Unavailable:
    """Send it, and parse the report."""
    argv, stdin = curl.argv(request)
    done = subprocess.run(
        argv, input=stdin or b"", capture_output=True, timeout=30, env=os.environ | environment, check=False
    )
    return curl.parse_report(Answer(done.returncode, done.stdout, done.stderr, at=0.0, duration_s=0.0))


def report_of(request: CurlRequest, **environment: str) -> ClientReport:
    report = run(request, **environment)
    assert isinstance(report, ClientReport), report
    return report


def delivered(server: Server, **changes: object) -> Received:
    """Send a request with these changes and return what the server received."""
    report = report_of(request_to(server, **changes))
    assert (report.exit_code, report.status) == (CurlExit.OK, 200), report
    (received,) = server.take()
    return received


def test_a_plain_request_and_its_report(server: Server) -> None:
    request = request_to(server)
    report = report_of(request)
    (received,) = server.take()
    assert received.line == b"POST /v1/request-landing HTTP/1.1"
    assert received.peer_port == request.local_port
    assert received.body == b""
    assert (report.local_ip, report.local_port) == (ip_address("127.0.0.1"), request.local_port)
    assert (report.remote_ip, report.remote_port) == (ip_address(server.host), server.port)
    assert (report.status, report.body, report.error) == (200, b"ok", "")
    timings = report.timings
    assert 0 < timings.connect < timings.first_byte <= timings.total < 10
    assert timings.tls == 0


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_can_have_a_body(server: Server, method: str) -> None:
    received = delivered(server, method=method, body=b"x")
    assert received.line == f"{method} /v1/request-landing HTTP/1.1".encode()
    assert received.body == b"x"


def test_head_waits_for_no_body(server: Server) -> None:
    server.response = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    assert delivered(server, method="HEAD", keep_body=False).line.startswith(b"HEAD /")


VALUES = [
    "",
    '"quoted"',
    "back\\slash \\n \\",
    "$(id) `id` ${HOME} %{json} %TMP%",
    "a\tb",
    "@/etc/passwd",
    "</etc/passwd",
    "ünïcødé ☃ \N{PILE OF POO}",
    "a: b; c=d, {1,2} [1-3] #e",
    "-H --output=x",
    '" url = "file:///etc/passwd',
    "\N{NO-BREAK SPACE}\x80\u2028",
    "x" * 1024,
]


@pytest.mark.parametrize("value", VALUES)
def test_header_values_arrive_byte_for_byte(server: Server, value: str) -> None:
    received = delivered(server, headers=(("X-Before", "1"), ("X-Value", value), ("X-After", "2")))
    expected = (b"X-Before: 1", b"X-Value:" + (f" {value}".encode() if value else b""), b"X-After: 2")
    assert received.headers[-3:] == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [("User-Agent", "probe"), ("Accept", "text/x"), ("Host", "deathstar"), ("Content-Type", "text/plain")],
)
def test_default_headers_of_curl_are_replaced(server: Server, name: str, value: str) -> None:
    received = delivered(server, headers=((name, value),), body=b"x")
    same = [line for line in received.headers if line.lower().startswith(f"{name.lower()}:".encode())]
    assert same == [f"{name}: {value}".encode()]


def test_headers_with_the_same_name_all_arrive_in_order(server: Server) -> None:
    received = delivered(server, headers=(("X-A", "1"), ("X-A", "2"), ("X-A", "1")))
    assert received.headers[-3:] == (b"X-A: 1", b"X-A: 2", b"X-A: 1")


def test_the_largest_request_arrives(server: Server) -> None:
    headers = tuple((f"X-{i}", '"\\' * 512) for i in range(16))
    body = b'"\\\n\t' * 1024
    received = delivered(server, headers=headers, body=body)
    assert received.headers[3:19] == tuple(f"{name}: {value}".encode() for name, value in headers)
    assert received.body == body


BODIES = [
    "a\nb",
    "\n",
    "\r\n\r\n",
    "\r",
    "\v\f\b\a\x1b\x7f",
    "@/etc/passwd",
    "@-",
    '"',
    "\\",
    '\\"\\n\\',
    '"\nurl = "file:///etc/passwd"',
    '"\noutput = "/tmp/stolen"\n#',
    "name=a&b=c%00",
    "<@;type=x",
    '{"json": ["ünïcødé", "☃"]}',
    " leading and trailing ",
    "\t" * 4096,
]


@pytest.mark.parametrize("body", BODIES)
def test_bodies_arrive_byte_for_byte(server: Server, body: str) -> None:
    received = delivered(server, body=body.encode())
    assert received.body == body.encode()
    assert f"Content-Length: {len(body.encode())}".encode() in received.headers


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/{1,2}",
        "/[1-3]",
        "//a//b",
        "/../../etc/passwd",
        "/./a/../b",
        "/?",
        "/a?b=c&d=%20?",
        "/%00%0d%0aX:1",
        "/'\"$(id)`id`;|&<>\\^",
        "/@127.0.0.1/x:1",
        "/" + "a" * 2047,
    ],
)
def test_paths_arrive_as_they_are(server: Server, path: str) -> None:
    assert delivered(server, path=path).line == f"POST {path} HTTP/1.1".encode()


def test_headers_and_body_are_not_in_the_process_list(server: Server) -> None:
    argv, stdin = curl.argv(request_to(server, headers=(("Authorization", SECRET),), body=SECRET.encode()))
    assert SECRET not in " ".join(argv)
    assert stdin is not None
    assert stdin.count(SECRET.encode()) == 2


def test_a_query_is_not_in_the_process_list(server: Server) -> None:
    request = request_to(server, path=f"/login?token={SECRET}")
    argv, _ = curl.argv(request)
    assert SECRET not in " ".join(argv)
    report_of(request)
    assert [received.line for received in server.take()] == [f"POST {request.path} HTTP/1.1".encode()]


def test_without_headers_and_body_nothing_goes_to_stdin(server: Server) -> None:
    argv, stdin = curl.argv(request_to(server))
    assert stdin is None
    assert "--config" not in argv


TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"  # noqa: S105
FRAMING = {"connection", "content-length", "expect", "transfer-encoding", "upgrade"}  # the API rejects these
names = st.text(st.sampled_from(TOKEN), min_size=1, max_size=64).filter(lambda n: n.lower() not in FRAMING)
controls = "".join(chr(code) for code in (*range(32), 127) if chr(code) != "\t")
values = st.text(st.characters(codec="utf-8", exclude_characters=controls), max_size=60)
bodies = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200)
visible = st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#")


@settings(max_examples=60)
@given(
    headers=st.lists(st.tuples(names, values.map(lambda value: value.strip(" \t"))), max_size=4).map(tuple),
    body=bodies,
    path=st.text(visible, max_size=60).map(lambda rest: f"/{rest}"),
)
def test_everything_that_the_api_accepts_arrives(
    server: Server, headers: tuple[tuple[str, str], ...], body: str, path: str
) -> None:
    received = delivered(server, headers=headers, body=body.encode(), path=path)
    assert received.line == f"POST {path} HTTP/1.1".encode()
    assert received.body == body.encode()
    lines = iter(received.headers)
    for name, value in headers:
        assert f"{name}: {value}".rstrip(" ").encode() in lines, "in this order, with others between"


def test_settings_of_the_container_have_no_effect(server: Server, tmp_path: Path) -> None:
    (tmp_path / ".curlrc").write_text('proxy = "http://127.0.0.1:9"\nheader = "X-Evil: 1"\nfail\nlocation\n')
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login evil password evil\n")
    proxies = dict.fromkeys(
        ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"), "http://127.0.0.1:9"
    )
    home = str(tmp_path)
    report = report_of(
        request_to(server), HOME=home, CURL_HOME=home, XDG_CONFIG_HOME=home, no_proxy="", **proxies
    )
    assert report.status == 200
    (received,) = server.take()
    assert not [line for line in received.headers if b"vil" in line or line.startswith(b"Authorization")]


def test_a_client_with_both_ip_versions_uses_ipv4() -> None:
    with serving(socket.AF_INET6) as server:
        assert report_of(request_to(server, over_ipv4=True)).remote_ip is None
    with serving(socket.AF_INET) as server:
        assert report_of(request_to(server, over_ipv4=True)).remote_ip == ip_address("127.0.0.1")


def test_ipv6_addresses_are_in_brackets() -> None:
    with serving(socket.AF_INET6) as server:
        report = report_of(request_to(server))
        assert (report.status, report.local_ip, report.remote_ip) == (
            200,
            ip_address("::1"),
            ip_address("::1"),
        )
        (received,) = server.take()
        assert received.headers[0] == f"Host: [::1]:{server.port}".encode()


def test_redirects_are_reported_and_not_followed(server: Server) -> None:
    server.response = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    assert report_of(request_to(server)).status == 302
    assert len(server.take()) == 1


def test_a_response_body_is_returned_byte_for_byte_or_not_at_all(server: Server) -> None:
    body = bytes(range(256))
    server.response = b"HTTP/1.1 200 OK\r\nContent-Length: 256\r\n\r\n" + body
    assert report_of(request_to(server)).body == body
    assert report_of(request_to(server, keep_body=False)).body == b""


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
    argv, _ = curl.argv(request_to(server, timeout_s=timeout_s))
    assert argv[argv.index("--max-time") + 1] == word


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
    report = curl.parse_report(Answer(exit_code, b"", report_json, at=0.0, duration_s=0.0))
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
    unavailable = curl.parse_report(Answer(2, b"", stderr, at=0.0, duration_s=0.0))
    assert isinstance(unavailable, Unavailable)
    assert unavailable.reason == EvidenceError.UNPARSABLE
    assert re.search("older than 7.70", unavailable.message)
    assert unavailable.message.endswith(said)


def test_the_first_curl_with_a_report_has_no_message() -> None:
    seven_seventy = b'{"http_code":0,"local_ip":null,"local_port":0,"remote_ip":null,"time_total":0.1}'
    report = curl.parse_report(Answer(7, b"", b"Warning: old\n" + seven_seventy, at=0.0, duration_s=0.0))
    assert isinstance(report, ClientReport)
    assert (report.exit_code, report.error, report.local_ip, report.remote_port) == (7, "", None, 0)
    assert report.timings == Timings(name_lookup=0, connect=0, tls=0, first_byte=0, total=0.1)


@pytest.mark.parametrize("number", ["true", '"1"', "[]", "NaN", "Infinity", "1e999", "9" * 400])
def test_a_report_with_an_invalid_time_is_unparsable(number: str) -> None:
    stderr = f'{{"http_code":200,"time_total":{number}}}'.encode()
    unavailable = curl.parse_report(Answer(0, b"", stderr, at=0.0, duration_s=0.0))
    assert isinstance(unavailable, Unavailable)
    assert unavailable.reason == EvidenceError.UNPARSABLE


@pytest.mark.parametrize("exit_code", [126, 127, 137, 143])
def test_a_curl_that_did_not_run_or_was_killed_has_no_report(exit_code: int) -> None:
    unavailable = curl.parse_report(Answer(exit_code, b"", b'{"http_code":200}', at=0.0, duration_s=0.0))
    assert isinstance(unavailable, Unavailable)
    assert unavailable.reason == EvidenceError.COMMAND_FAILED
