"""The numbers of one probe: gauges from its status, counters since the process started. Held by `metrics`."""

from collections import Counter
from collections.abc import Iterator, Mapping

from ...api.probe import InvalidSpec, Probe
from ...api.status.probe_status import ProbeStatus
from ...api.vocabulary import ProbeVerdict
from ...runs.run_result import RunResult
from ...sources.client_report import Timings
from .gauges import BAD, SEGMENT, Gauges
from .histogram import REQUEST_S, Histogram

# The limit of (hop, reason) pairs that keeps a probe below 100 series.
MAX_HOP_FAILURES = 18
OTHER = ("other", "Other")


class ProbeSeries:
    """`uid`: that of the probe. `show`, `relabel` and `update` replace gauges, `count` adds a run."""

    def __init__(self, probe: Probe | InvalidSpec, status: ProbeStatus) -> None:
        self.uid = probe.meta.uid
        self.runs: Counter[ProbeVerdict] = Counter()
        self.hop_failures: Counter[tuple[str, str]] = Counter()
        self.latency = Histogram(REQUEST_S)
        self.phases: Mapping[str, float] = {}
        self.map_pressure: Mapping[str, float] = {}
        self.certificate_expires: float | None = None
        self.show(probe, status)

    def show(self, probe: Probe | InvalidSpec, status: ProbeStatus) -> None:
        """Replace everything that comes from the probe's object."""
        self.gauges = Gauges.of(status)
        self.relabel(probe)

    def relabel(self, probe: Probe | InvalidSpec) -> None:
        """Replace what comes from its spec and labels."""
        self.key = (probe.meta.namespace, probe.meta.name)
        self.severity = probe.meta.severity or ""
        self.latency_limit_s = probe.spec.expect.max_latency_s if isinstance(probe, Probe) else None

    def update(self, status: ProbeStatus) -> None:
        """Replace what comes from its status."""
        self.gauges = Gauges.of(status)

    def count(self, status: ProbeStatus, result: RunResult) -> None:
        """Add a run that has ended. `status`: the one that it caused."""
        self.gauges = Gauges.of(status).with_hops_of(result)
        if status.verdict:
            self.runs[status.verdict] += 1
        for pair in set(_failures(result)):
            full = pair not in self.hop_failures and len(self.hop_failures) >= MAX_HOP_FAILURES - 1
            self.hop_failures[OTHER if full else pair] += 1
        reports = [path.report for path in result.paths if path.report]
        for report in reports:
            if report.timings.total:
                self.latency.observe(report.timings.total)
        self.phases = dict(_phases(reports[0].timings)) if reports else {}
        self.map_pressure = _map_pressure(result)
        expiries = [at for at in (report.certificate_expires for report in reports) if at is not None]
        self.certificate_expires = min(expiries, default=None)


def _failures(result: RunResult) -> Iterator[tuple[str, str]]:
    for path in result.paths:
        for finding in path.findings:
            if finding.verdict in BAD:
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
