"""Combined faults, and a probe that expects a policy to deny its request while they last.

In: a scene's API. Used by the catalog.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from e2e.api import Api
from e2e.galaxy import NAMESPACE
from e2e.probes import probes_path
from faults.inject.in_place import Injected, InPlace

_DENIED = {"outcome": "Denied"}


@contextmanager
def expected_denied(api: Api, probe: str, *faults: Injected) -> Iterator[InPlace]:
    """The faults, injected in order, and a probe that expects its request to be denied."""
    path = f"{probes_path(NAMESPACE)}/{probe}"
    found = api.get(path)
    assert found is not None
    before = found["spec"]["expect"]
    nothing_else = dict.fromkeys(before) | _DENIED
    api.patch(path, {"spec": {"expect": nothing_else}})
    try:
        with all_of(*faults) as in_place:
            yield in_place
    finally:
        api.patch(path, {"spec": {"expect": {"outcome": None} | before}})


@contextmanager
def all_of(*faults: AbstractContextManager[InPlace | None]) -> Iterator[InPlace]:
    """Several faults at once; repaired in the reverse order."""
    if not faults:
        yield lambda: True
        return
    first, *others = faults
    with first as in_place, all_of(*others) as others_in_place:
        yield lambda: (in_place is None or in_place()) and others_in_place()
