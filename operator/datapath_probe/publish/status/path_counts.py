"""How many paths of a run have which verdict. Pure; called by `summary`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ...api.vocabulary import ProbeVerdict
from ...runs.run_result import Outcome, verdict_of


@dataclass(frozen=True, slots=True)
class PathCounts:
    """Paths of a run by verdict; one on which no request could be sent is Unknown."""

    total: int
    healthy: int
    degraded: int
    broken: int
    unknown: int


def path_counts(outcomes: Iterable[Outcome]) -> PathCounts:
    """Count them."""
    found = Counter(map(verdict_of, outcomes))
    return PathCounts(
        total=found.total(),
        healthy=found[ProbeVerdict.HEALTHY],
        degraded=found[ProbeVerdict.DEGRADED],
        broken=found[ProbeVerdict.BROKEN],
        unknown=found[ProbeVerdict.UNKNOWN],
    )
