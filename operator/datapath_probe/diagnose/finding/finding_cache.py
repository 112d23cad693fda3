"""Findings that need not be made again: within a run, a check runs again only for readings that are new to it.

Called by the engine for every hop, each time that it looks at a run.
"""

from collections.abc import Callable

from ...api.vocabulary import HopName
from .evidence_reader import EvidenceReader, ParseCache
from .finding import Finding


class FindingCache:
    """The findings of one context. `facts`: whatever checks go by beside evidence; equal facts share findings."""

    def __init__(self, cache: ParseCache, reader: EvidenceReader, facts: tuple[object, ...]) -> None:
        self._cache = cache
        self._reader = reader
        if facts not in cache.contexts:
            cache.contexts.append(facts)
        self._context = cache.contexts.index(facts)

    def get(self, hop: HopName, check: Callable[[], Finding]) -> Finding:
        """The hop's finding as it was, if all that its check looked at is unchanged; else a new one."""
        known = self._cache.findings.get((self._context, hop))
        if known and self._reader.repeat(known[1]):
            return known[0]
        self._reader.begin_lookups()
        finding = check()
        self._cache.findings[self._context, hop] = finding, self._reader.end_lookups()
        return finding
