"""The cache between runs and agents: runs that ask a node for the same fact at the same time share one answer.

In: facts. Out: a reading for each. Called by `collector`; one for all runs.
"""

import asyncio
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from ..evidence.delivery import delivery
from ..evidence.errors import EvidenceError
from ..evidence.fact import Fact
from ..evidence.reading import Answer, Reading, Unavailable
from .interfaces import Agents

LASTING_S = 60.0
"""Answers that may be this old change only with the agent or the pod, not when the datapath is modified."""


def late(node: str) -> Unavailable:
    """The reading of a fact that was not answered in time."""
    return Unavailable(EvidenceError.TIMEOUT, f"{node} did not answer before the run's deadline")


class AnswerCache:
    """Asks the agents at most once per fact within its `max_age_s`, and never twice at the same time.

    `clock` must be monotonic: if it were set back, old answers would look new.
    """

    def __init__(self, agents: Agents, clock: Callable[[], float] = time.monotonic) -> None:
        self._agents = agents
        self._clock = clock
        self._nodes: dict[str, _NodeAnswers] = {}

    def cached(self, facts: Sequence[Fact], incarnations: Mapping[str, str]) -> dict[Fact, Reading]:
        """Cached answers to these facts that are recent enough."""
        now = self._clock()
        answers = {
            fact: self._node(fact.node, incarnations.get(fact.node, "")).cached(fact, now) for fact in facts
        }
        return {fact: answer for fact, answer in answers.items() if answer}

    def forget(self, nodes: Collection[str]) -> None:
        """Stop sharing earlier answers and pending questions about these nodes, except those that last."""
        for node in nodes:
            if node in self._nodes:
                self._nodes[node].forget()

    async def ask(
        self,
        facts: Sequence[Fact],
        incarnations: Mapping[str, str],
        *,
        fresh: bool = False,
        within_s: float = math.inf,
    ) -> list[Reading]:
        """Return one reading per fact, in order. All nodes are asked concurrently, each in one round trip.

        `incarnations`: the agent of each node; an answer is dropped when its agent restarts. `fresh`: ignore cached
        answers. Facts without an answer after `within_s` are unavailable; other callers that wait for them are not
        affected.
        """
        by_node: dict[str, list[Fact]] = {}
        for fact in facts:
            by_node.setdefault(fact.node, []).append(fact)
        groups = await asyncio.gather(
            *(
                self._node(node, incarnations.get(node, "")).ask(asked, fresh, within_s)
                for node, asked in by_node.items()
            )
        )
        readings = {fact: reading for group in groups for fact, reading in group.items()}
        return [readings[fact] for fact in facts]

    def _node(self, node: str, incarnation: str) -> "_NodeAnswers":
        known = self._nodes.get(node)
        if known is None or known.incarnation != incarnation:
            # a good time to drop nodes that no longer exist
            self._nodes = {name: answers for name, answers in self._nodes.items() if answers.are_of_use}
            known = self._nodes[node] = _NodeAnswers(node, incarnation, self._agents, self._clock)
        return known


class _NodeAnswers:
    """The answers of one incarnation of a node's agent."""

    def __init__(self, node: str, incarnation: str, agents: Agents, clock: Callable[[], float]) -> None:
        self.incarnation = incarnation
        self._node = node
        self._agents = agents
        self._clock = clock
        self._answers: dict[Fact, tuple[Answer, float]] = {}  # with the local time of each answer
        self._asking: dict[Fact, asyncio.Task[dict[Fact, Reading]]] = {}
        self._moment = 0

    @property
    def are_of_use(self) -> bool:
        """Whether a question is pending or a recent answer is cached."""
        now = self._clock()
        return bool(self._asking) or any(self.cached(fact, now) for fact in self._answers)

    def cached(self, fact: Fact, now: float) -> Answer | None:
        """The cached answer, if it is recent enough."""
        answer, since = self._answers.get(fact, (None, 0.0))
        return answer if now - since <= delivery(fact).max_age_s else None

    def forget(self) -> None:
        self._answers = {q: cached for q, cached in self._answers.items() if _lasts(q)}
        self._asking = {q: batch for q, batch in self._asking.items() if _lasts(q)}
        self._moment += 1

    async def ask(self, facts: Sequence[Fact], fresh: bool, within_s: float) -> dict[Fact, Reading]:
        now = self._clock()
        readings: dict[Fact, Reading] = {}
        to_ask: list[Fact] = []
        batches: set[asyncio.Task[dict[Fact, Reading]]] = set()
        for fact in dict.fromkeys(facts):
            shareable = not fresh and delivery(fact).max_age_s > 0
            cached = self.cached(fact, now)
            if shareable and cached:
                readings[fact] = cached
            elif shareable and fact in self._asking:
                batches.add(self._asking[fact])
            else:
                to_ask.append(fact)
        if to_ask:
            batches.add(self._start(to_ask))
        # `wait` does not cancel the tasks: other runs may share these answers
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
                # ages are relative to the last answer, which has just arrived: the clocks of the nodes do not matter
                self._answers[fact] = answer, max(asked, now - (ended - answer.at))
        self._answers = {q: cached for q, cached in self._answers.items() if self.cached(q, now)}
        return answered


def _lasts(fact: Fact) -> bool:
    return delivery(fact).max_age_s >= LASTING_S
