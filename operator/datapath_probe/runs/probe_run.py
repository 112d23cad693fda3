"""One run of one probe: its paths side by side, and what they share.

Paths lead mostly through the same nodes: what several ask of a node is asked once, and an answer is parsed once. Each
has a request and a source port of its own, and ends by itself: what goes wrong with one leaves the others as they are.
Called by `runner`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from structlog.contextvars import bind_contextvars

from ..api.probe import Probe
from ..api.reasons import Reason
from ..collect.answer_cache import AnswerCache
from ..collect.collector import Collector
from ..collect.source_ports import SourcePorts
from ..diagnose.finding.diagnosis import Diagnosis
from ..diagnose.finding.evidence_reader import ParseCache
from ..diagnose.run.bundle import Bundle
from ..diagnose.run.run import PathRun
from ..plan.plan import CannotRun, Plan
from .cluster_access import ClusterAccess
from .path_runner import OVERTIME_S, PathRunner, SharedByPaths

log = structlog.get_logger(__name__)

# So many paths of a run are under way at the same time: each holds an exec, and asks each of its nodes' agents.
PATHS_AT_ONCE = 8
# When a path is cancelled, beyond its request's timeout. The last net: paths end by themselves before.
PATH_MARGIN_S = OVERTIME_S + 5.0


@dataclass(frozen=True, slots=True)
class EndedPath:
    """What became of a path. `run`: None where there was none, or it did not end."""

    outcome: Diagnosis | CannotRun
    run: PathRun | None = None

    @property
    def bundle(self) -> Bundle | None:
        """The path as it can be saved."""
        if self.run is None or isinstance(self.outcome, CannotRun):
            return None
        return Bundle(self.run, self.outcome.rule)


class ProbeRun:
    """Runs each plan of a probe; `ports` hands out the ports to send from."""

    def __init__(self, access: ClusterAccess, answers: AnswerCache, ports: SourcePorts, probe: Probe) -> None:
        self._access = access
        self._answers = answers
        self._ports = ports
        self._probe = probe
        self._places = asyncio.Semaphore(PATHS_AT_ONCE)

    async def run(self, plans: Sequence[Plan], *, capture: bool) -> tuple[EndedPath, ...]:
        """One end for each plan, in this order. Raises nothing but CancelledError."""
        incarnations = {agent.node: agent.incarnation for plan in plans for agent in plan.agents}
        shared = SharedByPaths(Collector(self._answers, incarnations), ParseCache())
        try:
            async with asyncio.TaskGroup() as group:
                paths = [group.create_task(self._bounded(plan, shared, capture)) for plan in plans]
        finally:
            await shared.collector.close()
        return tuple(path.result() for path in paths)

    async def _bounded(self, plan: Plan, shared: SharedByPaths, capture: bool) -> EndedPath:
        """The path, when there is a place for it and as long as it may last."""
        source, destination = plan.pair
        bind_contextvars(node=plan.source.pod.node)
        bound_s = plan.request.timeout_s + PATH_MARGIN_S
        async with self._places:
            port = self._ports.take(plan.source.pod.uid)
            runner = PathRunner(self._access, shared, self._probe, plan, port)
            try:
                async with asyncio.timeout(bound_s):
                    run, diagnosis = await runner.run(capture=capture)
                return EndedPath(diagnosis, run)
            except TimeoutError:
                reason = Reason.RUN_TIMEOUT
                message = f"the run did not end within {bound_s:g} s and was cancelled"
            except Exception as error:
                log.exception("run failed")
                reason, message = Reason.INTERNAL_ERROR, f"the run ended with {type(error).__name__}"
        return EndedPath(CannotRun(reason, message, source, destination))
