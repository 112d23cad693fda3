"""One path of a run: sends the request, collects evidence at the same time, and diagnoses the result.

In: a plan. Out: a `PathRun` and its `Diagnosis`. Called by `probe_run`. A path holds a slot while it asks and
diagnoses; none while it waits for the request, for slow agents, or between two readings.
"""

import asyncio
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from ..api.probe import Probe
from ..collect.cancellation import end
from ..collect.capture import ADDED_S as CAPTURE_S
from ..collect.capture import capturing
from ..collect.collector import MAX_ROUNDS, Collector, gather
from ..diagnose.finding.diagnosis import Diagnosis
from ..diagnose.run.run import PathRun, Request
from ..evidence.delivery import delivery
from ..evidence.fact import Fact
from ..plan.endpoint_churn import destination_churn, dns_churn
from ..plan.plan import Plan
from ..plan.resolve import resolve_again
from .asked_before import AskedBefore, path_of
from .backend_rotation import BackendRotation
from .bounded_diagnosis import BoundedDiagnosis
from .cluster_access import ClusterAccess
from .path_capture import agent_containers, busy, capture_facts, impossible
from .request import permitted, send

# How long Cilium may take to apply a change of an object to the maps, before a contradiction counts.
SETTLE_S = 1.0
# The request is sent before evidence is collected, because it takes longest.
HEAD_START_S = 0.002
# The longest duration of a good request. After that packets may have been lost, and loss counters are read.
HANGING_S = 0.4
# How often, and after which pause, events are read again that the ring of a node does not return yet.
EVENT_RETRIES, EVENT_PAUSE_S = 2, 0.7
# How long evidence is collected beyond the request's timeout. After that the path is judged by what is there.
EVIDENCE_S = 20.0
# The longest duration of a path beyond the request's timeout, if everything that it waits for is late.
OVERTIME_S = math.ceil(EVIDENCE_S + SETTLE_S + EVENT_RETRIES * EVENT_PAUSE_S + CAPTURE_S)


@dataclass(frozen=True, slots=True)
class SharedByPaths:
    """What the paths of one run share: the collector; and, shared with all runs, the rotation of other backends and the
    facts that earlier runs asked for. `fresh`: use no evidence of earlier runs.
    """

    collector: Collector
    rotation: BackendRotation
    asked: AskedBefore
    fresh: bool = False


class PathRunner:
    """Runs one path of a probe, from source port `local_port`."""

    def __init__(
        self, access: ClusterAccess, shared: SharedByPaths, probe: Probe, plan: Plan, local_port: int
    ) -> None:
        self._access = access
        self._collector = shared.collector
        self._shared = shared
        self._slot = access.limits.work.slot(probe.meta.namespace, begun=True)
        self._diagnosis = BoundedDiagnosis(access.worker, self._slot)
        self._probe = probe
        self._plan = plan
        self._local_port = local_port
        self._asked_before: Sequence[Fact] = ()
        self._ends_at = math.inf

    async def run(self, *, capture_on: Collection[str] | None = None) -> tuple[PathRun, Diagnosis]:
        """Run the path, from the request to the diagnosis. `capture_on`: the nodes on which its packets can be
        captured; None if no capture is requested.
        """
        agents, plan = self._access.agents, self._plan
        if capture_on is None:
            async with self._slot:
                return await self._run()
        facts = capture_facts(plan, self._local_port)
        if agents is None:
            async with self._slot:
                run, diagnosis = await self._run()
            return replace(
                run, evidence=run.evidence.adding(tuple(facts), tuple(map(impossible, facts)))
            ), diagnosis
        here = [fact for fact in facts if fact.node in capture_on]
        async with capturing(agents, here, agent_containers(plan)) as captured, self._slot:
            run, diagnosis = await self._run()
        readings = dict(zip(here, captured.readings, strict=True))
        readings |= {fact: busy(fact) for fact in facts if fact not in readings}
        return replace(
            run, evidence=run.evidence.adding(tuple(readings), tuple(readings.values()))
        ), diagnosis

    async def _run(self) -> tuple[PathRun, Diagnosis]:
        run = await self._requested()
        run = await self._collect(run)
        diagnosis = await self._diagnosis.diagnose(run)
        if not self._diagnosis.looked_at.issuperset(self._asked_before):
            self._shared.asked.forget(path_of(run))  # some of it has become superfluous
        if not diagnosis.met or diagnosis.needs_second_look:
            run = await self._look_again(run, diagnosis)
            run, diagnosis = await self._await_events(run)
        self._shared.rotation.found(run.plan, run.request.started, diagnosis.looks)
        return self._diagnosis.judged(run), diagnosis

    async def _requested(self) -> PathRun:
        """Send the request, and meanwhile collect the facts that do not depend on its result."""
        loop, plan = asyncio.get_running_loop(), self._plan
        now = self._access.clock()
        others = self._shared.rotation.choose(plan, now, fresh=self._shared.fresh)
        request = Request(now, self._local_port, None)
        suspects = self._shared.rotation.suspects(plan, others)
        run = PathRun(plan, request, others=others, suspects=suspects, windows=self._access.windows)
        hanging_at = loop.time() + HANGING_S
        self._ends_at = loop.time() + plan.request.timeout_s + EVIDENCE_S
        sending = asyncio.create_task(send(self._access.clients, self._access.cas, plan, self._local_port))
        try:
            await asyncio.wait((sending,), timeout=HEAD_START_S)
            self._asked_before = self._shared.asked.facts(path_of(run))
            # facts that follow from these are part of the next round
            run = await self._collect(run, rounds=1, first=self._asked_before)
            if not (sending.done() and self._asked_before):
                await self._diagnosis.facts_of(run)  # parses the answers while the request is in progress
                self._remember(run)
            async with self._slot.released():
                await asyncio.wait((sending,), timeout=max(0.0, hanging_at - loop.time()))
            if not sending.done():
                run = await self._collect(replace(run, hanging=True))
                async with self._slot.released():
                    await asyncio.wait((sending,))
            reading = await sending
            reading = permitted(reading, plan, self._access.restrictions.addresses, self._access.inventory)
        finally:
            await end(sending)
        return replace(run, request=replace(run.request, reading=reading), hanging=False)

    def _remember(self, run: PathRun) -> None:
        """Note what was asked while the request was in flight, unless the next run looks at other backends."""
        if set(run.others) == set(run.suspects):
            self._shared.asked.note(path_of(run), self._diagnosis.looked_at, self._local_port)

    async def _collect(self, run: PathRun, rounds: int = MAX_ROUNDS, first: Sequence[Fact] = ()) -> PathRun:
        """Collect the facts that the checks need now, in at most this number of rounds. `first`: see `gather`."""
        evidence = await gather(
            run.evidence,
            lambda evidence: self._diagnosis.facts_of(replace(run, evidence=evidence)),
            self._collector,
            rounds,
            self._ends_at,
            self._slot,
            first,
        )
        return replace(run, evidence=evidence)

    async def _look_again(self, run: PathRun, diagnosis: Diagnosis) -> PathRun:
        """Read doubtful facts a second time. After a request that failed those are all facts, since they may have
        changed between the first reading and the request; not if nothing is known of the request, such as without curl.
        Objects are compared too: a failure proves nothing while something is in transition.
        """
        failed = not diagnosis.met and diagnosis.report is not None
        doubted = frozenset(run.evidence.readings) if failed else diagnosis.confirm
        repeatable = (fact for fact in doubted if delivery(fact).repeatable)
        facts = sorted(repeatable, key=lambda fact: (fact.node, fact.kind, fact.parameters))
        async with self._slot.released():
            await asyncio.sleep(SETTLE_S)
        run = await self._read_again(run, facts)
        inventory = self._access.inventory
        return replace(
            run,
            second_look=True,
            plan_after=resolve_again(run.plan, self._probe, inventory, self._access.restrictions),
            view_age_s=self._view_age_s(),
            destination_churn=destination_churn(run.plan, inventory),
            dns_churn=dns_churn(inventory),
        )

    async def _await_events(self, run: PathRun) -> tuple[PathRun, Diagnosis]:
        """Diagnose the second look. If no hop is named, wait for events that a ring does not return yet."""
        run = await self._collect(run)
        diagnosis = await self._diagnosis.diagnose(run)
        for _ in range(EVENT_RETRIES):
            if diagnosis.met or diagnosis.divergence or not diagnosis.events_to_reread:
                break
            async with self._slot.released():
                await asyncio.sleep(EVENT_PAUSE_S)
            run = await self._read_again(run, diagnosis.events_to_reread)
            diagnosis = await self._diagnosis.diagnose(run)
        return run, diagnosis

    async def _read_again(self, run: PathRun, facts: Sequence[Fact]) -> PathRun:
        evidence = await self._collector.ask(
            run.evidence, facts, fresh=True, ends_at=self._ends_at, slot=self._slot
        )
        return replace(run, evidence=evidence)

    def _view_age_s(self) -> float:
        since = self._access.inventory.stale_since
        return 0.0 if since is None else self._access.clock() - since
