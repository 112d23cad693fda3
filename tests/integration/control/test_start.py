"""The commands against a real API server: what prevents the operator from starting, and the report of a probe."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from integration.apiserver import ApiServer
from integration.control.operator_process import OperatorProcess, eventually
from integration.control.probe import Probe

pytestmark = pytest.mark.timeout(180)


def command(*argv: str | Path, kubeconfig: Path) -> subprocess.CompletedProcess[str]:
    """Run `datapath-probe` with these arguments."""
    program = "from datapath_probe.cli.main import main; main()"
    words = [sys.executable, "-c", program, *argv, "--kubeconfig", kubeconfig]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, env={**os.environ})


def test_without_an_api_server_it_reports_that_and_exits(served: ApiServer, tmp_path: Path) -> None:
    done = command("run", kubeconfig=kubeconfig_of_nothing(served, tmp_path))
    line = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    assert line.startswith("Error: cannot list the probes: ")
    assert "is the CRD datapathprobes.datapath-probe.dev installed?" in line


def test_sigterm_before_the_api_server_responds_stops_it(served: ApiServer, tmp_path: Path) -> None:
    operator = OperatorProcess(kubeconfig_of_nothing(served, tmp_path), tmp_path)
    operator.start(ready=False)
    eventually(lambda: operator.log)
    assert operator.stop() < 5


def kubeconfig_of_nothing(served: ApiServer, folder: Path) -> Path:
    """A kubeconfig whose API server does not exist."""
    config = yaml.safe_load(served.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    return kubeconfig


@pytest.mark.parametrize("option", ["--metrics-port", "--health-port"])
def test_a_port_in_use_is_reported_in_one_line(served: ApiServer, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"--metrics-port": "0", "--health-port": "0", option: str(port)}
        argv = [word for words in ports.items() for word in words]
        done = command("run", "--metrics-host", "127.0.0.1", *argv, kubeconfig=served.kubeconfig)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"Error: cannot listen on port {port}: ")


def test_the_report_of_a_probe_is_read_from_its_status(operator: OperatorProcess, probe: Probe) -> None:
    operator.set_runs("broken")
    probe.apply(request={"method": "POST", "path": "/v1/request-landing"})
    eventually(probe.status)
    done = command("report", f"default/{probe.name}", kubeconfig=probe.kubeconfig)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"default/{probe.name}   Broken ")
    assert "request  POST /v1/request-landing to default/deathstar:80" in done.stdout
    assert "Broken at ipcache-lookup on node2 · WrongTunnelEndpoint" in done.stdout
    done = command("report", f"default/{probe.name}", "-o", "json", kubeconfig=probe.kubeconfig)
    assert json.loads(done.stdout) == probe.status()


def test_the_report_of_a_missing_probe_is_an_error(served: ApiServer) -> None:
    done = command("report", "default/missing", kubeconfig=served.kubeconfig)
    assert (done.returncode, done.stderr) == (1, "Error: there is no DatapathProbe default/missing\n")
