"""Compares the registry with the probes that exist: kopf sends no DELETED event for those deleted while its watch is
down, and a handler may fail.

In: full lists from the API server, every minute and after each relist of kopf. Out: `Registry.forget_missing`,
`Registry.observe` for existing probes that stay unregistered, and whether all are registered (for readiness). Run by
`app`.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import Protocol

import structlog

from ...publish.interfaces import Gone, ProbeRef, Retry
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

    async def read(self, namespace: str, name: str) -> Mapping[str, object] | Gone | Retry:
        """The current object."""
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
        missed = missing & self._missing  # kopf may still send the others
        for ref in sorted(missed, key=lambda ref: (ref.namespace, ref.name)):
            await self._adopt(ref)
        missing -= {ref for ref in missed if ref.uid in self._registry.uids()}
        self.complete = not missing
        still = missing & self._missing
        self._missing = missing
        return missing == still

    async def _adopt(self, ref: ProbeRef) -> None:
        """Register a probe that no event has registered."""
        found = await self._lists.read(ref.namespace, ref.name)
        name, reason = f"{ref.namespace}/{ref.name}", "it was deleted meanwhile"
        if isinstance(found, Retry):
            reason = found.reason
        elif not isinstance(found, Gone):
            try:
                self._registry.observe(found)
            except Exception:
                log.exception("probe not registered", probe=name)
                return
            log.warning("probe registered without an event", probe=name)
            return
        log.warning("probe not registered", probe=name, reason=reason)
