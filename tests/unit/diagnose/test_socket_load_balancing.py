"""Socket load-balancing without its program: the program is the cause, also of a name that did not resolve."""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Absent, Answer, Unavailable
from datapath_probe.evidence.store import Evidence
from datapath_probe.sources.bpf import socket_lb
from datapath_probe.sources.maps import conntrack
from unit.recorded import recorded

GONE = {"error": "bpf obj get (/sys/fs/bpf/cilium/…): No such file or directory"}
NO_PROGRAM = Answer(255, b"", b"", 0.0, 0.0)


def link(cgroup: int) -> Answer:
    shown = {
        "id": 9,
        "type": "cgroup",
        "prog_id": 7,
        "cgroup_id": cgroup,
        "attach_type": "cgroup_inet4_connect",
    }
    return Answer(0, json.dumps(shown).encode(), b"", 0.0, 0.0)


def printed(shown: object, exit_code: int = 0) -> Answer:
    return Answer(exit_code, json.dumps(shown).encode(), b"", 0.0, 0.0)


def answering(run: PathRun, answers: Mapping[Fact, Answer]) -> PathRun:
    """The run with other answers, each read twice."""
    readings = {**run.evidence.readings, **{q: (answer, answer) for q, answer in answers.items()}}
    return replace(run, evidence=Evidence(readings), second_look=True)


def unresolved() -> PathRun:
    """curl got no address, and no other fault is known."""
    run = recorded("kpr/healthy-service@1.18.5")
    reading = run.request.reading
    assert isinstance(reading, Answer)
    report = json.loads(reading.stderr[reading.stderr.index(b"{") :])
    nothing = {"http_code": 0, "local_ip": "", "local_port": 0, "remote_ip": "", "remote_port": 0}
    times = {"time_namelookup": 0, "time_connect": 0, "time_starttransfer": 0, "time_total": 10.0}
    said = json.dumps(report | nothing | times | {"errormsg": "Could not resolve host"}).encode()
    failed = replace(reading, exit_code=6, stderr=said, stdout=b"")
    absent = {
        q: Answer(254, b"null", b"", 0.0, 0.0) for q, _ in run.evidence if q.kind is FactKind.CONNTRACK_ENTRY
    }
    return answering(replace(run, request=replace(run.request, reading=failed)), absent)


@pytest.mark.parametrize(
    ("of_link", "of_program"),
    [(link(0), None), (printed(GONE, 255), NO_PROGRAM)],
)
def test_a_detached_program_is_the_cause_and_the_name_its_symptom(
    of_link: Answer, of_program: Answer | None
) -> None:
    run = unresolved()
    node = run.plan.source.node.name
    assert diagnose(run).reason is Reason.DNS_LOOKUP_FAILED
    answers = {socket_lb.link(node): of_link}
    if of_program:
        answers[socket_lb.program(node)] = of_program
    diagnosis = diagnose(answering(run, answers))
    assert diagnosis.divergence is not None
    assert (diagnosis.divergence.hop, diagnosis.reason) == (
        HopName.SERVICE_TRANSLATION,
        Reason.PROGRAM_MISSING,
    )
    assert diagnosis.symptom is not None
    assert diagnosis.symptom.hop is HopName.NAME_RESOLUTION


@pytest.mark.parametrize(
    ("of_link", "of_program"),
    [
        (link(1), None),
        (printed(GONE, 255), printed([{"id": 7, "name": "cil_sock4_connect"}])),  # attached without a link
        (Answer(1, b"", b"no such thing", 0.0, 0.0), None),
    ],
)
def test_a_program_that_may_be_attached_is_not_the_cause(of_link: Answer, of_program: Answer | None) -> None:
    run = unresolved()
    node = run.plan.source.node.name
    answers = {socket_lb.link(node): of_link}
    if of_program:
        answers[socket_lb.program(node)] = of_program
    assert diagnose(answering(run, answers)).reason is Reason.DNS_LOOKUP_FAILED


def test_a_connection_to_the_frontend_itself_is_seen_to_be_untranslated() -> None:
    run = recorded("kpr/frontend-missing@1.18.5")
    frontend = run.plan.frontend
    assert frontend is not None
    node, client, port = run.plan.source.node.name, run.plan.source.ip, run.request.local_port
    untranslated_entry = conntrack.out_entry(node, client, port, frontend.ip, frontend.number)
    assert untranslated_entry in facts_of(run)
    entry = recorded("source-policy-program-missing")
    sample = next(
        r[-1]
        for q, r in entry.evidence
        if q.kind is FactKind.CONNTRACK_ENTRY and isinstance(conntrack.parse(r[-1]), conntrack.CtEntry)
    )
    found = conntrack.parse(sample)
    assert isinstance(found, conntrack.CtEntry)
    assert isinstance(sample, Answer)
    shown = json.loads(sample.stdout)
    now = 0x7FFFFFFF.to_bytes(4, "little").hex(" ").split()
    shown["value"][48:52] = [f"0x{octet}" for octet in now]
    diagnosis = diagnose(answering(run, {untranslated_entry: printed(shown)}))
    assert diagnosis.divergence is not None
    assert diagnosis.divergence.hop is HopName.SERVICE_LOOKUP  # the cause
    [translation] = [f for f in diagnosis.findings if f.hop is HopName.SERVICE_TRANSLATION]
    assert (translation.verdict, translation.reason) == (HopVerdict.BROKEN, Reason.NOT_TRANSLATED)
    assert diagnosis.verdict is ProbeVerdict.BROKEN


def test_answers_of_bpftool_about_the_program_are_parsed() -> None:
    assert socket_lb.parse_link(link(1)) is True
    assert socket_lb.parse_link(link(0)) is False
    assert socket_lb.parse_link(printed(GONE, 255)) == Absent()
    assert isinstance(socket_lb.parse_link(printed({"error": "Operation not permitted"}, 255)), Unavailable)
    assert socket_lb.parse_program(NO_PROGRAM) is False
    assert socket_lb.parse_program(printed({"id": 7})) is True
    assert isinstance(socket_lb.parse_program(printed({"error": "x"}, 255)), Unavailable)
