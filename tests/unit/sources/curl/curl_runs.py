"""Runs the real curl of this machine against a server on loopback, for the tests of `sources.curl`."""

import os
import socket
import subprocess
from dataclasses import replace

from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.kube.exec.one_shot import STDERR_END, STDERR_LIMIT, Capped
from datapath_probe.sources.client_report import ClientReport
from datapath_probe.sources.curl.curl_exit import CurlExit
from datapath_probe.sources.curl.report import parse_report
from datapath_probe.sources.curl.request import CurlRequest, argv
from unit.sources.http_server import Received, Server


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
    """Send it, and parse the report, with as much of it as an exec keeps."""
    words, stdin = argv(request)
    done = subprocess.run(
        words, input=stdin, capture_output=True, timeout=30, env=os.environ | environment, check=False
    )
    stderr = Capped("curl", STDERR_LIMIT, STDERR_END)
    stderr.add(done.stderr)
    return parse_report(
        Answer(done.returncode, done.stdout, stderr.kept, at=0.0, duration_s=0.0),
        protocol=request.protocol,
    )


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
