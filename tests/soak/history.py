"""All runs of the probes, collected from their statuses: the history covers more than the time between two writes.

In: polls of the API server, in a thread. Out: runs, and the full status of each alarm. Runs that a killed operator had
not yet written are lost. Called by `__main__`.
"""

import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from urllib3.exceptions import HTTPError

from e2e.api import Object, Refused, connect
from e2e.operator_deploy import Operator
from e2e.probes import probes_path
from lab.cluster import Lab
from lab.node import Node
from soak.scene import NAMESPACE, evidence_folder

_POLL_S = 0.5
_ALARMS = ("Broken", "Degraded")


@dataclass(frozen=True, slots=True)
class PastRun:
    """One run. `ended`: seconds since the epoch; `hop` and `reason` are "" if absent. `segment`: also None for a
    run that is known from the history only, which has no segments.
    """

    probe: str
    ended: float
    verdict: str
    hop: str
    reason: str
    segment: tuple[str, str] | None = None


class History:
    """A context that collects runs while it is open. `folder` receives the statuses and evidence of alarms."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.runs: dict[tuple[str, str], PastRun] = {}
        self._lab = lab
        self._folder = folder
        self._kept: set[str] = set()
        self._segments: dict[tuple[str, str], tuple[str, str]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="history")

    def __enter__(self) -> "History":
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _poll(self) -> None:
        with connect(self._lab.kubeconfig) as api:
            operator = Operator(self._lab, api)
            while not self._stop.wait(_POLL_S):
                try:
                    for probe in api.items(probes_path(NAMESPACE)):
                        self._record(probe, operator.pod)
                except (HTTPError, Refused):
                    continue

    def _record(self, probe: Object, operator_pod: Callable[[], Object | None]) -> None:
        name, status = probe["metadata"]["name"], probe.get("status", {})
        if segment := status.get("segment"):
            self._segments[name, status["lastRun"]["endTime"]] = (segment["after"], segment["before"])
        for past in status.get("history", ()):
            self.runs[name, past["time"]] = PastRun(
                probe=name,
                ended=datetime.fromisoformat(past["time"]).timestamp(),
                verdict=past["verdict"],
                hop=past.get("hop", ""),
                reason=past.get("reason", ""),
                segment=self._segments.get((name, past["time"])),
            )
        run = status.get("lastRun", {}).get("id", "")
        if status.get("verdict") in _ALARMS and run not in self._kept:
            self._kept.add(run)
            (self._folder / f"{name}.{run}.status.json").write_text(json.dumps(status, indent=1))
            if pod := operator_pod():
                _copy_evidence(self._lab.node(pod["spec"]["nodeName"]), pod, run, self._folder)


def _copy_evidence(node: Node, pod: Object, run: str, folder: Path) -> None:
    """Copy the bundle of a run, if its operator still has it, for `datapath-probe replay`."""
    script = 'for _ in 1 2 3 4 5; do cat "$0"/*."$1".*.json && exit; sleep 0.5; done; exit 1'  # saved after the status
    found = node.run("sh", "-c", script, evidence_folder(pod), run, check=False)
    if found.returncode == 0:
        (folder / f"{run}.bundle.json").write_text(found.stdout)
