"""Fixtures of the tests of `runs`."""

import pytest

from datapath_probe.runs import path_runner


@pytest.fixture(autouse=True)
def no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_runner, "SETTLE_S", 0.0)
