"""Keeps a table equal to one resource of the API server: lists, watches, and after any trouble starts again.

In: what `kube.watch.rest` reads. Out: a `Table` that is replaced as a whole by every list, so that nothing survives
which was deleted unseen; and whether the view is complete and current. Run by `kube.watch.inventory`.
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
from .object_cache import Table

R = TypeVar("R")

log = structlog.get_logger(__name__)

WATCH_S = 60  # the server ends the watch then, after a bookmark; what hangs is given up soon after
WATCH_GRACE_S = 10
STEADY_S = 20.0  # what held this long has earned a fresh start at the shortest pause
SHORTEST_WATCH_S = 1.0


@dataclass(frozen=True, slots=True)
class Resource(Generic[R]):
    """What to list and watch, and how to keep it. `required`: an empty list is no complete view."""

    name: str
    path: str
    convert: Callable[[object, Skips], R]
    groups: Callable[[R], Collection[Hashable]] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    required: bool = False


class Reflector(Generic[R]):
    """One resource, kept current while `run` runs.

    `synced` is set for good once the view was complete and followed. `stale_since` (seconds since the epoch):
    when the API server was last heard, while it can't be followed; None while it can. `trouble` says why.
    """

    def __init__(
        self,
        client: ApiClient,
        resource: Resource[R],
        skips: Skips,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.resource = resource
        self.table = Table(resource.groups)
        self.synced = asyncio.Event()
        self.stale_since: float | None = clock()
        self.trouble = "not listed yet"
        self._client = client
        self._skips = skips
        self._clock = clock
        self._heard_at = clock()

    async def run(self) -> None:
        """Never returns."""
        backoff = api_server_backoff()
        while True:
            started = time.monotonic()
            try:
                await self._list_and_watch()
            except ApiError as error:
                self._lost(error)
            if time.monotonic() - started > STEADY_S:
                backoff.succeeded()
            await asyncio.sleep(backoff.failed())

    async def _list_and_watch(self) -> None:
        """Ends only by ApiError. `run` lists anew then: a server restored from a backup counts anew too."""
        version = await self._list()
        while True:
            version = await self._watch(version)

    async def _list(self) -> str:
        fresh = Table(self.resource.groups)
        async for page in rest.pages(self._client, self.resource.path, self.resource.query):
            for raw in elements(page, "items"):
                self._put(fresh, raw)
            version = text(page, "metadata", "resourceVersion")
        self.table = fresh
        return version

    async def _watch(self, version: str) -> str:
        """Follow from this version until the server ends the watch in order; the version to go on from."""
        query = {
            **self.resource.query,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_S),
        }
        opened = time.monotonic()
        async with rest.watch(self._client, self.resource.path, query, WATCH_S + WATCH_GRACE_S) as lines:
            self._current()
            async for line in lines:
                version = self._follow(line) or version
                self._current()
        if time.monotonic() - opened < SHORTEST_WATCH_S:
            raise ApiError("the watch ended at once")
        return version

    def _follow(self, line: bytes) -> str:
        """Take one event in; its version, or ""."""
        try:
            event: object = json.loads(line)
        except ValueError as error:
            raise ApiError("a line of the watch is no JSON") from error
        raw = at(event, "object")
        match text(event, "type"):
            case "ADDED" | "MODIFIED":
                self._put(self.table, raw)
            case "DELETED":
                self.table.drop(_key(raw))
            case "BOOKMARK":
                pass
            case "ERROR":
                raise ApiError(text(raw, "message", default="the watch failed"), integer(raw, "code"))
            case other:
                raise ApiError(f"an unknown event in the watch: {other!r}")
        return text(raw, "metadata", "resourceVersion")

    def _put(self, table: Table[R], raw: object) -> None:
        key, told = _key(raw), len(self._skips)
        if key[1]:
            table.put(key, self.resource.convert(raw, self._skips))
        else:
            self._skips[f"{self.resource.name}.metadata"] += 1
        # each field once: one wrong writer may write thousands of objects
        for skipped in list(self._skips)[told:]:
            log.warning("part of an object can't be used", field=skipped, object="/".join(filter(None, key)))

    def _current(self) -> None:
        self._heard_at = self._clock()
        if self.resource.required and not self.table:
            self.trouble = f"there is no {self.resource.name}"
        else:
            self.trouble = ""
            self.synced.set()
        if self.stale_since is not None:
            log.info("resource followed", resource=self.resource.name, objects=len(self.table))
            self.stale_since = None

    def _lost(self, error: ApiError) -> None:
        trouble = str(error)
        if error.status == rest.NOT_FOUND:
            trouble = f"the API server does not know {self.resource.name}: is the CRD installed?"
        if trouble != self.trouble:
            level = logging.INFO if error.status == rest.EXPIRED else logging.WARNING
            log.log(level, "resource not followed", resource=self.resource.name, reason=trouble)
        self.trouble = trouble
        if self.stale_since is None:
            self.stale_since = self._heard_at


def _key(raw: object) -> tuple[str, str]:
    return text(raw, "metadata", "namespace"), text(raw, "metadata", "name")
