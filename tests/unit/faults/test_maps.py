"""A changed map entry is restored, unless the agent has repaired it."""

from typing import cast

import pytest

from faults.inject.maps import MapEntry, changed

RIGHT, WRONG, RENEWED = b"right", b"wrong", b"renewed"


class _Entry:
    def __init__(self) -> None:
        self.value: bytes | None = RIGHT

    def read(self) -> bytes:
        assert self.value is not None
        return self.value

    def find(self) -> bytes | None:
        return self.value

    def write(self, value: bytes) -> None:
        self.value = value


@pytest.mark.parametrize(
    ("meanwhile", "in_the_end"),
    [(WRONG, RIGHT), (None, RIGHT), (RIGHT, RIGHT), (RENEWED, RENEWED)],
)
def test_an_entry_is_restored_unless_the_agent_wrote_it(meanwhile: bytes | None, in_the_end: bytes) -> None:
    entry = _Entry()
    with changed(cast(MapEntry, entry), lambda _: WRONG) as in_place:
        assert in_place()
        entry.value = meanwhile
        assert in_place() is (meanwhile == WRONG)
    assert entry.value == in_the_end
