"""Tries faults on a lab, one after another: Healthy, break, ask, judge, repair, Healthy again.

A fault that the agent undid during the run is tried again.

In: faults and a scene. Out: a result each. Called by `make faults`.
"""

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.api import Object
from e2e.probes import Probe
from faults.fault import Fault, Outcome, judge, said
from faults.result import Result
from faults.scene import Scene
from lab.shell import say

_REPAIRED_S = 120.0
_SAVED_S = 5.0  # evidence is saved behind the status
TRIES = 4


@dataclass(frozen=True, slots=True)
class Bench:
    """`evidence`: where the operator saves its runs; `saved`: where those of the faults are kept, by name."""

    scene: Scene
    evidence: Path
    saved: Path

    def try_all(self, faults: Sequence[Fault]) -> Iterator[Result]:
        """A result per fault, as soon as it is there."""
        self.saved.mkdir(parents=True, exist_ok=True)
        for fault in faults:
            yield self._try(fault)

    def _try(self, fault: Fault) -> Result:
        began = time.monotonic()
        scene = Scene(self.scene.lab, self.scene.api, self.scene.galaxy, self.scene.mode)
        expected, got, outcome = "", "not asked", Outcome.WRONG
        try:
            expected = " | ".join(str(expected.on(scene)) for expected in fault.expected)
            scene.wait_calm()
            probe = scene.probe(fault.to)
            status, undone = ask(fault, scene, probe)
            got, outcome = str(said(status)), Outcome.UNDONE if undone else judge(fault, scene, said(status))
            self._keep(fault, status)
            probe.settle(_REPAIRED_S)
        except Exception as error:  # the bench goes on: a fault that could not be tried is a result too
            got, outcome = f"{got}; {type(error).__name__}: {error}", Outcome.WRONG
            self._renew()
        return Result(
            fault=fault.name,
            mode=scene.mode,
            version=scene.lab.settings.cilium,
            expected=expected,
            got=got,
            outcome=outcome,
            seconds=round(time.monotonic() - began, 1),
        )

    def _renew(self) -> None:
        try:
            self.scene.renew()
        except Exception as error:  # the next fault will tell
            say(f"· the pods could not be made anew: {error}")

    def _keep(self, fault: Fault, status: Object) -> None:
        """The run's evidence under the name of the fault: `datapath-probe replay` tells more of it."""
        until = time.monotonic() + _SAVED_S
        while not (found := list(self.evidence.glob(f"*.{status['lastRun']['id']}.json"))):
            if time.monotonic() > until:
                return
            time.sleep(0.05)
        shutil.copy(found[0], self.saved / f"{fault.name}.json")


def ask(fault: Fault, scene: Scene, probe: Probe) -> tuple[Object, bool]:
    """The status while the fault is there, and whether somebody undid it meanwhile, this time and all times before."""
    for _ in range(TRIES):
        probe.settle(_REPAIRED_S)
        with fault.inject(scene) as in_place:
            status = probe.run_now()
            undone = in_place is not None and not in_place()
        if not undone:
            break
        say(f"· {fault.name} was undone during the run, which said {said(status)}")
    return status, undone
