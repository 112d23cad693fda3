"""Lookups by key and by index agree after any sequence of puts and deletes."""

from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.kube.watch.object_cache import ObjectCache

KEYS = st.tuples(st.sampled_from(["", "default"]), st.sampled_from("abc"))
CHANGES = st.lists(
    st.tuples(KEYS, st.none() | st.tuples(st.frozensets(st.sampled_from("xy")), st.integers()))
)

Record = tuple[frozenset[str], int]


@given(CHANGES)
def test_the_index_holds_exactly_the_matching_records(
    changes: list[tuple[tuple[str, str], Record | None]],
) -> None:
    cache: ObjectCache[Record] = ObjectCache(index_keys=lambda record: record[0])
    expected: dict[tuple[str, str], Record] = {}
    for key, record in changes:
        if record is None:
            cache.delete(key)
            expected.pop(key, None)
        else:
            cache.put(key, record)
            expected[key] = record
    assert len(cache) == len(expected)
    assert all(cache.get(key) == record for key, record in expected.items())
    for index_key in ("x", "y", "z"):
        members = [record for record in expected.values() if index_key in record[0]]
        assert sorted(cache.by_index(index_key), key=hash) == sorted(members, key=hash)


def test_an_absent_record_is_not_found() -> None:
    cache: ObjectCache[str] = ObjectCache()
    cache.delete(("default", "a"))
    assert cache.get(("default", "a")) is None
    assert not cache.by_index("x")
