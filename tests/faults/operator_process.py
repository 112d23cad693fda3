"""The operator of this checkout, a process beside the lab: it stays when a node goes, and its evidence is at hand."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.galaxy import NAMESPACE
from e2e.waiting import until
from lab.cluster import Lab
from lab.paths import CHECKOUT

_PROGRAM = Path(sys.executable).with_name("datapath-probe")
_STARTS_S = 120.0
_STOPS_S = 20


@contextmanager
def operator(lab: Lab, folder: Path) -> Iterator[Path]:
    """It runs the probes of the scene, as the administrator. Yields the folder of its evidence; its log is beside."""
    lab.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(CHECKOUT / "crds"))
    evidence = folder / "evidence"
    evidence.mkdir(parents=True, exist_ok=True)
    argv = [str(_PROGRAM), "run", "--kubeconfig", str(lab.kubeconfig), "--namespace", NAMESPACE]
    argv += ["--metrics-host", "127.0.0.1", "--metrics-port", "0", "--save-evidence", str(evidence)]
    with (folder / "operator.log").open("w") as log:
        process = subprocess.Popen(
            argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            until("the operator has started", lambda: _has_started(folder / "operator.log"), _STARTS_S)
            yield evidence
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOPS_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _has_started(log: Path) -> bool:
    return '"event": "started"' in log.read_text()
