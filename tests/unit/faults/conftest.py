"""Recorded faults are replayed in the order of their archives, whatever the order of other tests, because archives are
read as streams.
"""

from pathlib import Path

import pytest

REPLAYS = Path(__file__).with_name("test_recordings.py")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs after tests were shuffled. Only the replays are reordered, among themselves."""
    replays = {place: item for place, item in enumerate(items) if item.path == REPLAYS}
    for place, item in zip(replays, sorted(replays.values(), key=_number), strict=True):
        items[place] = item


def _number(item: pytest.Item) -> int:
    """The index of a test's result among the results of its function."""
    assert isinstance(item, pytest.Function)
    return item.callspec.indices["result"]
