"""Text from containers, nodes and agents has no effect where it is shown: in a status, an Event and a terminal."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from click.testing import CliRunner
from kubernetes.aio.client import Configuration

from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.cli import report as report_command
from datapath_probe.cli.main import main
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.run.bundle import Bundle
from datapath_probe.evidence.reading import Answer
from datapath_probe.kube.writes import events
from datapath_probe.kube.writes.probes import Probes
from datapath_probe.publish.interfaces import Event, ProbeRef
from datapath_probe.publish.status import status as statuses
from datapath_probe.runs.run_result import NextRun
from unit.publish.samples import NOW, probe, record
from unit.recorded import recorded

HOSTILE = "[/x][bold]\x1b]0;title\x07\x9b31m\u202e\u2066\u200b\ud800\nnext"
IN_A_FILE = HOSTILE.replace("\ud800", "")  # JSON with an unpaired surrogate is refused
SHOWN = r"[/x][bold]\x1b]0;title\x07\x9b31m\u202e\u2066\u200b"


def hostile_status() -> ProbeStatus:
    """The status after a run whose curl reports an odd error."""
    run = recorded("connection-refused")
    reading = run.request.reading
    assert isinstance(reading, Answer)
    report = {**json.loads(reading.stderr), "errormsg": IN_A_FILE.replace("\n", "")}
    answered = replace(reading, stderr=json.dumps(report).encode())
    diagnosis = diagnose(replace(run, request=replace(run.request, reading=answered)))
    diagnosis = replace(diagnosis, message=HOSTILE)
    return statuses.after_run(ProbeStatus(), probe(), record(diagnosis, NOW), NextRun(NOW + 60))


def strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            yield from (text for member in value.items() for text in strings(member))
        case list() | tuple():
            yield from (text for member in value for text in strings(member))


def test_in_a_status() -> None:
    found = list(strings(hostile_status().to_object()))
    assert all(text.isprintable() for text in found)
    assert any(SHOWN in text for text in found)


def test_in_an_event() -> None:
    note = events._body(
        events._Queued(
            ProbeRef("default", "p", "u"), Event("Warning", "ProbeBroken", "Probe", HOSTILE), NOW, "id"
        ),
        "operator",
    )["note"]
    assert isinstance(note, str)
    assert note.isprintable()
    assert note.startswith(SHOWN)


def assert_harmless(output: str) -> None:
    assert all(line.isprintable() for line in output.split("\n"))
    assert SHOWN[:10] in output


def test_in_a_report_of_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    async def load_configuration(*_: object) -> Configuration:
        return Configuration()

    async def read(*_: object) -> Mapping[str, object]:
        """As an operator of another version may have written it."""
        status = hostile_status().to_object()
        status["summary"] = status["divergentHop"]["message"] = HOSTILE
        status["paths"][0]["hops"][0] |= {"node": HOSTILE, "message": HOSTILE, "object": HOSTILE}
        metadata = {"namespace": "default", "name": "p", "uid": "u", "generation": 1}
        return {"metadata": metadata, "spec": {}, "status": status}

    monkeypatch.setattr(report_command, "load_configuration", load_configuration)
    monkeypatch.setattr(Probes, "read", read)
    for output in ("text", "json"):
        done = CliRunner().invoke(main, ("report", "default/p", "-o", output))
        assert done.exit_code == 0, done.output
        assert_harmless(done.output)


@pytest.mark.parametrize("output", ["text", "json"])
def test_in_a_replay(output: str) -> None:
    bundle = json.loads(Bundle(recorded("connection-refused")).to_json())
    bundle["plan"]["probe"] = bundle["plan"]["source"]["pod"]["name"] = IN_A_FILE
    bundle["plan"]["target"]["display"] = IN_A_FILE
    done = CliRunner().invoke(main, ("replay", "-", "-o", output), input=json.dumps(bundle).encode())
    assert done.exit_code == 0, done.output
    assert_harmless(done.output)


def test_in_an_error_of_a_replay() -> None:
    bundle = json.loads(Bundle(recorded("connection-refused")).to_json())
    bundle["evidence"][0]["kind"] = IN_A_FILE
    done = CliRunner().invoke(main, ("replay", "-"), input=json.dumps(bundle).encode())
    assert (done.exit_code, done.stdout) == (1, "")
    assert_harmless(done.stderr)
    assert done.stderr.count("\n") == 1
