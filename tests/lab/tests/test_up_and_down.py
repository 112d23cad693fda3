"""A lab comes up and leaves nothing behind. `make e2e` runs its tests in between, on this lab."""

import socket
import time

import pytest

from lab.tests.conftest import BroughtUp
from lab.tests.footprint import Machine

WARM_UP_S = 120
"""Maximum time to bring a lab up after the build."""


def test_it_comes_up_once(brought_up: BroughtUp) -> None:
    assert brought_up.seconds <= WARM_UP_S
    assert len(brought_up.footprint.processes) > 20
    assert len(brought_up.footprint.namespaces) >= 3 * 5
    began = time.monotonic()
    assert "is up already" in brought_up.commands.lab("up").stderr
    assert time.monotonic() - began < 10


def test_down_leaves_nothing_behind(brought_up: BroughtUp) -> None:
    commands, footprint = brought_up.commands, brought_up.footprint
    footprint.observe()
    port = commands.api_port()

    commands.lab("down")

    assert footprint.left() == []
    assert Machine.now() == brought_up.machine
    assert not commands.state.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
