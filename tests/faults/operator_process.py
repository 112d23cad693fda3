"""The operator of this checkout as a process outside the lab: it survives node failures, and its evidence is local.

In: a lab. Out: a running operator. Called by `__main__`.
"""

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
_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 20


@contextmanager
def operator(lab: Lab, folder: Path) -> Iterator[Path]:
    """Run the probes of the scene as cluster admin. Yields the directory of its evidence; the log is beside it."""
    lab.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(CHECKOUT / "crds"))
    evidence = folder / "evidence"
    evidence.mkdir(parents=True, exist_ok=True)
    argv = [str(_PROGRAM), "run", "--kubeconfig", str(lab.kubeconfig), "--namespace", NAMESPACE]
    argv += ["--metrics-host", "127.0.0.1", "--metrics-port", "0", "--health-port", "0"]
    argv += ["--save-evidence", str(evidence)]
    with (folder / "operator.log").open("w") as log:
        process = subprocess.Popen(
            argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            until("the operator has started", lambda: _has_started(folder / "operator.log"), _START_TIMEOUT_S)
            yield evidence
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _has_started(log: Path) -> bool:
    return '"event": "started"' in log.read_text()
