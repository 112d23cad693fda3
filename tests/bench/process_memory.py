"""`make bench-memory`: how much the whole operator process grows per probe, with a real API server and recorded runs.

Unlike `probe_memory`, this includes kopf, asyncio, requests and responses, and free memory between objects in use.
Needs no lab, but the programs of an API server (see `integration.apiserver`). Channels to agents are not part of it:
their number is that of the nodes. The process has the allocator's settings of the image.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from integration.apiserver import ApiServer, running
from integration.control.operator_process import ROOT
from lab.paths import CHECKOUT
from lab.shell import say

FEW, MANY = 100, 400
INTERVAL_S, RUNS = 30, 3
STEADY_WITHIN_S, MEASURED_S = 300.0, 65.0
"""While it is measured, each probe runs, its status is written (every 30 s), and the audit lists all (every 60 s)."""
CRD = ROOT / "crds/datapathprobes.yaml"
RESULT = CHECKOUT / "build/bench-memory.json"
_PAGE_BYTES = os.sysconf("SC_PAGESIZE")


@dataclass(frozen=True, slots=True)
class Growth:
    """Peaks of resident memory with few and with many probes, in bytes."""

    few_probes: int
    many_probes: int
    few_bytes: int
    many_bytes: int

    @property
    def bytes_per_probe(self) -> int:
        """Growth of the peak for each further probe."""
        return (self.many_bytes - self.few_bytes) // (self.many_probes - self.few_probes)


def measure(few: int = FEW, many: int = MANY) -> Growth:
    """Run the operator with few, then with many probes."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as api:
        api.run_kubectl("apply", "--server-side", "-f", CRD)
        api.wait_for("get", "datapathprobes")
        with _operator(api) as pid:
            _create(api, 0, few)
            few_bytes = _peak_bytes(api, pid, few)
            _create(api, few, many)
            return Growth(few, many, few_bytes, _peak_bytes(api, pid, many))


@contextmanager
def _operator(api: ApiServer) -> Iterator[int]:
    path = os.pathsep.join((str(ROOT / "operator"), str(ROOT / "tests")))
    env = {**os.environ, **allocator_settings(), "PYTHONPATH": path}
    log = api.kubeconfig.with_name("operator.log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.steady_operator", api.kubeconfig],
            stdout=output,
            stderr=output,
            env=env,
        )
    try:
        yield process.pid
        if process.poll() is not None:
            raise RuntimeError(f"the operator ended: {log.read_text()[-2000:]}")
    finally:
        process.kill()
        process.wait()


def allocator_settings() -> dict[str, str]:
    """What the Dockerfile sets for malloc."""
    return dict(re.findall(r"\b(MALLOC_\w+)=(\w+)", (ROOT / "Dockerfile").read_text()))


def _create(api: ApiServer, first: int, end: int) -> None:
    probes = [_probe(number) for number in range(first, end)]
    stdin = json.dumps({"apiVersion": "v1", "kind": "List", "items": probes})
    created = api.run_kubectl("create", "-f", "-", stdin=stdin, timeout_s=120)
    if created.returncode != 0:
        raise RuntimeError(created.stderr)


def _probe(number: int) -> dict[str, object]:
    return {
        "apiVersion": "datapath-probe.dev/v1alpha1",
        "kind": "DatapathProbe",
        "metadata": {"name": f"probe-{number}", "namespace": "default"},
        "spec": {
            "schedule": {"interval": f"{INTERVAL_S}s"},
            "source": {"pod": "xwing"},
            "destination": {"service": {"name": "deathstar", "port": 80}},
        },
    }


def _steady(api: ApiServer, probes: int) -> None:
    """Wait until every probe has run several times. Raises RuntimeError: then the measurement is meaningless."""
    path = "{range .items[*]}{.status.counters.runs} {.status.verdict}{'\\n'}{end}"
    deadline = time.monotonic() + STEADY_WITHIN_S
    while True:
        lines = api.run_kubectl("get", "dpp", "-o", f"jsonpath={path}").stdout.splitlines()
        ran = [line for line in lines if _has_run(*line.split())]
        if len(ran) >= probes:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"only {len(ran)} of {probes} probes ran {RUNS} times and are Healthy")
        time.sleep(5)


def _has_run(runs: str = "0", verdict: str = "") -> bool:
    return verdict == "Healthy" and int(runs) >= RUNS


def _peak_bytes(api: ApiServer, pid: int, probes: int) -> int:
    """The highest resident memory once all probes have run."""
    say(f"· {probes} probes …")
    _steady(api, probes)
    end, peak = time.monotonic() + MEASURED_S, 0
    while time.monotonic() < end:
        peak = max(peak, int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES)
        time.sleep(0.1)
    return peak


def main() -> None:
    """Measure, print, and write the result."""
    growth = measure()
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({**asdict(growth), "bytes_per_probe": growth.bytes_per_probe}, indent=2))
    print(f"peak with {growth.few_probes} probes   {growth.few_bytes / 1e6:6.1f} MB")
    print(f"peak with {growth.many_probes} probes   {growth.many_bytes / 1e6:6.1f} MB")
    print(f"per further probe    {growth.bytes_per_probe / 1e3:6.1f} kB")
    print(f"written to {RESULT.relative_to(CHECKOUT)}")


if __name__ == "__main__":
    main()
