"""Memory per probe: what the operator keeps of a probe that has run. Called by `__main__`, and by a unit test.

In: a number of probes, each with two runs of a recorded path of 25 hops. Out: bytes per probe, and how long a garbage
collection takes while they are kept. Run alone, it prints both: `python -m bench.probe_memory`.
"""

import asyncio
import gc
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from datapath_probe.api.vocabulary import Trigger
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.publish.interfaces import ProbeRef, WriteResult, Written
from datapath_probe.runs.run_result import NextRun, RunRecord, RunResult
from unit.control.harness import EPOCH, Harness, body
from unit.recorded import recorded

PROBES = 300
RUNS = 2
LIMIT_BYTES = 40 * 1024
_PATH = "healthy-service-cross-node"
_WARM_UP = 20  # the first probes fill caches that all share
_PAGE_BYTES = os.sysconf("SC_PAGESIZE")


@dataclass(frozen=True, slots=True)
class ProbeMemory:
    """`bytes`: resident memory per probe. `gc_pause_ms`: duration of one collection with all of them."""

    bytes: int
    gc_pause_ms: float


def diagnosed() -> Diagnosis:
    """A healthy run of a path with 25 hops."""
    return diagnose(recorded(_PATH))


class Probes:
    """The operator's components around probes that run. Every run is a copy: it shares no object with another one."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        self.harness = Harness()
        self.harness.write = _discard  # type: ignore[method-assign]  # the API server's memory is not the operator's
        self._diagnosis = pickle.dumps(diagnosis)

    async def add(self, first: int, count: int) -> None:
        """Register probes and run each as often as `RUNS` says; their statuses are written."""
        for number in range(first, first + count):
            self.harness.registry.observe(json.loads(json.dumps(body(f"probe-{number}"))))
            for run in range(RUNS):
                self._run(f"uid-probe-{number}", EPOCH + 60 * run)
        await asyncio.sleep(0)
        await self.harness.status_writer.close(30)

    def _run(self, uid: str, now: float) -> None:
        result = RunResult(now, now + 0.1, (pickle.loads(self._diagnosis),))  # noqa: S301 (written above)
        record = RunRecord(f"{uid}-{now:.0f}", Trigger.SCHEDULE, now, result)
        self.harness.publisher.run_ended(self.harness.registry.runnable(uid), record, NextRun(now + 60))


async def _discard(probe: ProbeRef, status: Mapping[str, object]) -> WriteResult:
    return Written()


def measured_alone() -> ProbeMemory:
    """The measurement in a process of its own, whose memory nothing else uses."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.probe_memory"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return ProbeMemory(**json.loads(done.stdout))


async def _measure() -> ProbeMemory:
    probes = Probes(diagnosed())
    await probes.add(0, _WARM_UP)
    gc.collect()
    gc.freeze()
    before = _resident_bytes()
    await probes.add(_WARM_UP, PROBES)
    gc.collect()
    used = _resident_bytes() - before
    return ProbeMemory(used // PROBES, min(_collection_ms() for _ in range(5)))


def _collection_ms() -> float:
    began = time.perf_counter()
    gc.collect()
    return round((time.perf_counter() - began) * 1000, 2)


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


if __name__ == "__main__":
    measured = asyncio.run(_measure())
    print(json.dumps({"bytes": measured.bytes, "gc_pause_ms": measured.gc_pause_ms}))
