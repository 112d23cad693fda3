"""The real operator with runs that a file controls: `python fake_cluster.py KUBECONFIG FOLDER MAX_PROBES`.

FOLDER/runs.json contains `{"outcome": "healthy" | "broken", "takes_s": 0.05}` and is read at every run.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from datapath_probe.api.probe import Probe
from datapath_probe.cli import logs
from datapath_probe.collect.fair_slots import Slot
from datapath_probe.control.app import Options, serve
from datapath_probe.kube.cluster import Cluster
from datapath_probe.runs.run_result import RunResult
from unit.publish.samples import diverging, healthy


class FakeCluster:
    """Always synced. Runs probes according to FOLDER/runs.json, and appends the name of each started probe to
    FOLDER/started.
    """

    unsynced: Mapping[str, str] = {}
    fallbacks = 0

    def __init__(self, folder: Path) -> None:
        self.runner = self
        self._folder = folder

    async def wait_synced(self) -> None:
        """Return at once."""

    async def serve(self) -> None:
        await asyncio.Event().wait()

    def forget_probe(self, uid: str) -> None:
        """Nothing is kept."""

    async def run(
        self, probe: Probe, capture: bool = False, fresh: bool = False, slot: Slot | None = None
    ) -> RunResult:
        started = time.time()
        with (self._folder / "started").open("a") as notes:
            notes.write(f"{probe.meta.name}\n")
        settings = json.loads((self._folder / "runs.json").read_text())
        await asyncio.sleep(settings["takes_s"])
        outcome = healthy() if settings["outcome"] == "healthy" else diverging()
        return RunResult(started, time.time(), (outcome,))


async def main(kubeconfig: str, folder: Path, max_probes: int | None) -> None:
    @asynccontextmanager
    async def open_cluster(*_: object) -> AsyncIterator[Cluster]:
        yield FakeCluster(folder)

    options = Options(
        kubeconfig=kubeconfig,
        max_probes_per_namespace=max_probes,
        metrics_host="127.0.0.1",
        metrics_port=0,
        health_port=0,
    )
    await serve(options, open_cluster)


if __name__ == "__main__":
    logs.configure("INFO")
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if sys.argv[3] else None))
