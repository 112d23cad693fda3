"""Passes of the fault bench, replayed: what was named on the lab is named still."""

from functools import cache

import pytest

from datapath_probe.cli.replay import replayed
from faults.catalogue.all import faults_of
from faults.fault import Outcome, said
from faults.modes import Mode
from faults.recordings import ARCHIVES, Recording, read

PASSES = {path.name.removesuffix(".tar.xz"): path for path in sorted(ARCHIVES.glob("*.tar.xz"))}
WHOLE = [mode for mode in Mode if f"cilium-1.18.5-{mode}" in PASSES and mode is not Mode.NO_HUBBLE]


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
        assert told.verdict == "Unknown" or told.segment


@pytest.mark.parametrize("mode", WHOLE)
def test_every_fault_of_the_catalogue_is_recorded(mode: Mode) -> None:
    missing = {fault.name for fault in faults_of(mode, ())} - set(recordings(f"cilium-1.18.5-{mode}"))
    assert not missing
