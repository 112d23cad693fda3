"""Evidence for one run: ask what the checks want to know, until they ask for nothing more, or the time is up.

The paths of a run share a `Collector`: what they ask of a node in the same moment is one round trip, and a tool that
did not respond to one of them is not asked by the others.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..evidence.errors import EvidenceError
from ..evidence.fact import Fact
from ..evidence.reading import Reading, Unavailable
from ..evidence.store import Evidence
from ..evidence.unresponsive_agents import UnresponsiveAgents
from .answer_cache import AnswerCache, late
from .cancellation import end

# A check may ask on from what it hears (slot → backend → …); the longest such chain has 5 links.
MAX_ROUNDS = 8

Wants = Callable[[Evidence], Sequence[Fact]]
Answers = dict[Fact, Reading]


@dataclass(slots=True)
class _RoundTrip:
    """What is asked of one node in one moment. `within_s`: how long the most patient path waits."""

    facts: dict[Fact, None] = field(default_factory=dict)
    within_s: float = 0.0


class Collector:
    """Asks each node's agent, in its present incarnation, for the paths of one run."""

    def __init__(self, answers: AnswerCache, incarnations: Mapping[str, str]) -> None:
        self._answers = answers
        self._incarnations = incarnations
        self._unresponsive = UnresponsiveAgents()
        # by node and `afresh`: the round trips that still take facts
        self._open: dict[tuple[str, bool], tuple[_RoundTrip, asyncio.Task[Answers]]] = {}
        self._under_way: set[asyncio.Task[Answers]] = set()

    def heard(self, facts: Sequence[Fact]) -> Answers:
        """Readings that need not be asked for."""
        return self._answers.heard(facts, self._incarnations)

    async def ask(
        self,
        evidence: Evidence,
        facts: Sequence[Fact],
        *,
        afresh: bool = False,
        ends_at: float = math.inf,
    ) -> Evidence:
        """One more reading of each fact. `afresh`: whatever was heard before; `ends_at`: when the time of this path
        is up, by the event loop's clock.
        """
        readings: Answers = {q: why for q in facts if (why := self._unresponsive.of(q))}
        to_ask = [fact for fact in facts if fact not in readings]
        left_s = ends_at - asyncio.get_running_loop().time()
        if left_s <= 0:
            over = Unavailable(EvidenceError.TIMEOUT, "the run's time was up before this could be asked")
            readings |= dict.fromkeys(to_ask, over)
        elif to_ask:
            tasks = {fact: self._joined(fact, afresh, left_s) for fact in to_ask}
            # `wait` cancels none of them: other paths may wait for the same round trip, with more time
            await asyncio.wait(set(tasks.values()), timeout=left_s)
            readings |= {
                fact: task.result()[fact] if task.done() else late(fact.node) for fact, task in tasks.items()
            }
        return evidence.adding(tuple(readings), tuple(readings.values()))

    async def close(self) -> None:
        """Cancel what no path waits for any more."""
        await end(*self._under_way)

    def _joined(self, fact: Fact, afresh: bool, within_s: float) -> asyncio.Task[Answers]:
        """The round trip to the fact's node that has not begun yet, or a new one; with the fact."""
        key = fact.node, afresh
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
        """Runs when all paths that are awake in this turn of the event loop have said what they want to know."""
        del self._open[key]
        _, afresh = key
        facts = list(trip.facts)
        asked = await self._answers.ask(facts, self._incarnations, afresh=afresh, within_s=trip.within_s)
        answers = dict(zip(facts, asked, strict=True))
        for fact, reading in answers.items():
            if reading != late(fact.node):  # another path may have more time
                self._unresponsive.note(fact, reading)
        return answers


async def gather(
    evidence: Evidence,
    wants: Wants,
    collector: Collector,
    rounds: int = MAX_ROUNDS,
    ends_at: float = math.inf,
) -> Evidence:
    """Ask what `wants` returns, tell it the answers, and so on until it wants nothing more.

    What was heard already comes first: what follows from it need not wait for a round trip.
    """
    for _ in range(rounds):
        facts = wants(evidence)
        while heard := collector.heard(facts):
            evidence = evidence.adding(tuple(heard), tuple(heard.values()))
            facts = wants(evidence)
        if not facts:
            break
        evidence = await collector.ask(evidence, facts, ends_at=ends_at)
    return evidence
