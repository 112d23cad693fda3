"""Recorded runs of the fault bench, replayed: each gets the same answer."""

import re
from collections.abc import Iterator
from functools import cache

import pytest

from datapath_probe.cli.replay import replayed
from faults.fault import Outcome, answer_of, within
from faults.recordings import Reader, index, passes
from faults.result import Result

PASSES = passes()
RESULTS = [(name, result) for name, archive in PASSES.items() for result in index(archive).values()]


@cache
def reader(name: str) -> Reader:
    return Reader(PASSES[name])


@pytest.fixture(scope="module", autouse=True)
def archives_closed() -> Iterator[None]:
    yield
    for name in PASSES:
        reader(name).close()
    reader.cache_clear()


@pytest.mark.parametrize(
    ("name", "result"), RESULTS, ids=[f"{name}-{result.fault}" for name, result in RESULTS]
)
def test_a_recorded_fault_gets_the_same_answer(name: str, result: Result) -> None:
    _, status = replayed(reader(name).bundle(result.fault))
    answer = answer_of(status.to_object())
    if str(answer) not in result.expected.split(" | "):
        assert result.outcome is Outcome.HONEST
        assert answer.verdict == "Unknown" or (answer.segment and contains(answer.segment, result.expected))


def contains(segment: tuple[str, str], expected: str) -> bool:
    """Whether the segment contains an expected hop or segment."""
    places = re.findall(r" ([a-z-]+)(?:@| … ([a-z-]+) )", expected)
    return any(all(within(segment, hop) for hop in place if hop) for place in places)
