"""Requests by the real curl of this machine: requests arrive byte for byte, and nothing else happens."""

import shutil
import socket
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datapath_probe.addresses import IpFamily
from datapath_probe.sources.curl.request import argv
from unit.sources.curl.curl_runs import delivered, report_of, request_to
from unit.sources.http_server import Server, serving

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


SECRET = "s3cr3t"  # noqa: S105  # what must not be seen in a process list


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
    words, stdin = argv(request_to(server, headers=(("Authorization", SECRET),), body=SECRET.encode()))
    assert SECRET not in " ".join(words)
    assert stdin.count(SECRET.encode()) == 2


@pytest.mark.parametrize("path", [f"/login?token={SECRET}", f"/hooks/{SECRET}"])
def test_the_url_is_not_in_the_process_list(server: Server, path: str) -> None:
    request = request_to(server, path=path)
    words, _ = argv(request)
    assert SECRET not in " ".join(words)
    assert server.host not in " ".join(words)
    report_of(request)
    assert [received.line for received in server.take()] == [f"POST {path} HTTP/1.1".encode()]


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


def test_a_client_with_both_ip_versions_uses_the_one_of_the_path() -> None:
    with serving(socket.AF_INET6) as server:
        assert report_of(request_to(server, family=IpFamily.IPV4)).remote_ip is None
        assert report_of(request_to(server, family=IpFamily.IPV6)).remote_ip == ip_address("::1")
    with serving(socket.AF_INET) as server:
        assert report_of(request_to(server, family=IpFamily.IPV6)).remote_ip is None
        assert report_of(request_to(server, family=IpFamily.IPV4)).remote_ip == ip_address("127.0.0.1")


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
