"""A status → the numbers that the gauges of its probe show. Called by `series`. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Self

from ...api.reasons import Reason
from ...api.status.past_runs import Outage
from ...api.status.probe_status import ProbeStatus
from ...api.vocabulary import HopVerdict, ProbeVerdict
from ...runs.run_result import RunResult
from ..status import outages
from ..status.conditions import UNSUPPORTED

SEGMENT = "segment"
BAD = frozenset({HopVerdict.BROKEN, HopVerdict.STALE})


@dataclass(frozen=True, slots=True)
class Gauges:
    """`success`: whether the expectation was met on every path, None if unknown. `path_counts`: paths of the last run
    by verdict. `hops`: whether each hop is Ok on all paths; hops that are Unknown are left out. `divergence`: (hop,
    reason, node) of the divergent hop or the segment, `outage_place`: those of the current outage. Times are seconds
    since the epoch.
    """

    verdict: ProbeVerdict | None = None
    success: bool | None = None
    path_counts: tuple[tuple[ProbeVerdict, int], ...] = ()
    hops: tuple[tuple[str, bool], ...] = ()
    divergence: tuple[str, str, str] | None = None
    path_changes: int = 0
    runs_skipped: int = 0
    outages: int = 0
    outage_start: float | None = None
    outage_place: tuple[str, str, str] | None = None
    last_run: float | None = None
    next_run: float | None = None

    @classmethod
    def of(cls, status: ProbeStatus) -> Self:
        """The gauges of a status."""
        counts = tuple(_path_counts(status))
        outage = outages.current(status.outages)
        return cls(
            verdict=status.verdict,
            success=_success(status, {verdict for verdict, count in counts if count}),
            path_counts=counts,
            hops=_hops((hop.name, hop.verdict) for path in status.paths for hop in path.hops),
            divergence=_divergence(status),
            path_changes=status.path_profile.change_count if status.path_profile else 0,
            outages=status.counters.outages,
            outage_start=outage.start_time.timestamp() if outage else None,
            outage_place=_outage_place(outage) if outage else None,
            runs_skipped=status.counters.skipped,
            last_run=status.last_run.end_time.timestamp() if status.last_run else None,
            next_run=status.next_run_time.timestamp() if status.next_run_time else None,
        )

    def with_hops_of(self, result: RunResult) -> Self:
        """The same with the hops of a run, also those of paths that do not fit into the status."""
        return replace(
            self,
            hops=_hops((found.hop, found.verdict) for path in result.paths for found in path.findings),
        )


def _path_counts(status: ProbeStatus) -> Iterator[tuple[ProbeVerdict, int]]:
    counts = status.path_counts
    if counts:
        yield ProbeVerdict.HEALTHY, counts.healthy
        yield ProbeVerdict.DEGRADED, counts.degraded
        yield ProbeVerdict.BROKEN, counts.broken
        yield ProbeVerdict.UNKNOWN, counts.unknown


def _success(status: ProbeStatus, counted: set[ProbeVerdict]) -> bool | None:
    verdicts = counted or {path.verdict for path in status.paths}
    if verdicts == {ProbeVerdict.UNKNOWN} and status.reason in UNSUPPORTED:
        counters = status.counters
        return False if counters.consecutive_failures else True if counters.consecutive_successes else None
    if ProbeVerdict.BROKEN in verdicts:
        return False
    return True if verdicts and ProbeVerdict.UNKNOWN not in verdicts else None


def _hops(verdicts: Iterable[tuple[str, HopVerdict]]) -> tuple[tuple[str, bool], ...]:
    found: dict[str, set[HopVerdict]] = {}
    for name, verdict in verdicts:
        found.setdefault(name, set()).add(verdict)
    return tuple(
        (name, not seen & BAD) for name, seen in found.items() if seen & BAD or HopVerdict.UNKNOWN not in seen
    )


def _divergence(status: ProbeStatus) -> tuple[str, str, str] | None:
    """All segments have the same reason, to limit the number of series."""
    hop, segment = status.divergent_hop, status.segment
    if hop:
        return hop.name, hop.reason, hop.node
    return (SEGMENT, Reason.LOST_IN_TRANSIT, segment.node or "") if segment else None


def _outage_place(outage: Outage) -> tuple[str, str, str]:
    """The hop is empty if the path can't be judged, so that not even a segment is known."""
    segment = "" if outage.reason in UNSUPPORTED else SEGMENT
    return outage.hop or segment, outage.reason, outage.node or ""
