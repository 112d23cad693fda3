"""One probe's numbers: gauges as its status has them, counters since the process started. See `metrics`."""

from collections import Counter
from collections.abc import Iterator, Mapping

from ...api.hop_result import HopResult
from ...api.probe import InvalidSpec, Probe
from ...api.reasons import Reason
from ...api.status import ProbeStatus
from ...api.vocabulary import HopVerdict, ProbeVerdict
from ...runs.run_result import RunResult
from ...sources.curl import Timings
from ..status.conditions import UNSUPPORTED
from .histogram import REQUEST_S, Histogram

# With this many (hop, reason) pairs a probe stays below 100 series.
MAX_HOP_FAILURES = 40
OTHER = ("other", "Other")
SEGMENT = "segment"


class ProbeSeries:
    """`show` and `status` replace the gauges, `count` adds a run."""

    def __init__(self, probe: Probe | InvalidSpec, status: ProbeStatus) -> None:
        self.runs: Counter[ProbeVerdict] = Counter()
        self.hop_failures: Counter[tuple[str, str]] = Counter()
        self.latency = Histogram(REQUEST_S)
        self.phases: Mapping[str, float] = {}
        self.show(probe, status)

    def show(self, probe: Probe | InvalidSpec, status: ProbeStatus) -> None:
        """The probe and its status are now these."""
        self.probe = probe
        self.status = status

    def count(self, result: RunResult) -> None:
        """A run has ended, and `status` is what it found."""
        if self.status.verdict:
            self.runs[self.status.verdict] += 1
        for pair in set(_failures(self.status)):
            full = pair not in self.hop_failures and len(self.hop_failures) >= MAX_HOP_FAILURES - 1
            self.hop_failures[OTHER if full else pair] += 1
        reports = [path.report for path in result.paths if path.report]
        for report in reports:
            if report.timings.total:
                self.latency.observe(report.timings.total)
        self.phases = dict(_phases(reports[0].timings)) if reports else {}

    @property
    def success(self) -> bool | None:
        """Whether the expectation was met on every path; None if it is unknown."""
        verdicts = {path.verdict for path in self.status.paths}
        if verdicts == {ProbeVerdict.UNKNOWN} and self.status.reason in UNSUPPORTED:
            counters = self.status.counters
            return (
                False if counters.consecutive_failures else True if counters.consecutive_successes else None
            )
        if ProbeVerdict.BROKEN in verdicts:
            return False
        return True if verdicts and ProbeVerdict.UNKNOWN not in verdicts else None

    def path_counts(self) -> Iterator[tuple[ProbeVerdict, int]]:
        """How many paths of the last run have each verdict."""
        counts = self.status.path_counts
        if counts:
            yield ProbeVerdict.HEALTHY, counts.healthy
            yield ProbeVerdict.DEGRADED, counts.degraded
            yield ProbeVerdict.BROKEN, counts.broken
            yield ProbeVerdict.UNKNOWN, counts.unknown

    @property
    def path_changes(self) -> int:
        """How often the path has changed; the status keeps it over restarts."""
        profile = self.status.path_profile
        return profile.change_count if profile else 0

    def hop_success(self) -> Iterator[tuple[str, bool]]:
        """Whether each hop is Ok on all paths; left out if it is Unknown."""
        found: dict[str, set[HopVerdict]] = {}
        for hop in _hops(self.status):
            found.setdefault(hop.name, set()).add(hop.verdict)
        for name, verdicts in found.items():
            if verdicts & {HopVerdict.BROKEN, HopVerdict.STALE}:
                yield name, False
            elif HopVerdict.UNKNOWN not in verdicts:
                yield name, True

    @property
    def divergence(self) -> tuple[str, str, str] | None:
        """(hop, reason, node) of the divergent hop or the segment. All segments have the same reason, whatever else
        is known of the loss.
        """
        hop, segment = self.status.divergent_hop, self.status.segment
        if hop:
            return hop.name, hop.reason, hop.node
        return (SEGMENT, Reason.LOST_IN_TRANSIT, segment.node or "") if segment else None


def _hops(status: ProbeStatus) -> Iterator[HopResult]:
    for path in status.paths:
        yield from path.hops


def _failures(status: ProbeStatus) -> Iterator[tuple[str, str]]:
    for hop in _hops(status):
        if hop.verdict in (HopVerdict.BROKEN, HopVerdict.STALE):
            yield hop.name, hop.reason or ""
    if status.segment:
        yield SEGMENT, status.reason or ""


def _phases(timings: Timings) -> Iterator[tuple[str, float]]:
    """The phases that curl reached: it reports 0 for the others."""
    for phase in ("name_lookup", "connect", "tls", "first_byte", "total"):
        if value := getattr(timings, phase):
            yield phase, value
