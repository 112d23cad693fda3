"""The records of one resource, by namespace and name, and by groups of their own where such are asked for.

Filled by `kube.watch.reflector`, read by `kube.watch.inventory`. Look-ups by key or group are O(1).
"""

from collections.abc import Callable, Collection, Hashable
from typing import Generic, TypeVar

R = TypeVar("R")

Key = tuple[str, str]
"""Namespace ("" for what has none) and name."""


class Table(Generic[R]):
    """Records by key. `groups` names the groups a record belongs to, each once."""

    def __init__(self, groups: Callable[[R], Collection[Hashable]] | None = None) -> None:
        self._groups_of = groups or (lambda _: ())
        self._records: dict[Key, R] = {}
        self._groups: dict[Hashable, dict[Key, R]] = {}

    def __len__(self) -> int:
        return len(self._records)

    def get(self, key: Key) -> R | None:
        """The record under this key."""
        return self._records.get(key)

    def values(self) -> Collection[R]:
        """All records."""
        return self._records.values()

    def grouped(self, group: Hashable) -> Collection[R]:
        """The records of one group."""
        return self._groups.get(group, {}).values()

    def put(self, key: Key, record: R) -> None:
        """Add the record, or replace the one there."""
        self.drop(key)
        self._records[key] = record
        for group in self._groups_of(record):
            self._groups.setdefault(group, {})[key] = record

    def drop(self, key: Key) -> None:
        """Forget the record, if there is one."""
        record = self._records.pop(key, None)
        for group in () if record is None else self._groups_of(record):
            members = self._groups[group]
            del members[key]
            if not members:
                del self._groups[group]
