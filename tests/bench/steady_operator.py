"""The real operator whose runs return a recorded path of 25 hops: `python -m bench.steady_operator KUBECONFIG`.

Called by `process_memory`. Every run is a copy: it shares no object with another one.
"""

import asyncio
import pickle
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from bench.probe_memory import diagnosed
from datapath_probe.api.probe import Probe
from datapath_probe.cli import logs
from datapath_probe.collect.fair_slots import Slot
from datapath_probe.control.app import Options, serve
from datapath_probe.kube.cluster import Cluster
from datapath_probe.runs.run_result import RunResult

RUN_S = 0.1


class RecordedCluster:
    """Always synced. Every run takes `RUN_S` and is healthy."""

    unsynced: Mapping[str, str] = {}
    fallbacks = 0

    def __init__(self) -> None:
        self.runner = self
        self._diagnosis = pickle.dumps(diagnosed())

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
        await asyncio.sleep(RUN_S)
        return RunResult(started, time.time(), (pickle.loads(self._diagnosis),))  # noqa: S301 (written above)


@asynccontextmanager
async def open_cluster(*_: object) -> AsyncIterator[Cluster]:
    yield RecordedCluster()


if __name__ == "__main__":
    logs.configure("INFO")
    options = Options(kubeconfig=sys.argv[1], metrics_host="127.0.0.1", metrics_port=0, health_port=0)
    asyncio.run(serve(options, open_cluster))
