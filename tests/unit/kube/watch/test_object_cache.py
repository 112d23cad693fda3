"""Look-ups by key and by group agree, whatever was put in and dropped."""

from hypothesis import given
from hypothesis import strategies as st

from datapath_probe.kube.watch.object_cache import Table

KEYS = st.tuples(st.sampled_from(["", "default"]), st.sampled_from("abc"))
CHANGES = st.lists(
    st.tuples(KEYS, st.none() | st.tuples(st.frozensets(st.sampled_from("xy")), st.integers()))
)

Record = tuple[frozenset[str], int]


@given(CHANGES)
def test_groups_hold_just_the_records_that_belong_there(
    changes: list[tuple[tuple[str, str], Record | None]],
) -> None:
    table: Table[Record] = Table(groups=lambda record: record[0])
    expected: dict[tuple[str, str], Record] = {}
    for key, record in changes:
        if record is None:
            table.drop(key)
            expected.pop(key, None)
        else:
            table.put(key, record)
            expected[key] = record
    assert len(table) == len(expected)
    assert all(table.get(key) == record for key, record in expected.items())
    for group in ("x", "y", "z"):
        members = [record for record in expected.values() if group in record[0]]
        assert sorted(table.grouped(group), key=hash) == sorted(members, key=hash)


def test_what_was_never_put_is_not_there() -> None:
    table: Table[str] = Table()
    table.drop(("default", "a"))
    assert table.get(("default", "a")) is None
    assert not table.grouped("x")
