"""API objects: created, deleted, changed. Leaving the context restores them. Both wait until Cilium has applied it.

Used by the other injectors and the catalog.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from e2e.api import Api, Object
from e2e.waiting import until
from faults.inject.in_place import InPlace

_APPLY_TIMEOUT_S = 20.0


@contextmanager
def created(api: Api, path: str, body: Object, applied: InPlace) -> Iterator[InPlace]:
    """An additional object. `path`: that of the list. `applied`: whether the datapath reflects the object."""
    name = body["metadata"]["name"]
    api.create(path, body)
    try:
        until(f"{name} is enforced", applied, _APPLY_TIMEOUT_S)
        yield applied
    finally:
        api.delete(f"{path}/{name}")
        until(f"{name} is not enforced any more", lambda: not applied(), _APPLY_TIMEOUT_S)


@contextmanager
def deleted(api: Api, path: str, back: Callable[[], bool] | None = None) -> Iterator[InPlace]:
    """A deleted object. It is created again, unless a controller does that; `back` waits for it."""
    found = api.get(path)
    assert found is not None, f"there is no {path}"
    api.delete(path)
    try:
        yield lambda: api.get(path) is None
    finally:
        if back:
            until(f"{path} is back", back, 60)
        elif api.get(path) is None:
            for server_side in ("resourceVersion", "uid", "creationTimestamp", "generation"):
                found["metadata"].pop(server_side, None)
            api.create(path.rsplit("/", 1)[0], found)


@contextmanager
def changed(api: Api, path: str, change: Object, back: Object, applied: InPlace) -> Iterator[InPlace]:
    """A changed object; `change` and `back` are merge patches."""
    api.patch(path, change)
    try:
        until(f"{path} is applied", applied, _APPLY_TIMEOUT_S)
        yield applied
    finally:
        api.patch(path, back)
        until(f"{path} is as before", lambda: not applied(), _APPLY_TIMEOUT_S)
