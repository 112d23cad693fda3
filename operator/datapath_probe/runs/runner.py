"""Runs a probe once, from its spec to its result. Called by `control` and `cli`.

In: a probe. Out: a `RunResult`. Nothing is written here; `publish` handles the result.
"""

import time
from collections.abc import Callable

from structlog.contextvars import bind_contextvars

from ..api.probe import Probe
from ..collect.answer_cache import AnswerCache
from ..collect.fair_slots import Slot
from ..collect.interfaces import AgentContainers, CaCertificates, SourceContainers
from ..collect.source_ports import SourcePorts
from ..diagnose.run.windows import DEFAULT, Windows
from ..plan.objects import Inventory
from ..plan.plan import CannotRun, Plan
from ..plan.resolve import resolve
from ..plan.restrictions import UNRESTRICTED, Restrictions
from .backend_rotation import BackendRotation
from .cluster_access import ClusterAccess
from .diagnosis_worker import DiagnosisWorker
from .limits import Limits
from .probe_run import ProbeRun, SharedByRuns
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
        limits: Limits | None = None,
        cas: CaCertificates | None = None,
    ) -> None:
        worker, limits = worker or DiagnosisWorker(), limits or Limits()
        self._access = ClusterAccess(
            inventory, containers, agents, clock, windows, restrictions, worker, limits, cas
        )
        self._shared = SharedByRuns(answers, ports or SourcePorts(), BackendRotation())

    async def run(
        self, probe: Probe, capture: bool = False, fresh: bool = False, slot: Slot | None = None
    ) -> RunResult:
        """Run the probe once. `capture`: also capture its packets. `fresh`: use no answers of earlier runs about the
        nodes of its paths, because the cluster may just have been changed. `slot`: held while the plans are made; each
        path has its own. Ends by itself; raises only CancelledError.
        """
        started = self._access.clock()
        plans = resolve(probe, self._access.inventory, self._access.restrictions)
        to_run = [plan for plan in plans if isinstance(plan, Plan)]
        if fresh:
            self._shared.answers.forget({node.name for plan in to_run for node in plan.nodes})
        if slot:
            slot.release()
        nodes = {plan.source.pod.node for plan in to_run}
        if len(nodes) == 1:
            bind_contextvars(node=nodes.pop())  # for the rest of this run's task
        probe_run = ProbeRun(self._access, self._shared, probe)
        paths = await probe_run.run(to_run, capture=capture, fresh=fresh)
        return RunResult(
            started,
            self._access.clock(),
            outcomes=(
                *(path.outcome for path in paths),
                *(plan for plan in plans if isinstance(plan, CannotRun)),
            ),
            bundles=tuple(path.bundle for path in paths if path.bundle),
        )
