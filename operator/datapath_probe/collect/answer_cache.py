"""One answer for all who ask the same of a node in the same moment: the cache between runs and the agents."""

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence

from ..evidence.delivery import delivery
from ..evidence.errors import EvidenceError
from ..evidence.fact import Fact
from ..evidence.reading import Answer, Reading, Unavailable
from .interfaces import Agents

LASTING_S = 60.0
"""What is good for so long changes with the agent or the pod alone, not with what somebody does to the datapath."""


def late(node: str) -> Unavailable:
    """Instead of an answer that did not come in time."""
    return Unavailable(EvidenceError.TIMEOUT, f"{node} had not answered when the run's time was up")


class AnswerCache:
    """Asks the agents, at most once per fact and `max_age_s`, and never twice at the same time. `clock`: one
    that is never set back, or answers would seem to be new for so long.
    """

    def __init__(self, agents: Agents, clock: Callable[[], float] = time.monotonic) -> None:
        self._agents = agents
        self._clock = clock
        self._nodes: dict[str, _NodeAnswers] = {}

    def heard(self, facts: Sequence[Fact], incarnations: Mapping[str, str]) -> dict[Fact, Reading]:
        """Readings of those facts that need not be asked: the answers are here, and not too old."""
        now = self._clock()
        answers = {
            fact: self._node(fact.node, incarnations.get(fact.node, "")).heard(fact, now) for fact in facts
        }
        return {fact: answer for fact, answer in answers.items() if answer}

    def forget(self) -> None:
        """What was heard or asked until now is of an earlier moment: nobody shares it any more, unless it lasts."""
        for node in self._nodes.values():
            node.forget()

    async def ask(
        self,
        facts: Sequence[Fact],
        incarnations: Mapping[str, str],
        *,
        afresh: bool = False,
        within_s: float = math.inf,
    ) -> list[Reading]:
        """One reading per fact, in order; nodes are asked at the same time, each in one round trip.

        `incarnations`: the agent of each node; an answer never outlives the agent that gave it. `afresh` ignores what
        was heard before. What is not here `within_s` is unavailable; whoever else waits for it goes on waiting.
        """
        by_node: dict[str, list[Fact]] = {}
        for fact in facts:
            by_node.setdefault(fact.node, []).append(fact)
        groups = await asyncio.gather(
            *(
                self._node(node, incarnations.get(node, "")).ask(asked, afresh, within_s)
                for node, asked in by_node.items()
            )
        )
        readings = {fact: reading for group in groups for fact, reading in group.items()}
        return [readings[fact] for fact in facts]

    def _node(self, node: str, incarnation: str) -> "_NodeAnswers":
        known = self._nodes.get(node)
        if known is None or known.incarnation != incarnation:
            # also the moment to forget nodes that are gone
            self._nodes = {name: answers for name, answers in self._nodes.items() if answers.are_of_use}
            known = self._nodes[node] = _NodeAnswers(node, incarnation, self._agents, self._clock)
        return known


class _NodeAnswers:
    """What one incarnation of one node's agent has said."""

    def __init__(self, node: str, incarnation: str, agents: Agents, clock: Callable[[], float]) -> None:
        self.incarnation = incarnation
        self._node = node
        self._agents = agents
        self._clock = clock
        self._heard: dict[Fact, tuple[Answer, float]] = {}  # since when, by our clock
        self._asking: dict[Fact, asyncio.Task[dict[Fact, Reading]]] = {}
        self._moment = 0

    @property
    def are_of_use(self) -> bool:
        """Something is being asked, or was heard and is not too old."""
        now = self._clock()
        return bool(self._asking) or any(self.heard(fact, now) for fact in self._heard)

    def heard(self, fact: Fact, now: float) -> Answer | None:
        """The answer that is here, if it is not too old."""
        answer, since = self._heard.get(fact, (None, 0.0))
        return answer if now - since <= delivery(fact).max_age_s else None

    def forget(self) -> None:
        self._heard = {q: heard for q, heard in self._heard.items() if _lasts(q)}
        self._asking = {q: batch for q, batch in self._asking.items() if _lasts(q)}
        self._moment += 1

    async def ask(self, facts: Sequence[Fact], afresh: bool, within_s: float) -> dict[Fact, Reading]:
        now = self._clock()
        readings: dict[Fact, Reading] = {}
        to_ask: list[Fact] = []
        batches: set[asyncio.Task[dict[Fact, Reading]]] = set()
        for fact in dict.fromkeys(facts):
            shareable = not afresh and delivery(fact).max_age_s > 0
            heard = self.heard(fact, now)
            if shareable and heard:
                readings[fact] = heard
            elif shareable and fact in self._asking:
                batches.add(self._asking[fact])
            else:
                to_ask.append(fact)
        if to_ask:
            batches.add(self._start(to_ask))
        # `wait` cancels none of them: a run that ends takes no answer away from those who share it
        for batch in (await asyncio.wait(batches, timeout=within_s))[0] if batches else ():
            readings = batch.result() | readings
        return dict.fromkeys(facts, late(self._node)) | readings

    def _start(self, facts: list[Fact]) -> asyncio.Task[dict[Fact, Reading]]:
        task = asyncio.create_task(self._ask_agent(facts))
        self._asking |= dict.fromkeys(facts, task)
        return task

    async def _ask_agent(self, facts: list[Fact]) -> dict[Fact, Reading]:
        moment, asked = self._moment, self._clock()
        try:
            answered = dict(zip(facts, await self._agents.ask(self._node, facts), strict=True))
        finally:
            this = asyncio.current_task()
            self._asking = {fact: task for fact, task in self._asking.items() if task is not this}
        now = self._clock()
        answers = {q: reading for q, reading in answered.items() if isinstance(reading, Answer)}
        ended = max((answer.at + answer.duration_s for answer in answers.values()), default=0.0)
        for fact, answer in answers.items():
            if delivery(fact).max_age_s > 0 and (moment == self._moment or _lasts(fact)):
                # the last has just ended, and the others so long before: that needs no common clock
                self._heard[fact] = answer, max(asked, now - (ended - answer.at))
        self._heard = {q: heard for q, heard in self._heard.items() if self.heard(q, now)}
        return answered


def _lasts(fact: Fact) -> bool:
    return delivery(fact).max_age_s >= LASTING_S
