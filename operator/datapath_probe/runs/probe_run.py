"""One run of one probe: its paths side by side, and what they share.

In: plans. Out: an `EndedPath` each. Called by `runner`. Most paths lead through the same nodes: a fact that several
paths need is asked for once, and its answer is parsed once (`Answer.records`). Each path has its own request and source
port. A timeout or an error affects only its own path.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import structlog
from structlog.contextvars import bind_contextvars

from ..api.probe import Probe
from ..api.reasons import Reason
from ..collect.answer_cache import AnswerCache
from ..collect.collector import Collector
from ..collect.source_ports import SourcePorts
from ..diagnose.finding.diagnosis import Diagnosis
from ..diagnose.run.bundle import Bundle
from ..diagnose.run.run import PathRun
from ..plan.plan import CannotRun, Plan
from ..plan.resolve import resolve_again
from .asked_before import AskedBefore
from .backend_rotation import BackendRotation
from .cluster_access import ClusterAccess
from .path_capture import capture_nodes
from .path_runner import OVERTIME_S, PathRunner, SharedByPaths

log = structlog.get_logger(__name__)

# The number of paths that run at the same time: each holds an exec and asks the agents of its nodes.
PATHS_AT_ONCE = 8
# When a path is canceled, beyond its request's timeout. A safeguard: paths normally end before.
PATH_MARGIN_S = OVERTIME_S + 5.0


@dataclass(frozen=True, slots=True)
class SharedByRuns:
    """What all runs share: the answers of agents, source ports, the rotation of other backends, and what runs asked."""

    answers: AnswerCache
    ports: SourcePorts
    rotation: BackendRotation
    asked: AskedBefore = field(default_factory=AskedBefore)


@dataclass(frozen=True, slots=True)
class EndedPath:
    """The end of a path. `run`: None if no request was sent or the path did not end. `delayed`: its request waited,
    because its namespace has sent as many as it may.
    """

    outcome: Diagnosis | CannotRun
    run: PathRun | None = None
    delayed: bool = False

    @property
    def bundle(self) -> Bundle | None:
        """The path in the form in which it is saved."""
        if self.run is None or isinstance(self.outcome, CannotRun):
            return None
        return Bundle(self.run, self.outcome.rule)


class ProbeRun:
    """Runs the plans of a probe."""

    def __init__(self, access: ClusterAccess, shared: SharedByRuns, probe: Probe) -> None:
        self._access = access
        self._shared_by_runs = shared
        self._probe = probe
        self._slots = asyncio.Semaphore(PATHS_AT_ONCE)

    async def run(
        self, plans: Sequence[Plan], *, capture: bool, fresh: bool = False
    ) -> tuple[EndedPath, ...]:
        """Run the plans and return one result for each, in this order. `capture`: the packets of the first. `fresh`:
        look at all other backends. Raises only CancelledError.
        """
        incarnations = {agent.node: agent.incarnation for plan in plans for agent in plan.agents}
        of_runs = self._shared_by_runs
        collector = Collector(
            of_runs.answers, incarnations, self._access.limits.round_trips, self._probe.meta.namespace
        )
        shared = SharedByPaths(collector, of_runs.rotation, of_runs.asked, fresh)
        try:
            async with asyncio.TaskGroup() as group:
                paths = [
                    group.create_task(self._in_turn(plan, shared, capture and position == 0))
                    for position, plan in enumerate(plans)
                ]
        finally:
            await shared.collector.close()
        return tuple(path.result() for path in paths)

    async def _in_turn(self, plan: Plan, shared: SharedByPaths, capture: bool) -> EndedPath:
        """Run the path once its namespace may send a request. The cluster may have changed until then."""
        async with self._slots:
            access = self._access
            if not await access.limits.rate.turn(self._probe.meta.namespace):
                return await self._bounded(plan, shared, capture)
            current = resolve_again(plan, self._probe, access.inventory, access.restrictions)
            if isinstance(current, CannotRun):
                return EndedPath(current, delayed=True)
            return replace(await self._bounded(current, shared, capture), delayed=True)

    async def _bounded(self, plan: Plan, shared: SharedByPaths, capture: bool) -> EndedPath:
        """Run the path once there is room for it, for a limited time."""
        source, destination, _ = plan.pair
        bind_contextvars(node=plan.source.pod.node)
        bound_s = plan.request.timeout_s + PATH_MARGIN_S
        async with self._access.limits.request(plan), self._capturing(plan, capture) as nodes:
            port = self._shared_by_runs.ports.take(plan.source.pod.uid)
            runner = PathRunner(self._access, shared, self._probe, plan, port)
            try:
                async with asyncio.timeout(bound_s):
                    run, diagnosis = await runner.run(capture_on=nodes)
                _log_internal_errors(diagnosis)
                return EndedPath(diagnosis, run)
            except TimeoutError:
                reason = Reason.RUN_TIMEOUT
                message = f"the run did not end within {bound_s:g} s and was canceled"
            except Exception as error:
                log.exception("run failed")
                reason, message = Reason.INTERNAL_ERROR, f"the run ended with {type(error).__name__}"
        return EndedPath(CannotRun(reason, message, source, destination))

    @asynccontextmanager
    async def _capturing(self, plan: Plan, capture: bool) -> AsyncIterator[frozenset[str] | None]:
        """Yield the nodes to capture on, once no other capture is in progress there; None without a capture."""
        if not capture:
            yield None
            return
        async with self._access.limits.capture(capture_nodes(plan), plan.source.pod.namespace) as nodes:
            yield nodes


def _log_internal_errors(diagnosis: Diagnosis) -> None:
    """Log what is a fault of this program, not of the path; without values of the request."""
    if diagnosis.reason is Reason.INTERNAL_ERROR:
        log.error("not diagnosed", error=diagnosis.message)
    for finding in diagnosis.findings:
        if finding.reason is Reason.INTERNAL_ERROR:
            log.error("hop not checked", hop=finding.hop, hop_node=finding.node, error=finding.message)
