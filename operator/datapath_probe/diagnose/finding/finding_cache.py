"""Reuse of findings: within a run, a check runs again only if it has new readings.

Called by `examination` for every hop.
"""

from collections.abc import Callable

from ...api.vocabulary import HopName
from ...evidence.fact import Fact
from .evidence_reader import EvidenceReader, Lookups
from .finding import Finding


class KnownFindings:
    """The findings of the earlier examinations of one path. `besides`: the facts that they looked at besides."""

    def __init__(self) -> None:
        self.contexts: list[tuple[object, ...]] = []
        self.findings: dict[tuple[int, HopName], tuple[Finding, Lookups]] = {}
        self.besides: set[Fact] = set()

    @property
    def looked_at(self) -> set[Fact]:
        """The facts that all this was made from."""
        of_findings = (fact for _, lookups in self.findings.values() for fact, _ in lookups.readings)
        return self.besides.union(of_findings)


class FindingCache:
    """The findings of one context. `facts`: all input of checks other than evidence; equal facts share findings."""

    def __init__(self, cache: KnownFindings, reader: EvidenceReader, facts: tuple[object, ...]) -> None:
        self._cache = cache
        self._reader = reader
        if facts not in cache.contexts:
            cache.contexts.append(facts)
        self._context = cache.contexts.index(facts)

    def get(self, hop: HopName, check: Callable[[], Finding]) -> Finding:
        """The earlier finding of the hop, if all readings that its check used are unchanged; otherwise a new one."""
        known = self._cache.findings.get((self._context, hop))
        if known and self._reader.repeat(known[1]):
            return known[0]
        self._reader.begin_lookups()
        finding = check()
        self._cache.findings[self._context, hop] = finding, self._reader.end_lookups()
        return finding
