"""Reference cycles that runs leave behind are collected early, and objects from the start are not scanned."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from datapath_probe.control import gc_tuning


class _Connection:
    """A reference cycle, as aiohttp leaves it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def unfrozen() -> Iterator[None]:
    yield
    gc.unfreeze()


async def test_old_cycles_are_collected_within_the_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gc_tuning, "INTERVAL_S", 0.01)
    collecting = asyncio.create_task(gc_tuning.collect_garbage())
    await asyncio.sleep(0)
    connections = [_Connection() for _ in range(100)]
    gc.collect()  # now in the oldest generation, which Python rarely scans
    gone = [weakref.ref(connection) for connection in connections]
    connections.clear()
    await asyncio.sleep(0.2)
    collecting.cancel()
    assert [ref for ref in gone if ref() is not None] == []


async def test_objects_from_the_start_are_not_scanned_again() -> None:
    modules = [{number: [number]} for number in range(1000)]
    collecting = asyncio.create_task(gc_tuning.collect_garbage())
    await asyncio.sleep(0)
    assert gc.get_freeze_count() > len(modules)
    assert len(gc.get_objects()) < len(modules), "a collection takes milliseconds"
    collecting.cancel()
