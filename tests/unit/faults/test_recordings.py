"""Passes of the fault bench, replayed: what was named on the lab is named still."""

import re
from functools import cache

import pytest

from datapath_probe.cli.replay import replayed
from faults.fault import Outcome, said, within
from faults.recordings import Reader, index, passes
from faults.result import Result

PASSES = passes()
RESULTS = [(name, result) for name, archive in PASSES.items() for result in index(archive).values()]


@cache
def reader(name: str) -> Reader:
    return Reader(PASSES[name])


@pytest.mark.parametrize(
    ("name", "result"), RESULTS, ids=[f"{name}-{result.fault}" for name, result in RESULTS]
)
def test_a_recorded_fault_is_named_as_it_was(name: str, result: Result) -> None:
    _, status = replayed(reader(name).bundle(result.fault))
    told = said(status.to_object())
    if str(told) not in result.expected.split(" | "):
        assert result.outcome is Outcome.HONEST
        assert told.verdict == "Unknown" or (told.segment and holds(told.segment, result.expected))


def holds(segment: tuple[str, str], expected: str) -> bool:
    """Whether something that is expected lies in a segment: a hop, or a stretch between two."""
    places = re.findall(r" ([a-z-]+)(?:@| … ([a-z-]+) )", expected)
    return any(all(within(segment, hop) for hop in place if hop) for place in places)
