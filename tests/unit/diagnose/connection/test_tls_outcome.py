"""HTTPS and TCP beside a working datapath: what the server or curl refuses is no fault of a hop before the response."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from datapath_probe.api.vocabulary import ExpectedOutcome, HopName, HopVerdict, ProbeVerdict
from datapath_probe.cli.replay import replayed
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.run.bundle import Bundle
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.reading import Answer
from datapath_probe.plan.request import Tls
from unit.recorded import recorded

DAY_S = 86400.0
NOTHING: Mapping[str, object] = {}
UNVERIFIED = "SSL certificate problem"
REFUSED = {"http_code": 0, "time_appconnect": 0, "time_starttransfer": 0}
NOWHERE = {"local_ip": "", "local_port": -1, "remote_ip": "", "remote_port": -1}
FAILED: Mapping[str, tuple[int, dict[str, object]]] = {
    "UnknownCA": (60, {"errormsg": UNVERIFIED, "ssl_verify_result": 20}),
    "CertificateNameMismatch": (60, {"errormsg": "SSL: certificate subject name 'x' does not match target"}),
    "CertificateExpired": (60, {"errormsg": UNVERIFIED, "ssl_verify_result": 10}),
    "CertificateNotYetValid": (60, {"errormsg": UNVERIFIED, "ssl_verify_result": 9}),
    "CertificateInvalid": (60, {"errormsg": UNVERIFIED, "ssl_verify_result": 23}),
    "TLSHandshakeFailed": (35, {"errormsg": "error:0A00010B:SSL routines::wrong version number"}),
    "ClientCertificateRequired": (56, {"errormsg": "tlsv13 alert certificate required"}),
}


def requested(protocol: str, report: Mapping[str, object] = NOTHING, exit_code: int = 0) -> PathRun:
    """A recorded run of HTTP as one of another protocol, with these changes of curl's report."""
    run = recorded("healthy-cross-node")
    reading = run.request.reading
    assert isinstance(reading, Answer)
    stderr = json.dumps(json.loads(reading.stderr) | dict(report)).encode()
    plan = replace(run.plan, request=replace(run.plan.request, protocol=protocol))
    reading = replace(reading, stderr=stderr, exit_code=exit_code)
    return replace(run, plan=plan, plan_after=plan, request=replace(run.request, reading=reading))


def expecting(run: PathRun, **expect: object) -> PathRun:
    return replace(run, plan=replace(run.plan, expect=replace(run.plan.expect, **expect)))  # type: ignore[arg-type]


def expiring(run: PathRun, in_days: float) -> dict[str, object]:
    """What curl reports of such a certificate."""
    at = datetime.fromtimestamp(run.request.started + in_days * DAY_S, UTC)
    return {"certs": f"Subject:CN = x\nExpire date:{at:%b %d %H:%M:%S %Y} GMT\nCert:x"}


def answer(diagnosis: Diagnosis) -> tuple[ProbeVerdict, str]:
    return diagnosis.verdict, diagnosis.reason


@pytest.mark.parametrize("reason", FAILED)
def test_a_failure_of_tls_is_one_of_the_response(reason: str) -> None:
    exit_code, report = FAILED[reason]
    run = requested("https", {**REFUSED, **report}, exit_code)
    diagnosis = diagnose(replace(run, second_look=True))
    assert answer(diagnosis) == (ProbeVerdict.BROKEN, reason)
    assert diagnosis.divergence is not None
    assert diagnosis.divergence.hop is HopName.DESTINATION_RESPONSE
    others = [f for f in diagnosis.findings if f.hop is not HopName.DESTINATION_RESPONSE]
    assert {f.verdict for f in others} == {HopVerdict.OK}
    assert str(report["errormsg"]) in diagnosis.message


def test_a_report_without_addresses_is_enough_for_a_failure_of_tls() -> None:
    """As of curl 8.14, which closes the connection before it reports."""
    _, report = FAILED["UnknownCA"]
    run = requested("https", {**REFUSED, **NOWHERE, **report}, 60)
    assert answer(diagnose(replace(run, second_look=True))) == (ProbeVerdict.BROKEN, "UnknownCA")


@pytest.mark.parametrize(
    ("exit_code", "reason"), [(77, "TrustStoreUnreadable"), (58, "CurlFailed"), (1, "NoResponse")]
)
def test_what_curl_itself_can_not_do_is_unknown(exit_code: int, reason: str) -> None:
    diagnosis = diagnose(
        replace(requested("https", {"http_code": 0, "errormsg": "no"}, exit_code), second_look=True)
    )
    assert (diagnosis.met is None) == (exit_code != 1)
    assert diagnosis.reason == reason


@pytest.mark.parametrize("protocol", ["http", "https", "tcp"])
def test_a_curl_without_the_protocol_says_nothing_about_the_path(protocol: str) -> None:
    report = {"http_code": 0, "time_connect": 0, "errormsg": "Protocol not supported", **NOWHERE}
    assert answer(diagnose(requested(protocol, report, 1))) == (ProbeVerdict.UNKNOWN, "CurlFailed")


@pytest.mark.parametrize(
    ("days", "verdict", "reason"), [(31, "Healthy", "AllHopsOk"), (29, "Degraded", "CertificateExpiresSoon")]
)
def test_a_certificate_that_expires_soon_degrades(days: float, verdict: str, reason: str) -> None:
    run = requested("https")
    run = requested("https", expiring(run, days))
    diagnosis = diagnose(expecting(run, certificate_expires_after_s=30 * DAY_S))
    assert answer(diagnosis) == (verdict, reason)
    assert diagnosis.met


def test_a_curl_that_does_not_say_when_it_expires_leaves_it_open() -> None:
    diagnosis = diagnose(expecting(requested("https"), certificate_expires_after_s=DAY_S))
    assert answer(diagnosis) == (ProbeVerdict.UNKNOWN, "CertificateNotReported")
    assert "7.88" in diagnosis.message


def test_an_accepted_certificate_can_not_have_expired() -> None:
    run = requested("https")
    run = requested("https", expiring(run, -2))
    assert answer(diagnose(run)) == (ProbeVerdict.UNKNOWN, "ImplausibleClientReport")
    not_verified = replace(run.plan.request, tls=Tls(verify=False))
    assert diagnose(replace(run, plan=replace(run.plan, request=not_verified))).met


def test_the_expiry_outlives_a_bundle() -> None:
    run = requested("https")
    run = expecting(requested("https", expiring(run, 29)), certificate_expires_after_s=30 * DAY_S)
    read = Bundle.from_json(Bundle(run).to_json()).run
    assert diagnose(read).reason == "CertificateExpiresSoon"
    assert read.plan == run.plan


CONNECTED = {"http_code": 0, "time_starttransfer": 0, "errormsg": "Could only read 0 bytes from the input"}


@pytest.mark.parametrize("exit_code", [26, 43])
def test_tcp_that_connects_is_healthy(exit_code: int) -> None:
    diagnosis = diagnose(requested("tcp", CONNECTED, exit_code))
    assert answer(diagnosis) == (ProbeVerdict.HEALTHY, "AllHopsOk")
    assert diagnosis.report is not None
    assert diagnosis.report.error == ""
    response = next(f for f in diagnosis.findings if f.hop is HopName.DESTINATION_RESPONSE)
    assert "the connection was established" in response.message


@pytest.mark.parametrize(
    "forged",
    [
        {"http_code": 200},
        {"local_port": 0},
        {"local_ip": "192.0.2.1"},
        {"local_port": 1},
    ],
    ids=str,
)
def test_a_report_of_tcp_must_fit_the_run(forged: dict[str, object]) -> None:
    diagnosis = diagnose(requested("tcp", {**CONNECTED, **forged}, 26))
    assert answer(diagnosis) == (ProbeVerdict.UNKNOWN, "ImplausibleClientReport")


def test_tcp_is_shown_as_a_connection_alone() -> None:
    heading, _ = replayed(Bundle(requested("tcp", CONNECTED, 26)).to_json())
    assert heading.request == "connect to tcp://10.244.1.121:80"


def test_tcp_without_a_connection_is_a_failure_of_curl_itself() -> None:
    diagnosis = diagnose(requested("tcp", {**CONNECTED, **NOWHERE, "time_connect": 0}, 43))
    assert answer(diagnosis) == (ProbeVerdict.UNKNOWN, "CurlFailed")


def test_tcp_that_should_be_denied() -> None:
    run = expecting(requested("tcp", CONNECTED, 26), outcome=ExpectedOutcome.DENIED, body_contains=None)
    diagnosis = diagnose(replace(run, second_look=True))
    assert answer(diagnosis) == (ProbeVerdict.BROKEN, "PolicyNotEnforced")
    assert "the connection was established" in diagnosis.message
