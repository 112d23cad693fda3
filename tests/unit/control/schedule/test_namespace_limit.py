"""The oldest probes of a namespace run, up to a limit; the others say so. Simulated time."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.api.probe import ProbeMeta
from datapath_probe.control.schedule.namespace_limit import NamespaceLimit
from unit.control.harness import Harness, body, conditions, running

pytestmark = pytest.mark.looptime


def created(name: str, day: int, namespace: str = "default", **changes: Any) -> dict[str, Any]:
    """A probe that was created on this day of a month."""
    made = body(name, **changes)
    made["metadata"] |= {"creationTimestamp": f"2026-11-{day:02}T10:00:00Z", "namespace": namespace}
    return made


@pytest.fixture
async def limited() -> AsyncIterator[Harness]:
    """An operator that runs two probes of each namespace."""
    async with running(NamespaceLimit(2)) as harness:
        yield harness


def stalled(harness: Harness, *names: str) -> set[str]:
    """Those of the probes that are stalled by the limit."""
    expected = ("True", "TooManyProbes")
    return {name for name in names if conditions(harness, name).get("Stalled") == expected}


async def test_a_probe_beyond_the_limit_does_not_run_and_says_what_to_do(limited: Harness) -> None:
    for day, name in enumerate(("a", "b", "c"), 1):
        limited.registry.observe(created(name, day))
    await asyncio.sleep(130)
    assert {probe.meta.name for _, probe in limited.runs} == {"a", "b"}
    assert conditions(limited, "c") == {
        "ExpectationMet": ("Unknown", "TooManyProbes"),
        "PathHealthy": ("Unknown", "TooManyProbes"),
        "Ready": ("False", "TooManyProbes"),
        "Stalled": ("True", "TooManyProbes"),
    }
    status = limited.status("c")
    assert "only the 2 oldest probes of a namespace (--max-probes-per-namespace)" in status["summary"]
    assert status["next"].startswith("Delete other probes of this namespace")
    assert "nextRunTime" not in status
    assert [event.reason for event in limited.events] == ["ProbeUnknown"]


@pytest.mark.parametrize("order", list(itertools.permutations("abcd")))
async def test_the_oldest_run_whatever_the_order_of_events(limited: Harness, order: tuple[str, ...]) -> None:
    days = {"a": 1, "b": 2, "c": 3, "d": 3}  # c and d in the same second
    for name in order:
        limited.registry.observe(created(name, days[name]))
    await asyncio.sleep(70)
    assert stalled(limited, *order) == {"c", "d"}
    assert {name for name in days if limited.status(name)["verdict"] == "Healthy"} == {"a", "b"}


async def test_a_probe_runs_as_soon_as_an_older_one_goes(limited: Harness) -> None:
    for day, name in enumerate(("a", "b", "c", "d"), 1):
        limited.registry.observe(created(name, day))
    await asyncio.sleep(10)
    limited.registry.forget("uid-a")
    await asyncio.sleep(1)
    assert limited.status("c")["verdict"] == "Healthy"
    assert conditions(limited, "c").keys() == {"ExpectationMet", "PathHealthy", "Ready"}
    assert limited.status("d")["reason"] == "TooManyProbes"


async def test_namespaces_do_not_share_the_limit(limited: Harness) -> None:
    for number, namespace in enumerate(("empire", "empire", "rebels", "rebels")):
        limited.registry.observe(created(f"probe-{number}", 1, namespace))
    await asyncio.sleep(10)
    assert len({probe.meta.name for _, probe in limited.runs}) == 4


async def test_neither_an_annotation_nor_a_new_spec_makes_it_run(limited: Harness) -> None:
    for day, name in enumerate(("a", "b", "c"), 1):
        limited.registry.observe(created(name, day))
    limited.registry.observe(created("c", 3, run_now="please"))
    limited.registry.observe(created("c", 3, generation=2))
    await asyncio.sleep(10)
    assert "c" not in {probe.meta.name for _, probe in limited.runs}
    assert limited.status("c")["observedGeneration"] == 2


async def test_a_suspended_probe_counts_and_stays_suspended(limited: Harness) -> None:
    for day, name in enumerate(("a", "b", "c"), 1):
        limited.registry.observe(created(name, day, suspend=name == "c"))
    assert limited.runs == []
    limited.registry.forget("uid-a")
    await asyncio.sleep(10)
    assert conditions(limited, "c")["Ready"] == ("True", "Suspended")


async def test_by_default_there_is_no_limit() -> None:
    async with running() as harness:
        for number in range(50):
            harness.registry.observe(created(f"probe-{number}", 1))
        await asyncio.sleep(10)
        assert len({probe.meta.name for _, probe in harness.runs}) == 50


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=40), st.integers(1, 4))
def test_those_that_may_run_are_always_the_oldest(changes: list[tuple[bool, int]], limit: int) -> None:
    limits, existing, admitted = NamespaceLimit(limit), dict[int, ProbeMeta](), set[str]()
    for adds, number in changes:
        meta = ProbeMeta(
            "default", f"probe-{number}", f"uid-{number}", 1, None, None, created=f"{number // 2}"
        )
        if adds and number not in existing:
            existing[number] = meta
            displaced = limits.add(meta)
            admitted = admitted - {displaced} | ({meta.uid} if limits.admits(meta) else set())
        elif not adds:
            existing.pop(number, None)
            freed = limits.remove(meta)
            admitted = admitted - {meta.uid} | ({freed} if freed else set())
        oldest = {f"uid-{one}" for one in sorted(existing)[:limit]}
        assert {each.uid for each in existing.values() if limits.admits(each)} == oldest == admitted
