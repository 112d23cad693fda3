"""Which pairs of a probe a run requests: all of them, or if they exceed the limit, each in its turn.

In: the pairs that a probe stands for. Out: some of them. One for all runs: it remembers which pods sent the last
requests of a probe, where its next turn begins, and which pairs were not Healthy. Those are requested in every run
until they are Healthy again, so that a verdict depends on the pairs, and not on whose turn it is.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ..api.vocabulary import ProbeVerdict
from ..plan.pairs.pairs import Pair, Pairs


@dataclass(slots=True)
class _Turns:
    """`faulty`: the pairs that were not Healthy, those that have been so the longest first."""

    sources: frozenset[str] = frozenset()
    position: int = 0
    faulty: tuple[Pair, ...] = ()


class PairTurns:
    """`limit`: of pairs in one run."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._turns: dict[str, _Turns] = {}  # by uid

    def sources(self, uid: str) -> Collection[str]:
        """The pods that sent the last requests of this probe."""
        turns = self._turns.get(uid)
        return turns.sources if turns else ()

    def take(self, uid: str, pairs: Pairs) -> tuple[Pair, ...]:
        """The pairs of the next run of this probe: first those that were not Healthy, at most half of the limit if all
        exceed it, then those whose turn it is.
        """
        turns = self._turns.setdefault(uid, _Turns())
        fit = len(pairs) <= self.limit
        turns.sources = frozenset(pairs.sources)
        turns.faulty = tuple(pairs.among(turns.faulty))
        taken = dict.fromkeys(turns.faulty if fit else turns.faulty[: self.limit // 2])
        start = 0 if fit else turns.position
        for position, pair in pairs.turns(start):
            if len(taken) >= self.limit:
                turns.position = position
                break
            taken[pair] = None
        return tuple(taken)

    def found(self, uid: str, verdicts: Mapping[Pair, ProbeVerdict]) -> None:
        """Remember what a run of this probe found."""
        if turns := self._turns.get(uid):
            known = (pair for pair in turns.faulty if verdicts.get(pair) is not ProbeVerdict.HEALTHY)
            turns.faulty = tuple(dict.fromkeys((*known, *_not_healthy(verdicts))))[: self.limit]

    def forget(self, uid: str) -> None:
        """Forget a deleted probe."""
        self._turns.pop(uid, None)


def _not_healthy(verdicts: Mapping[Pair, ProbeVerdict]) -> Iterable[Pair]:
    """Broken ones first."""
    for wanted in (ProbeVerdict.BROKEN, ProbeVerdict.DEGRADED, ProbeVerdict.UNKNOWN):
        yield from (pair for pair, verdict in verdicts.items() if verdict is wanted)
