"""`make soak`: probes at short intervals during roll-outs, deletions, restarts and drains. Exit code 1 for a false
alarm, a missed fault or a leaked process.

Environment: SOAK_S (seconds, default 600), SOAK_SEED (seed of the random actions).
"""

import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import cycle
from types import FrameType

from e2e.api import connect
from e2e.waiting import until
from lab.cluster import Lab
from lab.paths import CHECKOUT
from lab.shell import say
from soak.churn import Churn
from soak.history import History
from soak.injection import FAULTS, Injection, try_fault
from soak.memory import Memory
from soak.result import Result
from soak.scene import Scene, create_probes, deploy

RESULT = CHECKOUT / "build/soak.json"
ALARMS = CHECKOUT / "build/soak"
_GONE_S = 30.0


def soak(scene: Scene, seconds: float, seed: int) -> Result:
    """Run the soak test for this time and return the result."""
    churn, memory = Churn(scene, random.Random(seed)), Memory(scene.operator)  # not used for secrets
    probes = create_probes(scene)
    injections: list[Injection] = []
    began = time.monotonic()
    faults = cycle(FAULTS)
    with History(scene.lab, ALARMS) as history:
        for step in _steps():
            passed = time.monotonic() - began
            if passed > seconds:
                break
            memory.sample()
            if step == "operator" and passed > seconds / 3:
                step = "anywhere"  # keep one operator process for most of the time, to measure its memory
            if step in ("calm", "churn"):
                say(f"· {passed:4.0f} s  fault, {step}")
                scene.wait_at_rest()
                during = partial(churn.act, "stars") if step == "churn" else None
                injections.append(try_fault(scene, next(faults), during))
                continue
            say(f"· {passed:4.0f} s  {step}")
            churn.act(step)
        memory.sample()
        seconds = time.monotonic() - began
        for probe in probes:
            probe.wait_for("Healthy")
    leaked = _leaked(scene)
    return Result(
        seconds=seconds,
        runs=list(history.runs.values()),
        injections=injections,
        leaked=leaked,
        rss_start_mb=memory.samples_mb[0] if memory.samples_mb else 0.0,
        rss_end_mb=memory.samples_mb[-1] if memory.samples_mb else 0.0,
        churn=churn.done,
    )


def _steps() -> Iterator[str]:
    return cycle(["stars", "operator", "anywhere", "churn", "stars", "anywhere", "calm"])


def _leaked(scene: Scene) -> list[str]:
    """Processes that remain in agents and ships after the operator has stopped."""
    scene.operator.scale(0)
    try:
        until("its processes are gone", lambda: not scene.exec_processes(), _GONE_S)
    except AssertionError:
        return scene.exec_processes()
    finally:
        scene.operator.scale(1)
    return []


def main() -> None:
    signal.signal(signal.SIGTERM, _interrupted)
    seconds, seed = float(os.environ.get("SOAK_S", "600")), int(os.environ.get("SOAK_SEED", "1"))
    lab = Lab.current()
    with connect(lab.kubeconfig) as api:
        result = soak(deploy(lab, api), seconds, seed)
    result.write(RESULT)
    print(
        f"{result.table()}\nwritten to {RESULT.relative_to(CHECKOUT)}; alarms in {ALARMS.relative_to(CHECKOUT)}"
    )
    sys.exit(0 if result.meets_target else 1)


def _interrupted(signum: int, frame: FrameType | None) -> None:
    """On SIGTERM, repair the current fault as after Ctrl-C."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
