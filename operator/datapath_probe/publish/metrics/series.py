"""One probe's numbers: gauges as its status has them, counters since the process started. See `metrics`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ...api.probe import InvalidSpec, Probe
from ...api.reasons import Reason
from ...api.status import ProbeStatus
from ...api.vocabulary import HopVerdict, ProbeVerdict
from ...runs.run_result import RunResult, verdict_of
from ...sources.client_report import Timings
from ..status.conditions import UNSUPPORTED
from .histogram import REQUEST_S, Histogram

# With this many (hop, reason) pairs a probe stays below 100 series.
MAX_HOP_FAILURES = 40
OTHER = ("other", "Other")
SEGMENT = "segment"


@dataclass(frozen=True, slots=True)
class _Paths:
    """What the last run found on all its paths. `hops`: False where one is Broken or Stale on a path, None where that
    can't be said.
    """

    verdicts: frozenset[ProbeVerdict]
    hops: Mapping[str, bool | None]


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

    @property
    def status(self) -> ProbeStatus:
        """What the gauges show."""
        return self._status

    @status.setter
    def status(self, status: ProbeStatus) -> None:
        self._status = status
        self._paths = _of_status(status)

    def count(self, result: RunResult) -> None:
        """A run has ended, and `status` is what it found: as much of it as a status holds."""
        self._paths = _of_result(result)
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

    @property
    def success(self) -> bool | None:
        """Whether the expectation was met on every path; None if that can't be said, or nothing but that."""
        verdicts = self._paths.verdicts
        if verdicts == {ProbeVerdict.UNKNOWN} and self.status.reason in UNSUPPORTED:
            counters = self.status.counters
            return (
                False if counters.consecutive_failures else True if counters.consecutive_successes else None
            )
        if ProbeVerdict.BROKEN in verdicts:
            return False
        return True if verdicts and ProbeVerdict.UNKNOWN not in verdicts else None

    def hop_success(self) -> Iterator[tuple[str, bool]]:
        """Each hop's worst verdict over all paths, left out where that can't be said."""
        for name, good in self._paths.hops.items():
            if good is not None:
                yield name, good

    @property
    def divergence(self) -> tuple[str, str, str] | None:
        """(hop, reason, node) of the hop or segment to blame. A segment's reason is one and the same, whatever more is
        known of the loss.
        """
        hop, segment = self.status.divergent_hop, self.status.segment
        if hop:
            return hop.name, hop.reason, hop.node
        return (SEGMENT, Reason.LOST_IN_TRANSIT, segment.node or "") if segment else None


def _of_result(result: RunResult) -> _Paths:
    hops = ((finding.hop, finding.verdict) for path in result.paths for finding in path.findings)
    return _Paths(frozenset(map(verdict_of, result.outcomes)), _worst(hops))


def _of_status(status: ProbeStatus) -> _Paths:
    """As far as the status has room for paths and hops."""
    hops = ((hop.name, hop.verdict) for path in status.paths for hop in path.hops)
    return _Paths(frozenset(path.verdict for path in status.paths), _worst(hops))


def _worst(hops: Iterable[tuple[str, HopVerdict]]) -> Mapping[str, bool | None]:
    found: dict[str, set[HopVerdict]] = {}
    for name, verdict in hops:
        found.setdefault(name, set()).add(verdict)
    return {name: _good(verdicts) for name, verdicts in found.items()}


def _good(verdicts: set[HopVerdict]) -> bool | None:
    if verdicts & {HopVerdict.BROKEN, HopVerdict.STALE}:
        return False
    return None if HopVerdict.UNKNOWN in verdicts else True


def _failures(result: RunResult) -> Iterator[tuple[str, str]]:
    for path in result.paths:
        for finding in path.findings:
            if finding.verdict in (HopVerdict.BROKEN, HopVerdict.STALE):
                yield finding.hop, finding.reason
        if path.segment:
            yield SEGMENT, path.reason


def _phases(timings: Timings) -> Iterator[tuple[str, float]]:
    """The phases that curl reached: it says 0 for the others."""
    for phase in ("name_lookup", "connect", "tls", "first_byte", "total"):
        if value := getattr(timings, phase):
            yield phase, value
