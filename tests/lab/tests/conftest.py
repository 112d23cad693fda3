"""Fixtures of the lab's own tests, and what they have in common."""

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
        item.add_marker(pytest.mark.timeout(400, func_only=True))  # a build, if one is needed, comes before
        if reason:
            item.add_marker(pytest.mark.skip(reason=f"the lab can't run here: {reason}"))


@dataclass(frozen=True, slots=True)
class BroughtUp:
    """A new lab. `machine`: as it was before; `seconds`: what bringing it up took."""

    commands: Commands
    machine: Machine
    footprint: Footprint
    seconds: float


@pytest.fixture(scope="session")
def brought_up() -> Iterator[BroughtUp]:
    """The lab that e2e tests of the same session use, by LAB_NAME; removed in the end."""
    name = os.environ.get("LAB_NAME", NAME)
    settings = {key: value for key, value in os.environ.items() if key.startswith("LAB_")}
    commands, footprint = Commands(name, settings), Footprint(f"dplab-{name}")
    commands.lab("build")  # is not timed
    commands.lab("down")
    machine, began = Machine.now(), time.monotonic()
    commands.lab("up")
    seconds = time.monotonic() - began
    footprint.look()
    yield BroughtUp(commands, machine, footprint, seconds)
    commands.lab("down")
