"""Objects in the API server: made, deleted, changed. Leaving the context restores them; Cilium has time to follow."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from e2e.api import Api, Object
from e2e.waiting import until
from faults.inject.in_place import InPlace

_FOLLOWS_S = 20.0


@contextmanager
def made(api: Api, path: str, body: Object, followed: InPlace) -> Iterator[InPlace]:
    """One object more. `path` is that of the list; `followed` tells whether the datapath goes by it."""
    name = body["metadata"]["name"]
    api.create(path, body)
    try:
        until(f"{name} is enforced", followed, _FOLLOWS_S)
        yield followed
    finally:
        api.delete(f"{path}/{name}")
        until(f"{name} is not enforced any more", lambda: not followed(), _FOLLOWS_S)


@contextmanager
def deleted(api: Api, path: str, back: Callable[[], bool] | None = None) -> Iterator[InPlace]:
    """One object less. It is created again unless somebody else does that, whom `back` waits for."""
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
def changed(api: Api, path: str, change: Object, back: Object, followed: InPlace) -> Iterator[InPlace]:
    """An object with other contents; `change` and `back` are merge patches."""
    api.patch(path, change)
    try:
        until(f"{path} is followed", followed, _FOLLOWS_S)
        yield followed
    finally:
        api.patch(path, back)
        until(f"{path} is as before", lambda: not followed(), _FOLLOWS_S)
