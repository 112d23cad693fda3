"""Reports of curl 8.14 in a pod of a live cluster, one for each outcome of a request."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Unavailable
from datapath_probe.sources.client_report import ClientReport, Timings
from datapath_probe.sources.curl.curl_exit import CurlExit
from datapath_probe.sources.curl.report import parse_report
from datapath_probe.sources.curl.request import CurlRequest, argv
from datapath_probe.sources.curl.write_out import template
from unit.sources.golden import answer, recordings

XWING, DEATHSTAR, SERVICE = map(ip_address, ("10.244.1.124", "10.244.0.143", "10.96.46.197"))


def report(name: str) -> ClientReport:
    """The report with this name."""
    read = parse_report(answer("curl", name))
    assert isinstance(read, ClientReport)
    return read


def test_the_builder_makes_the_recorded_command() -> None:
    """The recording is from before responses were limited, the URL was passed on stdin, and curl printed only what is
    used.
    """
    request = CurlRequest(
        protocol="http",
        host="deathstar.cilium-data.svc",
        port=80,
        method="POST",
        path="/v1/request-landing",
        headers=(("X-Ship", "xwing"),),
        body=b"",
        timeout_s=5,
        local_port=24337,
        keep_body=True,
    )
    words, stdin = argv(request)
    *recorded, config, from_stdin, url, its_value = recordings("curl")["delivered"].argv
    assert (config, from_stdin, url) == ("--config", "-", "--url")
    limits = ("--max-filesize", "8388608", "--limit-rate", "4194304")
    changed = {"=http,https": "=http", "%{stderr}%{json}": template(certificates=False)}
    now = (changed.get(word, word) for word in recorded)
    assert words == (*now, *limits, config, from_stdin)
    assert stdin.decode() == f'url = "{its_value}"\nheader = "X-Ship: xwing"\n'


def test_a_request_with_a_response() -> None:
    assert report("delivered") == ClientReport(
        failure=None,
        exit_code=0,
        error="",
        connected=True,
        status=200,
        local_ip=XWING,
        local_port=24337,
        remote_ip=SERVICE,
        remote_port=80,
        timings=Timings(name_lookup=0.00465, connect=0.005165, tls=0.0, first_byte=0.007192, total=0.007479),
        body=b"Ship landed\n",
    )


def test_a_truncated_body_does_not_affect_the_report() -> None:
    recorded = answer("curl", "delivered")
    cut = parse_report(replace(recorded, stdout=b"Ship", truncated=True))
    assert cut == replace(report("delivered"), body=b"Ship", body_cut=True)
    without_end = replace(recorded, stderr=recorded.stderr[:-1], truncated=True)
    unavailable = parse_report(without_end)
    assert isinstance(unavailable, Unavailable)
    assert unavailable.reason == EvidenceError.UNPARSABLE


@pytest.mark.parametrize(
    ("name", "exit_code", "error"),
    [
        (
            "refused",
            CurlExit.COULDNT_CONNECT,
            f"Failed to connect to {DEATHSTAR} port 81 after 0 ms: Could not connect to server",
        ),
        ("not resolved", CurlExit.COULDNT_RESOLVE_HOST, "Could not resolve host: unknown.invalid"),
        ("no connection", CurlExit.OPERATION_TIMEDOUT, "Connection timed out after 1503 milliseconds"),
        ("port in use", CurlExit.INTERFACE_FAILED, "bind failed with errno 98: Address already in use"),
    ],
)
def test_without_a_connection_curl_knows_no_addresses(name: str, exit_code: CurlExit, error: str) -> None:
    failed = report(name)
    assert (failed.exit_code, failed.error, failed.status) == (exit_code, error, 0)
    assert (failed.local_ip, failed.local_port, failed.remote_ip, failed.remote_port) == (None, 0, None, 0)
    assert (failed.timings.connect, failed.timings.first_byte, failed.body) == (0, 0, b"")
    assert failed.timings.total > 0


@pytest.mark.parametrize(
    ("name", "local_port", "exit_code", "status", "body", "error"),
    [
        ("unavailable", 24341, CurlExit.OK, 503, b"503\n", ""),
        ("head", 24343, CurlExit.OK, 204, b"", ""),
        ("reset", 24342, CurlExit.RECV_ERROR, 0, b"", "Recv failure: Connection reset by peer"),
        (
            "no answer",
            19999,
            CurlExit.OPERATION_TIMEDOUT,
            0,
            b"",
            "Operation timed out after 3002 milliseconds with 0 bytes received",
        ),
    ],
)
def test_with_a_connection_curl_knows_both_ends(
    name: str, local_port: int, exit_code: CurlExit, status: int, body: bytes, error: str
) -> None:
    ended = report(name)
    assert (ended.exit_code, ended.status, ended.body, ended.error) == (exit_code, status, body, error)
    assert (ended.local_ip, ended.local_port) == (XWING, local_port)
    assert (ended.remote_ip, ended.remote_port) == (DEATHSTAR, 80)
    assert ended.timings.connect > 0
    assert (ended.timings.first_byte > 0) == (status > 0)
