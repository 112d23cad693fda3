"""Tries faults on a lab, one after another: Healthy, inject, run the probe, judge, repair, Healthy again.

A fault that the agent repaired during the run is tried again.

In: faults and a scene. Out: a result for each. Called by `make faults`.
"""

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.api import Object
from e2e.probes import Probe
from faults.fault import Fault, Outcome, answer_of, judge
from faults.result import Result
from faults.scene import Scene
from lab.shell import say

_REPAIRED_S = 120.0
_SAVED_S = 5.0  # evidence is saved after the status
TRIES = 4


@dataclass(frozen=True, slots=True)
class Bench:
    """`evidence`: directory in which the operator saves its runs. `saved`: that of the bundles, by fault name."""

    scene: Scene
    evidence: Path
    saved: Path

    def try_all(self, faults: Sequence[Fault]) -> Iterator[Result]:
        """Yield the result of each fault as soon as it is available."""
        self.saved.mkdir(parents=True, exist_ok=True)
        for fault in faults:
            yield self._try(fault)

    def _try(self, fault: Fault) -> Result:
        began = time.monotonic()
        scene = Scene(self.scene.lab, self.scene.api, self.scene.galaxy, self.scene.mode)
        expected, got, outcome = "", "not run", Outcome.WRONG
        try:
            expected = " | ".join(str(expected.on(scene)) for expected in fault.expected)
            scene.wait_stable()
            probe = scene.probe(fault.to)
            status, undone = run_with_fault(fault, scene, probe)
            got, outcome = (
                str(answer_of(status)),
                Outcome.UNDONE if undone else judge(fault, scene, answer_of(status)),
            )
            self._save(fault, status)
            probe.settle(_REPAIRED_S)
        except Exception as error:  # a fault that could not be tried is a result too
            got, outcome = f"{got}; {type(error).__name__}: {error}", Outcome.WRONG
            self._recreate_pods()
        return Result(
            fault=fault.name,
            mode=scene.mode,
            version=scene.lab.settings.cilium,
            expected=expected,
            got=got,
            outcome=outcome,
            seconds=round(time.monotonic() - began, 1),
        )

    def _recreate_pods(self) -> None:
        try:
            self.scene.recreate_pods()
        except Exception as error:  # the next fault will fail too
            say(f"· cannot recreate the pods: {error}")

    def _save(self, fault: Fault, status: Object) -> None:
        """Copy the run's evidence to the name of the fault, for `datapath-probe replay`."""
        until = time.monotonic() + _SAVED_S
        run = status["lastRun"]["id"]
        while not (found := sorted(self.evidence.glob(f"*.{run}.*.json"))):
            if time.monotonic() > until:
                say(f"· no evidence of run {run} was saved")
                return
            time.sleep(0.05)
        shutil.copy(found[0], self.saved / f"{fault.name}.json")


def run_with_fault(fault: Fault, scene: Scene, probe: Probe) -> tuple[Object, bool]:
    """The status of a run with the fault, and whether the agent repaired the fault during the run in every attempt."""
    for _ in range(TRIES):
        probe.settle(_REPAIRED_S)
        with fault.inject(scene) as in_place:
            status = probe.run_now()
            undone = in_place is not None and not in_place()
        if not undone:
            break
        say(f"· {fault.name} was undone during the run, with the answer {answer_of(status)}")
    return status, undone
