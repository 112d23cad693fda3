"""The records of one resource, indexed by namespace and name and, if needed, by further index keys.

In: records of `kube.watch.reflector`. Out: lookups in O(1), called by `kube.watch.inventory`.
"""

from collections.abc import Callable, Collection, Hashable
from typing import Generic, TypeVar

R = TypeVar("R")

Key = tuple[str, str]
"""Namespace ("" for a cluster-scoped object) and name."""


class ObjectCache(Generic[R]):
    """Records by key. `index_keys` gives the further keys of a record, without duplicates."""

    def __init__(self, index_keys: Callable[[R], Collection[Hashable]] | None = None) -> None:
        self._index_keys = index_keys or (lambda _: ())
        self._records: dict[Key, R] = {}
        self._index: dict[Hashable, dict[Key, R]] = {}

    def __len__(self) -> int:
        return len(self._records)

    def get(self, key: Key) -> R | None:
        """The record under this key."""
        return self._records.get(key)

    def values(self) -> Collection[R]:
        """All records."""
        return self._records.values()

    def by_index(self, index_key: Hashable) -> Collection[R]:
        """The records with this index key."""
        return self._index.get(index_key, {}).values()

    def put(self, key: Key, record: R) -> None:
        """Add or replace the record."""
        self.delete(key)
        self._records[key] = record
        for index_key in self._index_keys(record):
            self._index.setdefault(index_key, {})[key] = record

    def delete(self, key: Key) -> None:
        """Remove the record, if there is one."""
        record = self._records.pop(key, None)
        for index_key in () if record is None else self._index_keys(record):
            members = self._index[index_key]
            del members[key]
            if not members:
                del self._index[index_key]
