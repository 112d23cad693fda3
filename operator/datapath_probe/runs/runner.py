"""Runs a probe once, from its spec to its result. Called by `control` and `cli`.

In: a probe. Out: a `RunResult`. Nothing is written here; `publish` handles the result.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from structlog.contextvars import bind_contextvars

from ..api.probe import Probe
from ..api.reasons import Reason
from ..api.vocabulary import ProbeVerdict
from ..collect.answer_cache import AnswerCache
from ..collect.fair_slots import Slot
from ..collect.interfaces import AgentContainers, CaCertificates, Clients
from ..collect.source_ports import SourcePorts
from ..diagnose.run.bundle import Bundle
from ..diagnose.run.windows import DEFAULT, Windows
from ..plan.objects import Inventory
from ..plan.pairs.pairs import Pair, Pairs, is_gone, pairs_of
from ..plan.plan import CannotRun, Plan
from ..plan.resolve import resolve
from ..plan.restrictions import UNRESTRICTED, Restrictions
from .asked_before import AskedBefore
from .backend_rotation import BackendRotation
from .cluster_access import ClusterAccess
from .diagnosis_worker import DiagnosisWorker
from .limits import Limits
from .pair_turns import PairTurns
from .probe_run import EndedPath, ProbeRun, SharedByRuns
from .run_result import RunResult, badness, verdict_of

MAX_BUNDLES = 8
"""The number of paths of a run whose evidence is kept."""

_ALL_GONE = CannotRun(
    Reason.IN_TRANSITION, "the selected pods were deleted during the run, and so were the next ones"
)


@dataclass(frozen=True, slots=True)
class _Ended:
    """A pair that was run."""

    pair: Pair
    plan: Plan | CannotRun
    path: EndedPath

    @property
    def verdict(self) -> ProbeVerdict:
        return verdict_of(self.path.outcome)


class ProbeRunner:
    """Runs probes against a live cluster."""

    def __init__(
        self,
        inventory: Inventory,
        answers: AnswerCache,
        clients: Clients,
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
            inventory, clients, agents, clock, windows, restrictions, worker, limits, cas
        )
        self._shared = SharedByRuns(answers, ports or SourcePorts(), BackendRotation(), AskedBefore())
        self._turns = PairTurns(limits.max_pairs)

    async def run(
        self, probe: Probe, capture: bool = False, fresh: bool = False, slot: Slot | None = None
    ) -> RunResult:
        """Run the probe once. `capture`: also capture the packets of its first pair. `fresh`: use no answers of earlier
        runs about the nodes of its paths, because the cluster may just have been changed. `slot`: held while the plans
        are made; each path has its own. Ends by itself; raises only CancelledError.
        """
        started = self._access.clock()
        pairs, ended = await self._attempt(probe, capture, fresh, slot)
        current = [each for each in ended if not self._is_gone(each, probe)]
        if ended and not current:  # its pods were deleted during the run; the next ones may be ready
            pairs, ended = await self._attempt(probe, capture, fresh)
            current = [each for each in ended if not self._is_gone(each, probe)]
        if isinstance(pairs, CannotRun) or not current:
            why = pairs if isinstance(pairs, CannotRun) else _ALL_GONE
            return RunResult(started, self._access.clock(), (why,))
        self._turns.found(probe.meta.uid, {each.pair: each.verdict for each in current})
        return RunResult(
            started,
            self._access.clock(),
            outcomes=tuple(each.path.outcome for each in current),
            bundles=_bundles([each.path for each in current]),
            pairs=pairs,
            not_run=len(pairs) - len(ended),
            delayed=any(each.path.delayed for each in ended),
        )

    def forget_probe(self, uid: str) -> None:
        """Forget a deleted probe."""
        self._turns.forget(uid)

    async def _attempt(
        self, probe: Probe, capture: bool, fresh: bool, slot: Slot | None = None
    ) -> tuple[Pairs | CannotRun, list[_Ended]]:
        """Run the pairs whose turn it is."""
        uid = probe.meta.uid
        pairs = pairs_of(probe, self._access.inventory, self._turns.sources(uid))
        if isinstance(pairs, CannotRun):
            return pairs, []
        plans = await self._plans(probe, self._turns.take(uid, pairs))
        to_run = [plan for plan in plans.values() if isinstance(plan, Plan)]
        if fresh:
            self._shared.answers.forget({node.name for plan in to_run for node in plan.nodes})
        if slot:
            slot.release()
        nodes = {plan.source.pod.node for plan in to_run}
        if len(nodes) == 1:
            bind_contextvars(node=nodes.pop())  # for the rest of this run's task
        paths = iter(
            await ProbeRun(self._access, self._shared, probe).run(to_run, capture=capture, fresh=fresh)
        )
        return pairs, [
            _Ended(pair, plan, next(paths) if isinstance(plan, Plan) else EndedPath(plan))
            for pair, plan in plans.items()
        ]

    async def _plans(self, probe: Probe, pairs: Iterable[Pair]) -> Mapping[Pair, Plan | CannotRun]:
        plans = {}
        for pair in pairs:
            await asyncio.sleep(0)  # others have their turn: a Service may have thousands of endpoints
            plans[pair] = resolve(pair, probe, self._access.inventory, self._access.restrictions)
        return plans

    def _is_gone(self, ended: _Ended, probe: Probe) -> bool:
        """Whether the result is that of a pod that no longer belongs to the probe. A Healthy one counts anyway."""
        return ended.verdict is not ProbeVerdict.HEALTHY and is_gone(
            ended.pair, ended.plan, probe, self._access.inventory
        )


def _bundles(paths: Sequence[EndedPath]) -> tuple[Bundle, ...]:
    """The evidence of the first path, whose packets may have been captured, and of the worst."""
    known = [path for path in paths if path.bundle]
    worst = sorted(known[1:], key=lambda path: badness(path.outcome))[: MAX_BUNDLES - 1]
    return tuple(path.bundle for path in (*known[:1], *worst) if path.bundle)
