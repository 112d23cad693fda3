"""A saved run has the same diagnosis, and no secrets."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.api.reasons import Reason
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.run.bundle import Bundle, NotABundleError
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.diagnose.run.windows import DEFAULT, Windows
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.evidence.store import Evidence
from datapath_probe.plan.plan import CannotRun
from datapath_probe.sources.flows import hubble
from unit.recorded import names, recorded


def replayed(run: PathRun) -> PathRun:
    return Bundle.from_json(Bundle(run).to_json()).run


def assert_same_diagnosis(run: PathRun) -> None:
    """Everything but the secrets of the plan is the same."""
    live, again = diagnose(run), diagnose(replayed(run))
    assert replace(again, plan=live.plan) == live


def sending(run: PathRun, body: str, *values: str) -> PathRun:
    """The run, of a request with this body and these header values."""
    headers = tuple((f"X-{number}", value) for number, value in enumerate(values))
    request = replace(run.plan.request, body=body, headers=headers)
    return replace(run, plan=replace(run.plan, request=request))


def without_response() -> PathRun:
    """A last segment arrived, and no packet filters were read: whether the application is the cause depends on the size
    of the request.
    """
    run = recorded("mtu-too-small-for-a-large-body")
    seen = {q: said for q, said in run.evidence if q.kind is not FactKind.IPTABLES_RULES}
    return replace(run, evidence=Evidence(seen))


def with_secrets() -> PathRun:
    run = recorded("healthy-cross-node")
    request = replace(run.plan.request, headers=(("Authorization", "Bearer s3cret"),), body="s3cret")
    reading = run.request.reading
    assert isinstance(reading, Answer)
    answered = replace(reading, stdout=b"s3cret Ship landed s3cret")
    return replace(
        run, plan=replace(run.plan, request=request), request=replace(run.request, reading=answered)
    )


@pytest.mark.parametrize("name", names())
def test_a_saved_run_has_the_same_diagnosis(name: str) -> None:
    run = recorded(name)
    assert_same_diagnosis(run)
    assert_same_diagnosis(sending(run, "x" * 4000, "y" * 1000))


@given(st.text(max_size=1000), st.text(st.characters(codec="utf-8"), max_size=600))
def test_a_request_of_any_size_has_the_same_diagnosis(body: str, value: str) -> None:
    assert_same_diagnosis(sending(without_response(), body, value))


def test_the_size_of_a_request_is_saved() -> None:
    """The verdict depends on whether it fits one packet."""
    request = replayed(sending(without_response(), "é" * 700, "ä")).plan.request
    assert (len(request.body.encode()), len(request.headers[0][1].encode())) == (1400, 2)


def test_no_header_value_and_no_body_is_saved() -> None:
    text = Bundle(with_secrets()).to_json()
    assert b"s3cret" not in text
    assert b"Authorization" in text


def test_redaction_does_not_change_the_verdict() -> None:
    run = with_secrets()
    again = Bundle.from_json(Bundle(run).to_json()).run
    assert diagnose(again).verdict is diagnose(run).verdict


def test_outputs_are_kept_byte_for_byte() -> None:
    run = recorded("healthy-cross-node")
    fact = Fact(FactKind.UPTIME, "node1")
    readings = [Answer(1, bytes(range(256)), b"\xff\x00", 1.5, 0.25, truncated=True)]
    odd = replace(run, evidence=run.evidence.adding([fact], readings))
    odd = replace(
        odd, evidence=odd.evidence.adding([fact], [Unavailable(EvidenceError.TIMEOUT, "späť", 2.0)])
    )
    again = Bundle.from_json(Bundle(odd).to_json()).run
    assert again.evidence.readings[fact] == odd.evidence.readings[fact]


def test_a_reason_for_no_plan_is_kept() -> None:
    run = replace(recorded("healthy-cross-node"), plan_after=CannotRun(Reason.SOURCE_NOT_FOUND, "gone"))
    assert isinstance(Bundle.from_json(Bundle(run).to_json()).run.plan_after, CannotRun)


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[]", b'{"format": 99}', b'{"format": 1}', b"\xff", b'{"format": 1, "plan": 3}']
)
def test_a_document_that_is_no_bundle_is_rejected(text: bytes) -> None:
    with pytest.raises(NotABundleError):
        Bundle.from_json(text)


ASKED = "/login?token=s3cret&s3cret&x="


def asking_with_secrets() -> PathRun:
    run = recorded("healthy-cross-node")
    reading = run.request.reading
    assert isinstance(reading, Answer)
    report = json.loads(reading.stderr) | {
        "url_effective": f"http://deathstar{ASKED}",
        "redirect_url": "http://deathstar/elsewhere?session=s3cret",
        "errormsg": f"no answer to {ASKED}",
    }
    output = f'{{"url": "http://deathstar{ASKED}"}}'.replace("&", r"\u0026").encode()
    return replace(
        run,
        plan=replace(run.plan, request=replace(run.plan.request, path=ASKED)),
        request=replace(run.request, reading=replace(reading, stderr=json.dumps(report).encode())),
        evidence=run.evidence.adding(
            [Fact(FactKind.NEWEST_FLOW, "node1")], [Answer(0, output, b"", 0.0, 0.0)]
        ),
    )


def test_no_value_of_the_query_is_saved() -> None:
    run = asking_with_secrets()
    assert b"s3cret" not in Bundle(run).to_json()
    assert replayed(run).plan.request.path == "/login?token=******&******&x="
    live, again = diagnose(run), diagnose(replayed(run))
    assert "s3cret" not in repr(live.findings)
    assert (again.verdict, again.reason) == (live.verdict, live.reason)
    assert [f.verdict for f in again.findings] == [f.verdict for f in live.findings]


@pytest.mark.parametrize(
    "stderr", [b"+ curl -H 'Authorization: s3cret'\n", b"s3cret {s3cret}", b'["s3cret"]{']
)
@pytest.mark.parametrize("with_report", [True, False])
def test_of_stderr_only_the_report_is_saved(stderr: bytes, with_report: bool) -> None:
    run = recorded("healthy-cross-node")
    reading = run.request.reading
    assert isinstance(reading, Answer)
    wrapped = replace(reading, stderr=stderr + (reading.stderr if with_report else b""))
    run = replace(run, request=replace(run.request, reading=wrapped))
    assert b"s3cret" not in Bundle(run).to_json()
    live, again = diagnose(run), diagnose(replayed(run))
    assert "s3cret" not in repr((live.message, live.findings))
    assert (again.verdict, again.reason, again.message) == (live.verdict, live.reason, live.message)


def test_nothing_that_a_proxy_saw_of_a_request_is_saved() -> None:
    run = recorded("healthy-cross-node")
    http = {"url": "http://x/s3cret", "headers": [{"key": "Cookie", "value": "s3cret"}]}
    flow = {"IP": {"source": "10.0.0.1"}, "l7": {"http": http}, "Summary": "GET http://x/s3cret"}
    lines = [json.dumps({"flow": flow, "time": "2026-11-23T21:00:00Z"}), '{"flow": {"l7": "s3cret', "{}"]
    fact = hubble.connection("node1", run.plan.source.ip, 20001, 60)
    answer = Answer(0, "\n".join(lines).encode(), b"", 0.0, 0.0)
    again = replayed(replace(run, evidence=run.evidence.adding([fact], [answer]))).evidence.latest(fact)
    assert isinstance(again, Answer)
    first, second, third = again.stdout.splitlines()
    assert json.loads(first)["flow"] == {"IP": {"source": "10.0.0.1"}}
    assert (second, third) == (b"{", b"{}")
    assert isinstance(hubble.parse(again), Unavailable)
    assert isinstance(hubble.parse(answer), Unavailable)


UPTIME = {"kind": "uptime", "node": "node1", "parameters": {}}
ANSWER = {"exitCode": 0, "stdout": "", "stderr": "", "at": 0, "duration": 0, "truncated": False}


@pytest.mark.parametrize(
    ("member", "value"),
    [
        (("request", "started"), "yesterday"),
        (("request", "started"), 1e999),
        (("request", "localPort"), "high"),
        (("request", "localPort"), 70000),
        (("request", "started"), 1e300),
        (("plan", "source", "endpoint", "endpoint_id"), 10**30),
        (("plan", "source", "endpoint", "identity"), -1),
        (("plan", "source", "pod", "ips"), []),
        (("plan", "source", "pod", "ips"), ["300.1.1.1"]),
        (("plan", "source", "pod", "ips"), ["fd00::1"]),
        (("plan", "source", "pod", "started_at"), 1e300),
        (("plan", "request", "port"), 65536),
        (("plan", "request", "timeout_s"), 1e9),
        (("plan", "target", "backend", "port"), 10**30),
        (("request", "reading"), {"unavailable": "NoSuchReason", "message": "", "at": 0}),
        (("viewAge",), None),
        (("evidence",), [{"node": "node1", "argv": ["true"], "readings": []}]),
        (("evidence",), [{"kind": "of-the-next-version", "node": "node1", "parameters": {}, "readings": []}]),
        (("evidence",), [{"kind": "uptime", "node": "node1", "parameters": {"since": 1}, "readings": []}]),
        (("evidence",), [{"kind": "sockets", "node": "node1", "parameters": {"port": [[]]}, "readings": []}]),
        (("evidence",), [{"kind": "sockets", "node": "node1", "parameters": {}, "readings": []}]),
        (("evidence",), [{**UPTIME, "readings": [{"exitCode": "none"}]}]),
        (("evidence",), [{**UPTIME, "readings": [None]}]),
        (("plan",), {}),
        (("evidence",), [{**UPTIME, "readings": []}, {**UPTIME, "readings": []}]),
        (("evidence",), [{**UPTIME, "readings": [{**ANSWER, "exitCode": 10**30}]}]),
        (("evidence",), [{**UPTIME, "readings": [{**ANSWER, "at": 1e300}]}]),
        (("evidence",), [{**UPTIME, "readings": [{**ANSWER, "stdout": "\u2603"}]}]),
    ],
)
def test_a_damaged_document_is_no_bundle(member: tuple[str, ...], value: object) -> None:
    document = json.loads(Bundle(recorded("healthy-cross-node")).to_json())
    *path, last = member
    place = document
    for name in path:
        place = place[name]
    place[last] = value
    with pytest.raises(NotABundleError, match="not an evidence bundle"):
        Bundle.from_json(json.dumps(document).encode())


def test_windows_are_saved_with_the_run_unless_they_are_the_default_ones() -> None:
    run = recorded("healthy-cross-node")
    assert "windows" not in json.loads(Bundle(run).to_json())
    assert replayed(run).windows == DEFAULT
    short = Windows(pod_starting_s=1.5, agent_starting_s=3)
    assert replayed(replace(run, windows=short)).windows == short


@pytest.mark.parametrize("windows", [{"no_such_window_s": 1}, {"pod_starting_s": "soon"}, [1]])
def test_windows_that_make_no_sense_are_no_bundle(windows: object) -> None:
    document = json.loads(Bundle(recorded("healthy-cross-node")).to_json())
    with pytest.raises(NotABundleError):
        Bundle.from_json(json.dumps({**document, "windows": windows}).encode())


def test_the_error_about_an_unknown_format_is_one_short_line() -> None:
    with pytest.raises(NotABundleError, match="this version reads 1 to 2") as raised:
        Bundle.from_json(json.dumps({"format": "a\n" * 5000}).encode())
    assert len(str(raised.value)) < 500
    assert "\n" not in str(raised.value)
