"""Runs that hang or fail, and changes that fail to register."""

import asyncio
from unittest.mock import Mock

import pytest

from datapath_probe.plan.plan import CannotRun
from unit.control.harness import body, running

pytestmark = pytest.mark.looptime


async def test_an_exception_of_the_runner_makes_the_run_unknown_and_the_next_run_starts() -> None:
    async with running() as harness:
        harness.outcome = ZeroDivisionError("secret")
        harness.registry.observe(body())
        await asyncio.sleep(10)
        assert harness.status()["reason"] == "InternalError"
        assert "secret" not in str(harness.status())
        harness.outcome = CannotRun(harness.status()["reason"], "x")
        await asyncio.sleep(60)
        assert len(harness.runs) == 2


async def test_a_new_probe_that_fails_to_register_is_retried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running() as harness:
        with monkeypatch.context() as patch:
            patch.setattr(harness.scheduler, "resume", Mock(side_effect=RuntimeError))
            with pytest.raises(RuntimeError):
                harness.registry.observe(body())
        assert harness.registry.uids() == frozenset()
        harness.registry.observe(body())
        await asyncio.sleep(20)
        assert harness.runs


async def test_a_change_that_fails_to_register_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as harness:
        harness.registry.observe(body())
        await asyncio.sleep(20)
        ran = len(harness.runs)
        with monkeypatch.context() as patch:
            patch.setattr(harness.scheduler, "change", Mock(side_effect=RuntimeError))
            with pytest.raises(RuntimeError):
                harness.registry.observe(body(generation=2))
        harness.registry.observe(body(generation=2))
        await asyncio.sleep(1)
        assert len(harness.runs) == ran + 1
