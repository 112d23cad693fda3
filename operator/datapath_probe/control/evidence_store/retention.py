"""Which runs of a probe keep their saved evidence. Used by `evidence_files`. Pure.

By kind and not by age alone: a week of Healthy runs must not push out what happened last night.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from ...api.status.past_runs import FAILURES_LIMIT, OUTAGES_LIMIT
from ...api.vocabulary import ProbeVerdict
from ...publish.status.saved_run import RunKind

CHANGES_LIMIT, REQUESTED_LIMIT = 10, 5
MOST_WORTH = 3


@dataclass(slots=True)
class SavedRun:
    """`name`: the beginning of its files' names. `probe`: that of all files of its probe; "" for a file without a
    bundle, left by an operator that was killed.
    """

    probe: str
    name: str
    started_ms: int
    kind: RunKind
    files: set[str] = field(default_factory=set)

    @property
    def namespace(self) -> str:
        """Names of namespaces have no dots, and are shorter than where the names of probes are cut."""
        return self.probe.partition(".")[0]

    @property
    def worth(self) -> int:
        """If all probes together need too much space, the runs of a namespace that are worth least go first."""
        if not self.probe:
            return 0
        if self.kind.outage:
            return MOST_WORTH
        return 1 if self.kind == RunKind(ProbeVerdict.HEALTHY) else 2


def kept(runs: Iterable[SavedRun]) -> set[str]:
    """The names of the runs to keep: the last Healthy one, the newest that were not Healthy, changed the path or were
    requested, and the first and the newest failed one of each outage.
    """
    newest_first = sorted(runs, key=lambda run: run.started_ms, reverse=True)

    healthy = (run for run in newest_first if run.kind.verdict is ProbeVerdict.HEALTHY)
    others = (run for run in newest_first if run.kind.verdict is not ProbeVerdict.HEALTHY)
    changes = (run for run in newest_first if run.kind.changed)
    requested = (run for run in newest_first if run.kind.requested)
    wanted = (
        *islice(healthy, 1),
        *islice(others, FAILURES_LIMIT),
        *islice(changes, CHANGES_LIMIT),
        *islice(requested, REQUESTED_LIMIT),
        *_of_outages(newest_first),
    )
    return {run.name for run in wanted}


def _of_outages(newest_first: list[SavedRun]) -> Iterator[SavedRun]:
    """Also the first run of the current streak of failed runs, which may become an outage."""
    outages: dict[int, SavedRun] = {}  # the newest run of each
    for run in newest_first:
        if run.kind.outage and run.kind.failing_since is not None:
            outages.setdefault(run.kind.failing_since, run)
    streak = next(
        (run.kind.failing_since for run in newest_first if run.kind.failing_since is not None), None
    )
    recent = list(islice(outages.items(), OUTAGES_LIMIT))
    yield from (run for _, run in recent)
    starts = {streak, *(since for since, _ in recent)}
    yield from (run for run in newest_first if run.started_ms in starts)
