"""What runs leave behind in cycles is freed while the operator runs, whatever else it holds."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from datapath_probe.control import gc_tuning


class _Connection:
    """As aiohttp leaves it: its parts know each other."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def unfrozen() -> Iterator[None]:
    yield
    gc.unfreeze()


async def test_old_cycles_are_freed_within_the_interval_however_much_else_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gc_tuning, "EVERY_S", 0.01)
    collecting = asyncio.create_task(gc_tuning.collect_garbage())
    await asyncio.sleep(0)
    connections = [_Connection() for _ in range(100)]
    gc.collect()  # they are long-lived: Python itself looks at them no more
    gone = [weakref.ref(connection) for connection in connections]
    connections.clear()
    await asyncio.sleep(0.2)
    collecting.cancel()
    assert [ref for ref in gone if ref() is not None] == []


async def test_what_was_there_at_the_start_is_not_looked_at_again() -> None:
    modules = [{number: [number]} for number in range(1000)]
    collecting = asyncio.create_task(gc_tuning.collect_garbage())
    await asyncio.sleep(0)
    assert gc.get_freeze_count() > len(modules)
    assert len(gc.get_objects()) < len(modules), "a collection takes milliseconds"
    collecting.cancel()
