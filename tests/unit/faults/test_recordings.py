"""Passes of the fault bench, replayed: what was named on the lab is named still."""

import re
from functools import cache

import pytest

from datapath_probe.cli.replay import replayed
from faults.fault import Outcome, said, within
from faults.recordings import ARCHIVES, Recording, read

PASSES = {path.name.removesuffix(".tar.xz"): path for path in sorted(ARCHIVES.glob("*.tar.xz"))}


@cache
def recordings(name: str) -> dict[str, Recording]:
    return read(PASSES[name])


@pytest.mark.parametrize(("name", "fault"), [(name, fault) for name in PASSES for fault in recordings(name)])
def test_a_recorded_fault_is_named_as_it_was(name: str, fault: str) -> None:
    recording = recordings(name)[fault]
    _, status = replayed(recording.bundle)
    told = said(status.to_object())
    if str(told) not in recording.result.expected.split(" | "):
        assert recording.result.outcome is Outcome.HONEST
        assert told.verdict == "Unknown" or (told.segment and holds(told.segment, recording.result.expected))


def holds(segment: tuple[str, str], expected: str) -> bool:
    """Whether something that is expected lies in a segment: a hop, or a stretch between two."""
    places = re.findall(r" ([a-z-]+)(?:@| … ([a-z-]+) )", expected)
    return any(all(within(segment, hop) for hop in place if hop) for place in places)
