"""Recorded runs of the fault bench, replayed: each gets the same answer."""

import re
from functools import cache

import pytest

from datapath_probe.cli.replay import replayed
from faults.fault import Outcome, answer_of, within
from faults.recordings import ARCHIVES, Recording, read

PASSES = {path.name.removesuffix(".tar.xz"): path for path in sorted(ARCHIVES.glob("*.tar.xz"))}


@cache
def recordings(name: str) -> dict[str, Recording]:
    return read(PASSES[name])


@pytest.mark.parametrize(("name", "fault"), [(name, fault) for name in PASSES for fault in recordings(name)])
def test_a_recorded_fault_gets_the_same_answer(name: str, fault: str) -> None:
    recording = recordings(name)[fault]
    _, status = replayed(recording.bundle)
    answer = answer_of(status.to_object())
    if str(answer) not in recording.result.expected.split(" | "):
        assert recording.result.outcome is Outcome.HONEST
        assert answer.verdict == "Unknown" or (
            answer.segment and contains(answer.segment, recording.result.expected)
        )


def contains(segment: tuple[str, str], expected: str) -> bool:
    """Whether the segment contains an expected hop or segment."""
    places = re.findall(r" ([a-z-]+)(?:@| … ([a-z-]+) )", expected)
    return any(all(within(segment, hop) for hop in place if hop) for place in places)
