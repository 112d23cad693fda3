"""TLS and plain TCP by curl: this machine's, and recorded reports of other versions."""

import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from datapath_probe.evidence.reading import LEFT_OUT, Answer
from datapath_probe.sources.client_report import TLS_REFUSALS, ClientFailure, ClientReport
from datapath_probe.sources.curl.report import only_report, parse_report
from datapath_probe.sources.curl.request import Tls, argv
from datapath_probe.sources.curl.tls import certificate_expiry, tls_failure
from unit.sources.curl.curl_runs import free_port, report_of
from unit.sources.curl.pki import Pki
from unit.sources.curl.tls_servers import EXPIRES, Case, cases, request_of, serving, tls_server

needs_curl = pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("openssl")), reason="needs curl, openssl"
)
RECORDED = {path.stem: path for path in (Path(__file__).parents[3] / "data/curl-tls").glob("*.json")}
NAMES = (
    *(
        "good",
        "several CAs",
        "another name",
        "not verified",
        "unknown CA",
        "self-signed",
        "wrong name",
        "expired",
    ),
    *(
        "not yet valid",
        "client certificate, TLS 1.3",
        "old TLS",
        "no TLS",
        "reset",
        "closed",
        "unreadable CAs",
    ),
    *("TCP", "TCP, and TLS"),
)


@pytest.fixture(scope="module")
def all_cases(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Case]:
    return cases(Pki.create(tmp_path_factory.mktemp("pki")))


@needs_curl
def test_every_case_has_a_test(all_cases: Mapping[str, Case]) -> None:
    assert tuple(all_cases) == NAMES


@needs_curl
@pytest.mark.parametrize("name", NAMES)
def test_each_failure_of_tls_has_its_own_name(all_cases: Mapping[str, Case], name: str) -> None:
    case = all_cases[name]
    with serving(case.behavior) as (port, errors):
        request = request_of(case, port)
        report = report_of(request)
    assert report.failure is case.failure, report
    assert report.connected
    assert report.responded == (case.failure in TLS_REFUSALS | {None})
    assert report.timings.first_byte <= report.timings.total < 5
    if case.failure is None:
        assert (report.local_port, report.error) == (request.local_port, "")
        assert report.status == (0 if case.protocol == "tcp" else 200)
        assert (report.timings.tls > 0) == (case.protocol == "https")
    if case.protocol == "tcp":
        assert not any(isinstance(error, AssertionError) for error in errors)  # nothing was sent


@needs_curl
def test_the_certificates_to_trust_need_no_file_and_no_stdin(all_cases: Mapping[str, Case]) -> None:
    words, stdin = argv(request_of(all_cases["good"], 443))
    assert [word for word in words if "BEGIN CERTIFICATE" in word]
    assert b"CERTIFICATE" not in stdin
    assert words[words.index("--cacert") + 1] == "/proc/self/cmdline"
    last = len(words) - 1 - words[::-1].index("--noproxy")
    assert words[last + 1] == "*"  # the last one counts


@needs_curl
def test_the_name_of_the_server_changes_no_address(all_cases: Mapping[str, Case]) -> None:
    words, stdin = argv(request_of(all_cases["another name"], 8443))
    assert stdin.decode().splitlines() == [
        'url = "https://named.test:8443/"',
        'connect-to = "named.test:8443:127.0.0.1:8443"',
    ]
    assert "named.test" not in " ".join(words)


@pytest.mark.parametrize(("protocol", "scheme"), [("http", "=http"), ("https", "=https"), ("tcp", "=http")])
def test_no_other_protocol_is_possible(protocol: str, scheme: str) -> None:
    words, _ = argv(request_of(Case(lambda _: None, None, protocol=protocol), 80))
    assert words[words.index("--proto") + 1] == scheme


@needs_curl
def test_a_certificate_with_many_names_hides_neither_the_verdict_nor_the_expiry(tmp_path: Path) -> None:
    pki = Pki.create(tmp_path)
    ca = pki.authority("ca")
    certificate = pki.signed("many", ca, "20200101", EXPIRES, "many")
    case = Case(tls_server(certificate), None, Tls(trusted=ca.pem))
    with serving(case.behavior) as (port, _):
        request = request_of(case, port)
        report = report_of(request)
    assert (report.failure, report.status, report.local_port) == (None, 200, request.local_port)
    assert report.certificate_expires == datetime(2099, 1, 1, tzinfo=UTC).timestamp()


def test_the_expiry_of_another_certificate_is_not_that_of_the_server() -> None:
    stderr = (
        b"Subject:CN = a" + LEFT_OUT + b"Expire date:Jan  1 00:00:00 2099 GMT\n" + b'{"http_code":"200"}\n'
    )
    report = parse_report(Answer(0, b"", stderr, at=0.0, duration_s=0.0), protocol="https")
    assert isinstance(report, ClientReport)
    assert (report.status, report.certificate_expires) == (200, None)


@needs_curl
def test_a_closed_port_is_no_connection() -> None:
    report = report_of(request_of(Case(lambda _: None, None, protocol="tcp"), free_port()))
    assert (report.failure, report.connected) == (ClientFailure.NOT_CONNECTED, False)


def test_several_versions_are_recorded() -> None:
    assert len(RECORDED) >= 4


@pytest.mark.parametrize("version", RECORDED)
@pytest.mark.parametrize("name", NAMES)
@needs_curl
def test_other_versions_of_curl_report_the_same(
    all_cases: Mapping[str, Case], version: str, name: str
) -> None:
    case, recorded = all_cases[name], json.loads(RECORDED[version].read_text())[name]
    answer = Answer(
        recorded["exitCode"], b"", only_report(recorded["stderr"].encode()), at=0.0, duration_s=0.0
    )
    report = parse_report(answer, 5.0, case.protocol)
    assert isinstance(report, ClientReport)
    assert report.connected
    assert report.failure in ({case.failure, case.ended} if version.startswith("7.74") else {case.failure})
    if case.failure is None and case.protocol == "https" and not version.startswith("7.74"):
        year = {"not verified": 2021}.get(name, 2099)
        assert report.certificate_expires == datetime(year, 1, 1, tzinfo=UTC).timestamp()
    if case.protocol == "tcp":
        assert report.timings.connect > 0


@needs_curl
def test_the_expiry_is_kept_without_the_certificates(all_cases: Mapping[str, Case]) -> None:
    recorded = json.loads(RECORDED["8.14.1"].read_text())["good"]
    kept = only_report(recorded["stderr"].encode())
    assert b"BEGIN CERTIFICATE" not in kept
    assert json.loads(kept)["certs"] == f"Expire date:Jan  1 00:00:00 {EXPIRES[:4]} GMT"
    assert only_report(kept) == kept


@pytest.mark.parametrize(
    ("certificates", "expires"),
    [
        ("Subject:CN = x\nExpire date:Jun  1 00:00:00 2027 GMT\nCert:x", "2027-06-01"),
        ("Expire date:2027-06-01 00:00:00 GMT", "2027-06-01"),
        ("Expire date:Jun  1 00:00:00 2027 GMT\nExpire date:Jun  1 00:00:00 2030 GMT", "2027-06-01"),
        ("", None),
        ("Subject:Expire date:Jun  1 00:00:00 2027 GMT", None),
        ("Expire date:Jun 31 00:00:00 2027 GMT", None),
        ("Expire date:Jun  1 00:00:00 99999999 GMT", None),
        ("Expire date:" + "9" * 10**6, None),
    ],
)
def test_dates_of_certificates(certificates: str, expires: str | None) -> None:
    wanted = None if expires is None else datetime.fromisoformat(f"{expires}T00:00:00+00:00").timestamp()
    assert certificate_expiry(certificates) == wanted


@pytest.mark.parametrize(
    ("exit_code", "error", "result", "failure"),
    [
        (60, "SSL certificate problem: certificate revoked", 23, ClientFailure.CERTIFICATE_INVALID),
        (91, "No OCSP response received", 0, ClientFailure.CERTIFICATE_INVALID),
        (98, "", 0, ClientFailure.CLIENT_CERTIFICATE_REQUIRED),
        (
            35,
            "OpenSSL/3.0.19: error:0A000412:SSL routines::sslv3 alert bad certificate",
            1,
            ClientFailure.CLIENT_CERTIFICATE_REQUIRED,
        ),
        (56, "Recv failure: Connection reset by peer", 0, None),
        (7, "", 0, None),
        (0, "", 0, None),
    ],
)
def test_other_failures(exit_code: int, error: str, result: int, failure: ClientFailure | None) -> None:
    assert tls_failure(exit_code, error, result) is failure


@pytest.mark.parametrize("exit_code", [35, 60, 91, 98])
@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_a_request_without_tls_has_no_failure_of_tls(exit_code: int, protocol: str) -> None:
    stderr = json.dumps(
        {"http_code": 0, "local_port": 1, "certs": "Expire date:Jun  1 00:00:00 2027 GMT"}
    ).encode()
    report = parse_report(Answer(exit_code, b"", stderr, at=0.0, duration_s=0.0), 5.0, protocol)
    assert isinstance(report, ClientReport)
    assert (report.failure, report.certificate_expires) == (ClientFailure.CLIENT_FAILED, None)
