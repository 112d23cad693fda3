"""The answers of one run have a limit together."""

from collections.abc import Sequence

import pytest

from datapath_probe.collect import answer_budget
from datapath_probe.collect.answer_budget import AnswerBudget
from datapath_probe.collect.answer_cache import AnswerCache
from datapath_probe.collect.collector import Collector
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.evidence.store import Evidence
from datapath_probe.sources.bpf import bpftool


def answer(size: int) -> Answer:
    return Answer(0, b"x" * (size - 1), b"y", 7.0, 0.0)


def test_answers_beyond_the_limit_are_unavailable_and_others_still_count() -> None:
    budget = AnswerBudget(10)
    first, small = answer(8), answer(2)
    assert budget.admitted(first) is first
    refused = budget.admitted(answer(3))
    assert isinstance(refused, Unavailable)
    assert (refused.reason, refused.at) == ("AnswersTooLarge", 7.0)
    assert budget.admitted(small) is small
    assert budget.admitted(first) is first, "an answer that several facts or paths share counts once"
    assert budget.admitted(refused) is refused


async def test_a_run_takes_no_more_than_its_limit() -> None:
    class Agents:
        async def ask(self, node: str, facts: Sequence[Fact]) -> list[Reading]:
            return [answer(answer_budget.RUN_LIMIT_BYTES // 2) for _ in facts]

    collector = Collector(AnswerCache(Agents()), {})
    facts = [bpftool.prog("node1", number) for number in range(3)]
    evidence = await collector.ask(Evidence(), facts)
    evidence = await collector.ask(evidence, facts, fresh=True)
    kept = [r for _, readings in evidence for r in readings if isinstance(r, Answer)]
    assert len(kept) == 2


@pytest.mark.parametrize("size", [0, 1])
def test_without_a_limit_left_only_empty_answers_count(size: int) -> None:
    budget = AnswerBudget(0)
    assert isinstance(budget.admitted(Answer(0, b"x" * size, b"", 0.0, 0.0)), Unavailable) is bool(size)
