"""Fixtures of the tests of the lab."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import preconditions
from lab.tests.commands import Commands
from lab.tests.footprint import Footprint, Machine

NAME = "lifecycle"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = preconditions.unmet()
    for item in items:
        if not item.path.is_relative_to(Path(__file__).parent):
            continue
        item.add_marker(pytest.mark.lab)
        item.add_marker(pytest.mark.timeout(400, func_only=True))  # excludes fixtures, which may build
        if reason:
            item.add_marker(pytest.mark.skip(reason=f"the lab cannot run here: {reason}"))


@dataclass(frozen=True, slots=True)
class BroughtUp:
    """A new lab. `machine`: its state before; `seconds`: the time to bring the lab up."""

    commands: Commands
    machine: Machine
    footprint: Footprint
    seconds: float


@pytest.fixture(scope="session")
def brought_up() -> Iterator[BroughtUp]:
    """The lab that the e2e tests of this session use (LAB_NAME); removed afterwards."""
    name = os.environ.get("LAB_NAME", NAME)
    settings = {key: value for key, value in os.environ.items() if key.startswith("LAB_")}
    commands, footprint = Commands(name, settings), Footprint(f"dplab-{name}")
    commands.lab("build")  # not timed
    commands.lab("down")
    machine, began = Machine.now(), time.monotonic()
    commands.lab("up")
    seconds = time.monotonic() - began
    footprint.observe()
    yield BroughtUp(commands, machine, footprint, seconds)
    commands.lab("down")
