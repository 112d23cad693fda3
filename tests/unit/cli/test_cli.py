"""The commands on the command line."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from datapath_probe import __version__
from datapath_probe.cli.main import main
from datapath_probe.cli.windows import parsed
from datapath_probe.control.app import Options
from datapath_probe.diagnose.run.bundle import Bundle
from datapath_probe.diagnose.run.run import PathRun, Request
from datapath_probe.diagnose.run.windows import DEFAULT
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Unavailable
from datapath_probe.plan.restrictions import Restrictions
from unit.publish.samples import NOW, plan


def command(*argv: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, argv, input=stdin)


@pytest.fixture
def bundle() -> bytes:
    """A run without curl in the source container."""
    reading = Unavailable(EvidenceError.NO_SUCH_EXECUTABLE, "there is no curl")
    return Bundle(PathRun(plan(), Request(NOW, 20001, reading))).to_json()


def test_replay_prints_the_report_of_a_saved_run(bundle: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    path.write_bytes(bundle)
    done = command("replay", str(path))
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert lines[0] == "default/probe   Unknown"
    assert lines[1] == "default/xwing@node2 → default/deathstar:80"
    assert "request  GET http://deathstar.default.svc:80/" in lines
    assert "CurlNotFound" in done.output
    assert not [line for line in lines if line != line.rstrip()]
    assert "\x1b" not in done.output


def test_replay_reports_ignored_answers(bundle: bytes) -> None:
    document = {**json.loads(bundle), "format": 1}
    document["evidence"] = [{"node": "node1", "argv": ["uname", "-a"], "readings": []}]
    done = CliRunner().invoke(main, ("replay", "-"), input=json.dumps(document).encode())
    assert done.exit_code == 0
    assert "note: an answer of uname -a on node1 is omitted: unknown command" in done.stderr


def test_replay_reads_stdin_and_writes_json(bundle: bytes) -> None:
    done = command("replay", "-", "-o", "json", stdin=bundle)
    status = json.loads(done.output)
    assert (status["verdict"], status["reason"]) == ("Unknown", "CurlNotFound")
    assert status["paths"][0]["source"]["pod"] == "xwing"


@pytest.mark.parametrize("document", [b"", b"{}", b"[]", b'{"format": 99}', b"\xff\x00"])
def test_an_invalid_bundle_is_reported_in_one_line(document: bytes) -> None:
    done = command("replay", "-", stdin=document)
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert len(done.output.splitlines()) == 1


def test_replay_requires_either_a_bundle_or_the_example(bundle: bytes) -> None:
    for argv in ((), ("-", "--example")):
        done = command("replay", *argv, stdin=bundle)
        assert done.exit_code == 2
        assert "specify either BUNDLE or --example" in done.output


def test_report_requires_namespace_and_name() -> None:
    for name in ("landing", "default/", "/landing"):
        done = command("report", name)
        assert done.exit_code == 2
        assert "NAMESPACE/NAME" in done.output


def test_missing_credentials_are_reported_in_one_line(tmp_path: Path) -> None:
    program = "from datapath_probe.cli.main import main; main()"
    argv = [sys.executable, "-c", program, "run", "--kubeconfig", str(tmp_path / "missing")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    line = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    assert line.startswith("Error: cannot log in to Kubernetes with")


def test_invalid_options_are_rejected() -> None:
    for option, value in (
        ("--metrics-port", "70000"),
        ("--health-port", "-1"),
        ("--max-concurrent-runs", "0"),
        ("--max-probes-per-namespace", "0"),
        ("--max-requests-per-minute", "0"),
        ("--max-body-bytes", "-1"),
        ("--log-level", "LOUD"),
        ("--windows", "pod_starting_s=soon"),
        ("--windows", "no_such_window_s=1"),
        ("--windows", "pod_starting_s"),
        ("--windows", "pod_starting_s=nan"),
        ("--windows", "pod_starting_s=inf"),
        ("--windows", "pod_starting_s=-1"),
    ):
        assert command("run", option, value).exit_code == 2


def test_limits_are_options_and_off_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Options] = []
    monkeypatch.setattr("datapath_probe.cli.run.run_operator", lambda options, _: started.append(options))
    limits = ("--max-requests-per-minute", "600", "--max-body-bytes", "100")
    for words in (limits, ()):
        assert command("run", *words).exit_code == 0
    assert [options.max_requests_per_minute for options in started] == [600, None]
    assert [options.restrictions for options in started] == [Restrictions(body_bytes=100), Restrictions()]


@pytest.mark.parametrize(
    ("option", "variable", "restrictions"),
    [
        ("--forbid-host-network", "FORBID_HOST_NETWORK", Restrictions(host_network=True)),
        ("--forbid-names", "FORBID_NAMES", Restrictions(names=True)),
        ("--forbid-unsafe-methods", "FORBID_UNSAFE_METHODS", Restrictions(unsafe_methods=True)),
        ("--forbid-other-users", "FORBID_OTHER_USERS", Restrictions(other_users=True)),
    ],
)
def test_what_probes_may_not_request_is_an_option_and_a_variable(
    option: str, variable: str, restrictions: Restrictions, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Options] = []
    monkeypatch.setattr("datapath_probe.cli.run.run_operator", lambda options, _: started.append(options))
    assert command("run", option).exit_code == 0
    for value in ("true", "false"):
        monkeypatch.setenv(variable, value)
        assert command("run").exit_code == 0
    assert [options.restrictions for options in started] == [restrictions, restrictions, Restrictions()]


def test_windows_default_except_for_the_given_ones() -> None:
    assert parsed("") == DEFAULT
    assert parsed("pod_starting_s=2,draining_s=0.5") == replace(DEFAULT, pod_starting_s=2, draining_s=0.5)


def test_the_version_is_printed() -> None:
    assert command("--version").output == f"datapath-probe, version {__version__}\n"
