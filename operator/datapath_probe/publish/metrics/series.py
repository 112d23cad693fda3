"""The numbers of one probe: gauges from its status, counters since the process started. Held by `metrics`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from ...api.probe import InvalidSpec, Probe
from ...api.reasons import Reason
from ...api.status import ProbeStatus
from ...api.vocabulary import HopVerdict, ProbeVerdict
from ...runs.run_result import RunResult
from ...sources.client_report import Timings
from ..status.conditions import UNSUPPORTED
from .histogram import REQUEST_S, Histogram

# The limit of (hop, reason) pairs that keeps a probe below 100 series.
MAX_HOP_FAILURES = 40
OTHER = ("other", "Other")
SEGMENT = "segment"

_BAD = {HopVerdict.BROKEN, HopVerdict.STALE}


class ProbeSeries:
    """`show` and `status` replace the gauges, `count` adds a run."""

    def __init__(self, probe: Probe | InvalidSpec, status: ProbeStatus) -> None:
        self.runs: Counter[ProbeVerdict] = Counter()
        self.hop_failures: Counter[tuple[str, str]] = Counter()
        self.latency = Histogram(REQUEST_S)
        self.phases: Mapping[str, float] = {}
        self.map_pressure: Mapping[str, float] = {}
        self.show(probe, status)

    def show(self, probe: Probe | InvalidSpec, status: ProbeStatus) -> None:
        """Replace the probe and its status."""
        self.probe = probe
        self.status = status

    def count(self, result: RunResult) -> None:
        """Count a run that has ended. `status` is its result, as far as it fits into a status."""
        self._hops = _verdicts_of(
            (found.hop, found.verdict) for path in result.paths for found in path.findings
        )
        if self.status.verdict:
            self.runs[self.status.verdict] += 1
        for pair in set(_failures(result)):
            full = pair not in self.hop_failures and len(self.hop_failures) >= MAX_HOP_FAILURES - 1
            self.hop_failures[OTHER if full else pair] += 1
        reports = [path.report for path in result.paths if path.report]
        for report in reports:
            if report.timings.total:
                self.latency.observe(report.timings.total)
        self.phases = dict(_phases(reports[0].timings)) if reports else {}
        self.map_pressure = _map_pressure(result)

    @property
    def status(self) -> ProbeStatus:
        """The status that the gauges show."""
        return self._status

    @status.setter
    def status(self, status: ProbeStatus) -> None:
        self._status = status
        self._hops = _verdicts_of((hop.name, hop.verdict) for path in status.paths for hop in path.hops)

    @property
    def success(self) -> bool | None:
        """Whether the expectation was met on every path; None if unknown."""
        counted = {verdict for verdict, count in self.path_counts() if count}
        verdicts = counted or {path.verdict for path in self.status.paths}
        if verdicts == {ProbeVerdict.UNKNOWN} and self.status.reason in UNSUPPORTED:
            counters = self.status.counters
            return (
                False if counters.consecutive_failures else True if counters.consecutive_successes else None
            )
        if ProbeVerdict.BROKEN in verdicts:
            return False
        return True if verdicts and ProbeVerdict.UNKNOWN not in verdicts else None

    def path_counts(self) -> Iterator[tuple[ProbeVerdict, int]]:
        """The number of paths of the last run with each verdict."""
        counts = self.status.path_counts
        if counts:
            yield ProbeVerdict.HEALTHY, counts.healthy
            yield ProbeVerdict.DEGRADED, counts.degraded
            yield ProbeVerdict.BROKEN, counts.broken
            yield ProbeVerdict.UNKNOWN, counts.unknown

    @property
    def path_changes(self) -> int:
        """The number of path changes. The status keeps it across restarts."""
        profile = self.status.path_profile
        return profile.change_count if profile else 0

    def hop_success(self) -> Iterator[tuple[str, bool]]:
        """Whether each hop is Ok on all paths. Hops that are Unknown are left out."""
        for name, verdicts in self._hops.items():
            if verdicts & _BAD:
                yield name, False
            elif HopVerdict.UNKNOWN not in verdicts:
                yield name, True

    @property
    def divergence(self) -> tuple[str, str, str] | None:
        """(hop, reason, node) of the divergent hop or the segment. All segments have the same reason, to limit the
        number of series.
        """
        hop, segment = self.status.divergent_hop, self.status.segment
        if hop:
            return hop.name, hop.reason, hop.node
        return (SEGMENT, Reason.LOST_IN_TRANSIT, segment.node or "") if segment else None


def _verdicts_of(hops: Iterable[tuple[str, HopVerdict]]) -> Mapping[str, set[HopVerdict]]:
    """The verdicts of each hop on all paths."""
    found: dict[str, set[HopVerdict]] = {}
    for name, verdict in hops:
        found.setdefault(name, set()).add(verdict)
    return found


def _failures(result: RunResult) -> Iterator[tuple[str, str]]:
    for path in result.paths:
        for finding in path.findings:
            if finding.verdict in _BAD:
                yield finding.hop, finding.reason
        if path.segment:
            yield SEGMENT, path.reason


def _map_pressure(result: RunResult) -> Mapping[str, float]:
    """The largest pressure of each map on all paths."""
    found: dict[str, float] = {}
    for path in result.paths:
        for name, share in path.map_pressure.items():
            found[name] = max(share, found.get(name, 0.0))
    return found


def _phases(timings: Timings) -> Iterator[tuple[str, float]]:
    """The phases that curl reached; it reports 0 for the others."""
    for phase in ("name_lookup", "connect", "tls", "first_byte", "total"):
        if value := getattr(timings, phase):
            yield phase, value
