"""The runs that wait to be saved. Held by `evidence_saver`.

In: runs with their sizes. Out: one at a time; namespaces take turns. If there is no room, the namespace that has the
most waiting loses its newest run.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

from ...api.probe import Probe
from ...publish.status.saved_run import RunKind
from ...runs.run_result import RunRecord


@dataclass(frozen=True, slots=True)
class WaitingRun:
    """A run that ended. `size_bytes`: of its evidence in memory."""

    probe: Probe
    record: RunRecord
    kind: RunKind
    size_bytes: int


class WaitingRuns:
    """`total_bytes`: of all that wait, and of those that were taken and are not yet `done`."""

    def __init__(self, limit_bytes: int) -> None:
        self.total_bytes = 0
        self._limit_bytes = limit_bytes
        self._runs: dict[str, deque[WaitingRun]] = {}  # by namespace, whose turn it is first
        self._some = asyncio.Event()

    def put(self, run: WaitingRun) -> tuple[WaitingRun, ...]:
        """Add a run. Returns the runs that there is no room for, this one or others."""
        namespace = run.probe.meta.namespace
        left_out = self._superseded_by(run)
        if left_out is None:
            return (run,)
        for other in left_out:
            waiting = self._runs[other.probe.meta.namespace]
            waiting.remove(other)
            self.done(other)
            if not waiting:
                del self._runs[other.probe.meta.namespace]
        self._runs.setdefault(namespace, deque()).append(run)
        self.total_bytes += run.size_bytes
        self._some.set()
        return tuple(left_out)

    def _superseded_by(self, run: WaitingRun) -> list[WaitingRun] | None:
        """The newest runs of the namespaces with the most, until there is room; None if the namespace of this run would
        then have more than they.
        """
        sizes = {name: self._bytes_of(name) for name in self._runs}
        waiting = {name: list(runs) for name, runs in self._runs.items()}
        own = sizes.get(run.probe.meta.namespace, 0) + run.size_bytes
        left_out: list[WaitingRun] = []
        needed = self.total_bytes + run.size_bytes - self._limit_bytes
        while needed > 0:
            largest = max(sizes, key=lambda name: sizes[name], default="")
            if not largest or sizes[largest] <= own:
                return None
            left_out.append(waiting[largest].pop())
            sizes[largest] -= left_out[-1].size_bytes
            needed -= left_out[-1].size_bytes
        return left_out

    async def take(self) -> WaitingRun:
        """The oldest run of the namespace whose turn it is, once there is one."""
        while not self._runs:
            self._some.clear()
            await self._some.wait()
        namespace = next(iter(self._runs))
        runs = self._runs.pop(namespace)
        run = runs.popleft()
        if runs:
            self._runs[namespace] = runs
        return run

    def done(self, run: WaitingRun) -> None:
        """The run needs no room any more."""
        self.total_bytes -= run.size_bytes

    def _bytes_of(self, namespace: str) -> int:
        return sum(run.size_bytes for run in self._runs.get(namespace, ()))
