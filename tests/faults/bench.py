"""Tries faults on a lab, one after another: Healthy, break, ask, judge, repair, Healthy again.

In: faults and a scene. Out: a result each. Called by `make faults`.
"""

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.api import Object
from faults.fault import Fault, Outcome, Said, judge, said
from faults.result import Result
from faults.scene import Scene

_REPAIRED_S = 45.0


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
        expected = " | ".join(str(expected.on(scene)) for expected in fault.expected)
        trouble, answer, outcome = "", Said("", "not asked"), Outcome.WRONG
        try:
            probe = scene.probe(fault.to)
            probe.settle(_REPAIRED_S)
            with fault.inject(scene):
                status = probe.run_now()
            answer = said(status)
            outcome = judge(fault, scene, answer)
            self._keep(fault, status)
            probe.settle(_REPAIRED_S)
        except Exception as error:  # the bench goes on: a fault that could not be tried is a result too
            outcome, trouble = Outcome.WRONG, f"{type(error).__name__}: {error}"
            self.scene.renew()
        return Result(
            fault=fault.name,
            mode=scene.mode,
            version=scene.lab.settings.cilium,
            expected=expected,
            got=trouble or str(answer),
            outcome=outcome,
            seconds=round(time.monotonic() - began, 1),
        )

    def _keep(self, fault: Fault, status: Object) -> None:
        """The run's evidence under the name of the fault: `datapath-probe replay` tells more of it."""
        for path in self.evidence.glob(f"*.{status['lastRun']['id']}.json"):
            shutil.copy(path, self.saved / f"{fault.name}.json")
