"""Keeps a cache in sync with one resource of the API server: lists, watches, and relists after any error.

In: what `kube.rest` reads. Out: an `ObjectCache` that every list replaces as a whole, so that no object survives
whose deletion was missed; and whether the view is complete and current. Run by `kube.watch.inventory`.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import structlog
from kubernetes.aio.client import ApiClient

from .. import rest
from ..backoff import api_server_backoff
from ..objects.fields import Skips, at, elements, integer, text
from ..rest import ApiError
from .object_cache import ObjectCache

R = TypeVar("R")

log = structlog.get_logger(__name__)

WATCH_S = (
    60  # then the server ends the watch with a bookmark; a hanging watch is canceled after the grace period
)
WATCH_GRACE_S = 10
STEADY_S = 20.0  # a watch that lasts this long resets the backoff
SHORTEST_WATCH_S = 1.0


@dataclass(frozen=True, slots=True)
class Resource(Generic[R]):
    """What to list and watch, and how to convert and index it. `required`: an empty list is not a complete view.
    `metadata_only`: objects come without spec and status.
    """

    name: str
    path: str
    convert: Callable[[object, Skips], R]
    index_keys: Callable[[R], Collection[Hashable]] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    required: bool = False
    metadata_only: bool = False


class Reflector(Generic[R]):
    """One resource, kept in sync while `run` runs.

    `synced` is set permanently once the view is complete. `stale_since` (seconds since the epoch): the last contact
    with the API server while the watch is down; None while it is up. `problem` says why the view is not current.
    """

    def __init__(
        self,
        client: ApiClient,
        resource: Resource[R],
        skips: Skips,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.resource = resource
        self.cache = ObjectCache(resource.index_keys)
        self.synced = asyncio.Event()
        self.stale_since: float | None = clock()
        self.problem = "not listed yet"
        self._client = client
        self._skips = skips
        self._clock = clock
        self._last_contact_at = clock()

    async def run(self) -> None:
        """Never returns."""
        backoff = api_server_backoff()
        while True:
            started = time.monotonic()
            try:
                await self._list_and_watch()
            except ApiError as error:
                self._mark_stale(error)
            if time.monotonic() - started > STEADY_S:
                backoff.succeeded()
            await asyncio.sleep(backoff.failed())

    async def _list_and_watch(self) -> None:
        """Ends only with ApiError. Then `run` lists again: resourceVersions may restart when etcd is restored."""
        version = await self._list()
        while True:
            version = await self._watch(version)

    async def _list(self) -> str:
        fresh = ObjectCache(self.resource.index_keys)
        accept = rest.METADATA_LIST if self.resource.metadata_only else rest.JSON
        pages = rest.pages(self._client, self.resource.path, self.resource.query, accept=accept)
        async for page in pages:
            for raw in elements(page, "items"):
                self._store(fresh, raw)
                await asyncio.sleep(0)  # others have their turn: an object may take milliseconds
            version = text(page, "metadata", "resourceVersion")
        self.cache = fresh
        return version

    async def _watch(self, version: str) -> str:
        """Watch from this resourceVersion until the server ends the watch; return the version to continue from."""
        query = {
            **self.resource.query,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_S),
        }
        opened = time.monotonic()
        accept = rest.METADATA if self.resource.metadata_only else rest.JSON
        within_s = WATCH_S + WATCH_GRACE_S
        async with rest.watch(self._client, self.resource.path, query, within_s, accept=accept) as lines:
            self._mark_current()
            async for line in lines:
                version = self._apply(line) or version
                self._mark_current()
        if time.monotonic() - opened < SHORTEST_WATCH_S:
            raise ApiError("the watch ended immediately")
        return version

    def _apply(self, line: bytes) -> str:
        """Apply one watch event; return its resourceVersion, or ""."""
        try:
            event: object = json.loads(line)
        except ValueError as error:
            raise ApiError("a line of the watch is not JSON") from error
        raw = at(event, "object")
        match text(event, "type"):
            case "ADDED" | "MODIFIED":
                self._store(self.cache, raw)
            case "DELETED":
                self.cache.delete(_key(raw))
            case "BOOKMARK":
                pass
            case "ERROR":
                raise ApiError(text(raw, "message", default="the watch failed"), integer(raw, "code"))
            case other:
                raise ApiError(f"the watch sent an unknown event type: {other!r}")
        return text(raw, "metadata", "resourceVersion")

    def _store(self, cache: ObjectCache[R], raw: object) -> None:
        key, known = _key(raw), len(self._skips)
        if key[1]:
            cache.put(key, self.resource.convert(raw, self._skips))
        else:
            self._skips[f"{self.resource.name}.metadata"] += 1
        # each field once: one faulty writer may write thousands of objects
        for skipped in list(self._skips)[known:]:
            log.warning("object field ignored", field=skipped, object="/".join(filter(None, key)))

    def _mark_current(self) -> None:
        self._last_contact_at = self._clock()
        if self.resource.required and not self.cache:
            self.problem = f"no {self.resource.name} found"
        else:
            self.problem = ""
            self.synced.set()
        if self.stale_since is not None:
            log.info("resource synced", resource=self.resource.name, objects=len(self.cache))
            self.stale_since = None

    def _mark_stale(self, error: ApiError) -> None:
        problem = str(error)
        if error.status == rest.NOT_FOUND:
            problem = f"the API server does not know {self.resource.name}: is the CRD installed?"
        if problem != self.problem:
            level = logging.INFO if error.status == rest.EXPIRED else logging.WARNING
            log.log(level, "resource not synced", resource=self.resource.name, reason=problem)
        self.problem = problem
        if self.stale_since is None:
            self.stale_since = self._last_contact_at


def _key(raw: object) -> tuple[str, str]:
    return text(raw, "metadata", "namespace"), text(raw, "metadata", "name")
