"""Collects the evidence of one run: asks for facts until the checks need no more, or until the run's deadline.

In: facts that `diagnose` asks for. Out: `Evidence`. Called by `runs`. The paths of a run share a `Collector`: facts
that they need from one node at the same time travel in one round trip, and after a tool has timed out for one path, no
path asks it again.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..evidence.errors import EvidenceError
from ..evidence.fact import Fact
from ..evidence.reading import Reading, Unavailable
from ..evidence.store import Evidence
from ..evidence.unresponsive_agents import UnresponsiveAgents
from .answer_budget import AnswerBudget
from .answer_cache import AnswerCache, late
from .cancellation import end
from .fair_slots import FairSlotsByKey, Slot

# Answers lead to further facts (slot → backend → …). The longest such chain has 5 links.
MAX_ROUNDS = 8
# Concurrent round trips to one node, of all runs. Its agent runs two batches at a time, and four commands that listen.
ROUND_TRIPS_TO_A_NODE = 8

Wants = Callable[[Evidence], Awaitable[Sequence[Fact]]]
Answers = dict[Fact, Reading]


@dataclass(slots=True)
class _RoundTrip:
    """Facts to ask of one node together. `within_s`: the longest time that any path waits."""

    facts: dict[Fact, None] = field(default_factory=dict)
    within_s: float = 0.0


class Collector:
    """Asks the agents, in their current incarnation, on behalf of all paths of one run.

    `turns`: shared with the other runs, so that namespaces take turns at a busy node.
    """

    def __init__(
        self,
        answers: AnswerCache,
        incarnations: Mapping[str, str],
        turns: FairSlotsByKey | None = None,
        namespace: str = "",
    ) -> None:
        self._answers = answers
        self._incarnations = incarnations
        self._turns = turns or FairSlotsByKey(ROUND_TRIPS_TO_A_NODE)
        self._namespace = namespace
        self._unresponsive = UnresponsiveAgents()
        self._budget = AnswerBudget()
        # round trips that can still take facts, by node and `fresh`
        self._open: dict[tuple[str, bool], tuple[_RoundTrip, asyncio.Task[Answers]]] = {}
        self._under_way: set[asyncio.Task[Answers]] = set()

    def cached(self, facts: Sequence[Fact]) -> Answers:
        """Readings of these facts that are already available."""
        cached = self._answers.cached(facts, self._incarnations)
        return {fact: self._budget.admitted(reading) for fact, reading in cached.items()}

    async def ask(
        self,
        evidence: Evidence,
        facts: Sequence[Fact],
        *,
        fresh: bool = False,
        ends_at: float = math.inf,
        slot: Slot | None = None,
    ) -> Evidence:
        """Add one reading of each fact. `fresh`: ignore cached answers. `ends_at`: the deadline of this path, by the
        clock of the event loop. `slot`: released while the answers take long.
        """
        readings: Answers = {q: why for q in facts if (why := self._unresponsive.of(q))}
        to_ask = [fact for fact in facts if fact not in readings]
        left_s = ends_at - asyncio.get_running_loop().time()
        if left_s <= 0:
            over = Unavailable(EvidenceError.TIMEOUT, "the run reached its deadline before this was asked")
            readings |= dict.fromkeys(to_ask, over)
        elif to_ask:
            tasks = {fact: self._joined(fact, fresh, left_s) for fact in to_ask}
            # `wait` does not cancel the tasks: other paths may wait longer for the same round trip
            if slot:
                await slot.wait(set(tasks.values()), timeout_s=left_s)
            else:
                await asyncio.wait(set(tasks.values()), timeout=left_s)
            readings |= {
                fact: task.result()[fact] if task.done() else late(fact.node) for fact, task in tasks.items()
            }
        return evidence.adding(tuple(readings), tuple(readings.values()))

    async def close(self) -> None:
        """Cancel all round trips that are still pending."""
        await end(*self._under_way)

    def _joined(self, fact: Fact, fresh: bool, within_s: float) -> asyncio.Task[Answers]:
        """The next round trip to the fact's node, with this fact added to it."""
        key = fact.node, fresh
        if key not in self._open:
            trip = _RoundTrip()
            task = asyncio.create_task(self._carry_out(key, trip))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            self._open[key] = trip, task
        trip, task = self._open[key]
        trip.facts[fact] = None
        trip.within_s = max(trip.within_s, within_s)
        return task

    async def _carry_out(self, key: tuple[str, bool], trip: _RoundTrip) -> Answers:
        """Run one round trip. Until it is this namespace's turn, and all paths that are ready in this turn of the event
        loop have come, facts can be added.
        """
        node, fresh = key
        async with self._turns.slot(node, self._namespace):
            del self._open[key]
            facts = list(trip.facts)
            asked = await self._answers.ask(facts, self._incarnations, fresh=fresh, within_s=trip.within_s)
        answers = dict(zip(facts, map(self._budget.admitted, asked), strict=True))
        for fact, reading in answers.items():
            if reading != late(fact.node):  # another path may wait longer
                self._unresponsive.note(fact, reading)
        return answers


async def gather(
    evidence: Evidence,
    wants: Wants,
    collector: Collector,
    rounds: int = MAX_ROUNDS,
    ends_at: float = math.inf,
    slot: Slot | None = None,
    first: Sequence[Fact] = (),
) -> Evidence:
    """Ask for the facts that `wants` returns, until it returns none or the rounds are used up. `ends_at`, `slot`: see
    `Collector.ask`. `first`: what is asked for in the first round, instead of what `wants` returns.

    Cached answers are added first: facts that follow from them need no extra round trip.
    """
    for _ in range(rounds):
        facts = first or await wants(evidence)
        while cached := collector.cached(facts):
            evidence = evidence.adding(tuple(cached), tuple(cached.values()))
            facts = [fact for fact in first if fact not in evidence.readings] or await wants(evidence)
        first = ()
        if not facts:
            break
        evidence = await collector.ask(evidence, facts, ends_at=ends_at, slot=slot)
    return evidence
