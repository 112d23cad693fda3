"""`make faults`: the fault bench. Exit code 1 if the target is missed.

Environment: FAULTS_MODES (names of `modes.Mode`, default "vxlan"), FAULTS_ONLY (substrings of names), LAB_CILIUM.
"""

import os
import signal
import sys
from types import FrameType

from rich.console import Console

from e2e.api import connect
from faults import result
from faults.bench import Bench
from faults.catalog.all import faults_of
from faults.modes import Mode, parse, settings_of
from faults.operator_process import operator
from faults.result import Result
from faults.scene import Scene
from lab import lifecycle
from lab.paths import CHECKOUT
from lab.settings import Settings

RESULT = CHECKOUT / "build/faults.json"
FOLDER = CHECKOUT / "build/faults"


def run_mode(mode: Mode, version: str, only: list[str], console: Console) -> list[Result]:
    """Try all faults of a mode, on a lab in that mode."""
    lab = lifecycle.up(settings_of(mode, version))
    results = []
    with connect(lab.kubeconfig) as api, operator(lab, FOLDER) as evidence:
        scene = Scene.set_up(lab, api, mode)
        scene.galaxy.wait_at_rest()
        for tried in Bench(scene, evidence, FOLDER / mode).try_all(faults_of(mode, only)):
            console.print(result.line(tried), highlight=False)
            sys.stdout.flush()
            results.append(tried)
    return results


def main() -> None:
    signal.signal(signal.SIGTERM, _interrupted)
    modes = parse(os.environ.get("FAULTS_MODES", Mode.VXLAN).split())
    only = os.environ.get("FAULTS_ONLY", "").split()
    version = os.environ.get("LAB_CILIUM", Settings().cilium)
    console = Console(soft_wrap=True)
    results = [tried for mode in modes for tried in run_mode(mode, version, only, console)]
    result.write(results, RESULT)
    result.show(results, console)
    console.print(f"written to {RESULT.relative_to(CHECKOUT)}; evidence in {FOLDER.relative_to(CHECKOUT)}")
    sys.exit(0 if result.meets_target(results) else 1)


def _interrupted(signum: int, frame: FrameType | None) -> None:
    """On SIGTERM, repair the current fault as after Ctrl-C."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
