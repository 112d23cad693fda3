"""Runs a probe once, from its spec to its result. Called by `control` and `cli`.

In: a probe. Out: a `RunResult`. Nothing is written here; `publish` handles the result.
"""

import time
from collections.abc import Callable

from structlog.contextvars import bind_contextvars

from ..api.probe import Probe
from ..collect.answer_cache import AnswerCache
from ..collect.interfaces import AgentContainers, SourceContainers
from ..collect.source_ports import SourcePorts
from ..diagnose.run.windows import DEFAULT, Windows
from ..plan.objects import Inventory
from ..plan.plan import CannotRun, Plan
from ..plan.resolve import resolve
from ..plan.restrictions import UNRESTRICTED, Restrictions
from .cluster_access import ClusterAccess
from .diagnosis_worker import DiagnosisWorker
from .probe_run import ProbeRun
from .run_result import RunResult


class ProbeRunner:
    """Runs probes against a live cluster."""

    def __init__(
        self,
        inventory: Inventory,
        answers: AnswerCache,
        containers: SourceContainers,
        clock: Callable[[], float] = time.time,
        ports: SourcePorts | None = None,
        agents: AgentContainers | None = None,
        windows: Windows = DEFAULT,
        restrictions: Restrictions = UNRESTRICTED,
        worker: DiagnosisWorker | None = None,
    ) -> None:
        worker = worker or DiagnosisWorker()
        self._access = ClusterAccess(inventory, containers, agents, clock, windows, restrictions, worker)
        self._answers = answers
        self._ports = ports or SourcePorts()

    async def run(self, probe: Probe, capture: bool = False, fresh: bool = False) -> RunResult:
        """Run the probe once. `capture`: also capture its packets. `fresh`: use no answers of earlier runs, because the
        cluster may just have been changed. Ends by itself; raises only CancelledError.
        """
        started = self._access.clock()
        if fresh:
            self._answers.forget()
        plans = resolve(probe, self._access.inventory, self._access.restrictions)
        to_run = [plan for plan in plans if isinstance(plan, Plan)]
        nodes = {plan.source.pod.node for plan in to_run}
        if len(nodes) == 1:
            bind_contextvars(node=nodes.pop())  # for the rest of this run's task
        paths = await ProbeRun(self._access, self._answers, self._ports, probe).run(to_run, capture=capture)
        return RunResult(
            started,
            self._access.clock(),
            outcomes=(
                *(path.outcome for path in paths),
                *(plan for plan in plans if isinstance(plan, CannotRun)),
            ),
            bundles=tuple(path.bundle for path in paths if path.bundle),
        )
