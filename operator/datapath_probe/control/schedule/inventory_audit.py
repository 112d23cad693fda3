"""Counts the probes that exist: kopf yields no DELETED event for what vanished while its watch was down.

In: full lists from the API server, every minute and after each re-list of kopf's. Out:
`Registry.forget_missing`, whether every probe that exists is known (for readiness), and a warning that names those
which stay unknown, as after an error in a handler. Owned by `app`.
"""

import asyncio
from collections.abc import Collection
from typing import Protocol

import structlog

from ...publish.interfaces import ProbeRef, Retry
from .registry import Registry

log = structlog.get_logger(__name__)

INTERVAL_S = 60.0
RETRY_S = 5.0
SETTLE_S = 1.0  # a re-list comes as one event per object: count once, when they are through


class ProbeLists(Protocol):
    """Where full lists come from."""

    async def list_refs(self) -> frozenset[ProbeRef] | Retry:
        """Every probe there is, complete or not at all."""
        ...


class InventoryAudit:
    """`namespaces`: those that are watched; none means all. `complete`: everything that existed at the last count is
    known.
    """

    def __init__(self, lists: ProbeLists, registry: Registry, namespaces: Collection[str]) -> None:
        self.complete = False
        self._lists = lists
        self._registry = registry
        self._namespaces = namespaces
        self._relisted = asyncio.Event()
        self._missing: frozenset[ProbeRef] = frozenset()

    def relisted(self) -> None:
        """kopf lists anew, so its watch was down."""
        self._relisted.set()

    async def serve(self) -> None:
        """Count until cancelled."""
        while True:
            settled = await self._count()
            try:
                async with asyncio.timeout(INTERVAL_S if settled else RETRY_S):
                    await self._relisted.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(SETTLE_S)
            self._relisted.clear()

    async def _count(self) -> bool:
        """Whether it is as it was: all are known, or the same are missing as last time."""
        known = self._registry.uids()
        listed = await self._lists.list_refs()
        if isinstance(listed, Retry):
            log.warning("probes not counted", reason=listed.reason)
            return False
        existing = {ref for ref in listed if not self._namespaces or ref.namespace in self._namespaces}
        self._registry.forget_missing(known, {ref.uid for ref in existing})
        known = self._registry.uids()
        missing = frozenset(ref for ref in existing if ref.uid not in known)
        self.complete = not missing
        still = missing & self._missing  # others may have been made a moment ago
        if still:
            log.warning("probes not taken up", probes=sorted(f"{ref.namespace}/{ref.name}" for ref in still))
        self._missing = missing
        return missing == still
