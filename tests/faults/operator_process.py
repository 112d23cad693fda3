"""The operator of this checkout as a process outside the lab: it survives node failures, and its evidence is local.

In: a lab. Out: a running operator. Called by `__main__`. With FAULTS_COLLECTOR=nodes or auto it asks node agents; then
it is in the network of node1, where their addresses can be reached.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from datapath_probe.private_file import write_private
from e2e import node_agents
from e2e.galaxy import NAMESPACE
from e2e.waiting import until
from faults.scene import CONTROL_PLANE
from lab.cluster import Lab
from lab.paths import CHECKOUT
from lab.settings import API_PORT

_PROGRAM = Path(sys.executable).with_name("datapath-probe")
_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 20


@contextmanager
def operator(lab: Lab, folder: Path) -> Iterator[Path]:
    """Run the probes of the scene as cluster admin. Yields the directory of its evidence; the log is beside it."""
    lab.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(CHECKOUT / "crds"))
    evidence = folder / "evidence"
    evidence.mkdir(parents=True, exist_ok=True)
    collector = os.environ.get("FAULTS_COLLECTOR", "exec")
    kubeconfig, where = lab.kubeconfig, []
    if collector != "exec":
        node_agents.deploy(lab)
        kubeconfig, where = _inside(lab, folder), _in_network_of(lab)
    argv = [*where, str(_PROGRAM), "run", "--kubeconfig", str(kubeconfig), "--namespace", NAMESPACE]
    argv += ["--collector", collector]
    argv += ["--metrics-host", "127.0.0.1", "--metrics-port", "0", "--health-port", "0"]
    argv += ["--save-evidence", str(evidence)]
    with (folder / "operator.log").open("w") as log:
        process = subprocess.Popen(
            argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            until("the operator has started", lambda: _has_started(folder / "operator.log"), _START_TIMEOUT_S)
            if collector != "exec":
                node_agents.wait_ready(lab)
            yield evidence
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _in_network_of(lab: Lab) -> list[str]:
    """What a command line starts with that is to see the control plane's network, and the machine's files."""
    return ["nsenter", f"--net=/proc/{lab.node(CONTROL_PLANE).init().pid}/ns/net"]


def _inside(lab: Lab, folder: Path) -> Path:
    """A kubeconfig for the network of the control plane."""
    kubeconfig = yaml.safe_load(lab.kubeconfig.read_text())
    kubeconfig["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{API_PORT}"
    file = folder / "kubeconfig"
    write_private(file, yaml.safe_dump(kubeconfig).encode())
    return file


def _has_started(log: Path) -> bool:
    return '"event": "started"' in log.read_text()
