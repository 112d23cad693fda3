"""Probes of one namespace that hold up those of another. The real scheduler and runner, in simulated time."""

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

import looptime
import pytest

from hold.attack import Attack, Bar
from unit.control.schedule.test_fair_share import BLACK_HOLE, VICTIM
from unit.control.schedule.world import Kind, running

ATTACKERS, LASTS_S = 200, 1_500
OUTAGE_S = 120
OUTAGE = (Kind("shop", interval_s=60), Kind("shop", interval_s=60, times_out=True))


def _simulated(scenario: Coroutine[Any, Any, float]) -> float:
    with asyncio.Runner(loop_factory=partial(looptime.new_event_loop, noop_cycles=2)) as runner:
        return runner.run(scenario)


async def _victims_runs() -> float:
    """How many of its runs the victim has, in percent."""
    with pytest.MonkeyPatch.context() as patch:
        async with running(patch) as world:
            world.add(1, VICTIM)
            world.add(ATTACKERS, BLACK_HOLE)
            await asyncio.sleep(LASTS_S)
    return 100 * len(world.lags[VICTIM]) * VICTIM.interval_s / LASTS_S


async def _largest_lag_s() -> float:
    with pytest.MonkeyPatch.context() as patch:
        async with running(patch) as world:
            for kind in OUTAGE:
                world.add(500, kind)
            await asyncio.sleep(OUTAGE_S)
    runs = sum(len(world.lags[kind]) for kind in OUTAGE)
    # those of the last moment may not have started
    if world.skipped.total() or runs < 0.99 * 1000 * OUTAGE_S / 60:
        raise RuntimeError(f"only {runs} runs, {world.skipped.total()} were skipped")
    return max(lag for kind in OUTAGE for lag in world.lags[kind])


ATTACKS = (
    Attack(
        "a probe at 10 s beside 200 of another namespace that time out after 60 s: its runs",
        "1 of 150",
        Bar("%", at_least=95),
        lambda: _simulated(_victims_runs()),
    ),
    Attack(
        "1,000 probes at 60 s of which half time out: largest lag in 2 minutes",
        "75 s, with 745 of 2,000 runs",
        Bar("s", at_most=2),
        lambda: _simulated(_largest_lag_s()),
    ),
)
