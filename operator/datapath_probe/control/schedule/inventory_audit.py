"""Compares the registry with the probes that exist: kopf sends no DELETED event for those deleted while its watch is
down.

In: full lists from the API server, every minute and after each relist of kopf. Out: `Registry.forget_missing`, whether
every existing probe is registered (for readiness), and a warning with the names of those that stay unregistered, for
example after an error in a handler. Run by `app`.
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
SETTLE_S = 1.0  # a relist comes as one event per object: audit once, after the last of them


class ProbeLists(Protocol):
    """The source of full lists."""

    async def list_refs(self) -> frozenset[ProbeRef] | Retry:
        """All existing probes; never a partial list."""
        ...


class InventoryAudit:
    """`namespaces`: those that are watched; empty means all. `complete`: every probe that existed at the last audit is
    registered.
    """

    def __init__(self, lists: ProbeLists, registry: Registry, namespaces: Collection[str]) -> None:
        self.complete = False
        self._lists = lists
        self._registry = registry
        self._namespaces = namespaces
        self._relisted = asyncio.Event()
        self._missing: frozenset[ProbeRef] = frozenset()

    def relisted(self) -> None:
        """kopf has listed again, so its watch was down."""
        self._relisted.set()

    async def serve(self) -> None:
        """Audit until canceled."""
        while True:
            settled = await self._run_audit()
            try:
                async with asyncio.timeout(INTERVAL_S if settled else RETRY_S):
                    await self._relisted.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(SETTLE_S)
            self._relisted.clear()

    async def _run_audit(self) -> bool:
        """Audit once. True if all probes are registered, or the same are missing as in the last audit."""
        known = self._registry.uids()
        listed = await self._lists.list_refs()
        if isinstance(listed, Retry):
            log.warning("probe audit failed", reason=listed.reason)
            return False
        existing = {ref for ref in listed if not self._namespaces or ref.namespace in self._namespaces}
        self._registry.forget_missing(known, {ref.uid for ref in existing})
        known = self._registry.uids()
        missing = frozenset(ref for ref in existing if ref.uid not in known)
        self.complete = not missing
        still = missing & self._missing  # others may have been created just now
        if still:
            log.warning(
                "probes not registered", probes=sorted(f"{ref.namespace}/{ref.name}" for ref in still)
            )
        self._missing = missing
        return missing == still
