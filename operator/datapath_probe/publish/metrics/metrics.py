"""The operator's metrics, built at every scrape.

In: probes, statuses and runs, from `publisher`. Out: Prometheus metrics through the `registry`, served by
`control.web`. A deleted probe leaves no series behind, because only its `ProbeSeries` holds them.
"""

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from ... import __version__
from ...api.probe import InvalidSpec, Probe
from ...api.status import ProbeStatus
from ...api.vocabulary import ProbeVerdict
from ...evidence.delivery import delivery
from ...evidence.fact import Fact
from ...evidence.reading import Unavailable
from ...runs.run_result import RunRecord, RunResult
from ..interfaces import ProbeRef, Retry
from .histogram import LAG_S, RUN_S, Histogram
from .series import ProbeSeries

_PROBE = ("namespace", "probe")


class Metrics(Collector):
    """All metrics. `heartbeat` returns the time of the scheduler's last heartbeat, in seconds since the epoch.

    `collect` runs in a thread, concurrently with the updates (0.4 s for a thousand probes): it copies each dict in one
    step before it iterates.
    """

    def __init__(self, heartbeat: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        self._heartbeat = heartbeat
        self._probes: dict[tuple[str, str], ProbeSeries] = {}
        self._run_durations = Histogram(RUN_S)
        self._schedule_lags = Histogram(LAG_S)
        self._evidence_errors: Counter[tuple[str, str]] = Counter()
        self._status_write_errors: Counter[str] = Counter()  # by code

    def show(self, probe: Probe | InvalidSpec, status: ProbeStatus) -> None:
        """Add a probe, or replace its spec and labels."""
        key = (probe.meta.namespace, probe.meta.name)
        series = self._probes.get(key)
        if series is None or series.probe.meta.uid != probe.meta.uid:
            self._probes[key] = ProbeSeries(probe, status)
        else:
            series.show(probe, status)

    def update(self, probe: ProbeRef, status: ProbeStatus) -> None:
        """Replace the status of a known probe."""
        self._probes[probe.namespace, probe.name].status = status

    def count(self, probe: Probe, record: RunRecord) -> None:
        """Count a run that has ended. `update` has stored its status."""
        result = record.result
        self._run_durations.observe(result.ended - result.started)
        self._schedule_lags.observe(max(0.0, result.started - record.due))
        self._evidence_errors.update(_evidence_errors(result))
        self._probes[probe.meta.namespace, probe.meta.name].count(result)

    def status_not_written(self, trouble: Retry) -> None:
        """Count a failed attempt to write a status."""
        self._status_write_errors[str(trouble.code or "none")] += 1

    def forget(self, probe: ProbeRef) -> None:
        """Remove a deleted probe."""
        series = self._probes.get((probe.namespace, probe.name))
        if series and series.probe.meta.uid == probe.uid:
            del self._probes[probe.namespace, probe.name]

    def collect(self) -> Iterator[Metric]:
        """Yield all metric families, for prometheus_client."""
        yield from self._verdicts()
        yield from self._last_runs()
        yield from self._counts()
        yield from self._operator()

    def _verdicts(self) -> Iterator[Metric]:
        success = _gauge(
            "success",
            "Whether the last run met the expectation on every path: 1 if it did, 0 if not. Absent if it is unknown.",
        )
        verdict = _gauge(
            "verdict", "Verdict of the last run: 1 for the one that applies, 0 for others.", "verdict"
        )
        paths = _gauge(
            "paths", "Number of pairs of source and destination in the last run, by verdict.", "verdict"
        )
        hop = _gauge(
            "hop_success",
            "Whether the hop is Ok on every path: 1 if it is, 0 if it is Broken or Stale on at least one. "
            "Absent if it is Unknown or not on the path.",
            "hop",
        )
        divergent = _gauge(
            "divergent_hop",
            "The hop that causes the verdict of the last run, always 1. The hop is 'segment' if packets were lost and "
            "no single hop can be named. Absent if there is neither.",
            *("hop", "reason", "node"),
        )
        for key, series in tuple(self._probes.items()):
            status = series.status
            if series.success is not None:
                success.add_metric(key, series.success)
            for state in ProbeVerdict if status.verdict else ():
                verdict.add_metric((*key, state), status.verdict is state)
            for state, count in series.path_counts():
                paths.add_metric((*key, state), count)
            for name, good in series.hop_success():
                hop.add_metric((*key, name), good)
            if series.divergence:
                divergent.add_metric((*key, *series.divergence), 1)
        yield from (success, verdict, paths, hop, divergent)

    def _last_runs(self) -> Iterator[Metric]:
        phase = _gauge(
            "request_phase_seconds",
            "Time from the start of the last request to the end of the phase. Absent if it was not reached.",
            "phase",
        )
        pressure = _gauge(
            "map_pressure_ratio",
            "Share of the entries of a Cilium map that are in use, on the node of the path where it is largest. "
            "Absent if the agent does not report it.",
            "map",
        )
        limit = _gauge("latency_limit_seconds", "Latency limit of the probe, spec.expect.maxLatency.")
        last_run = _gauge("last_run_timestamp_seconds", "Time when the last run ended.")
        next_run = _gauge(
            "next_run_timestamp_seconds", "Time when the next run is due. Absent if the probe is suspended."
        )
        info = InfoMetricFamily(
            "datapath_probe", "Labels of the probe that alerts use, always 1.", labels=_PROBE
        )
        for key, series in tuple(self._probes.items()):
            probe, status = series.probe, series.status
            for name, value in series.phases.items():
                phase.add_metric((*key, name), value)
            for name, share in series.map_pressure.items():
                pressure.add_metric((*key, name), share)
            if isinstance(probe, Probe) and probe.spec.expect.max_latency_s is not None:
                limit.add_metric(key, probe.spec.expect.max_latency_s)
            if status.last_run:
                last_run.add_metric(key, status.last_run.end_time.timestamp())
            if status.next_run_time:
                next_run.add_metric(key, status.next_run_time.timestamp())
            info.add_metric(key, {"severity": probe.meta.severity or ""})
        yield from (phase, pressure, limit, last_run, next_run, info)

    def _counts(self) -> Iterator[Metric]:
        runs = _counter("runs", "Number of runs that ended, by verdict.", *_PROBE, "verdict")
        failures = _counter(
            "hop_failures", "Number of runs that found the hop Broken or Stale.", *_PROBE, "hop", "reason"
        )
        changes = _counter("path_changes", "Number of path changes since the probe was created.", *_PROBE)
        latency = HistogramMetricFamily(
            "datapath_probe_request_duration_seconds", "Duration of requests.", labels=_PROBE
        )
        for key, series in tuple(self._probes.items()):
            for verdict, count in tuple(series.runs.items()):
                runs.add_metric((*key, verdict), count)
            for pair, count in tuple(series.hop_failures.items()):
                failures.add_metric((*key, *pair), count)
            changes.add_metric(key, series.path_changes)
            latency.add_metric(key, list(series.latency.buckets()), series.latency.sum)
        yield from (runs, failures, changes, latency)

    def _operator(self) -> Iterator[Metric]:
        yield _histogram(
            "run_duration_seconds",
            "Duration of runs, including the collection of evidence.",
            self._run_durations,
        )
        yield _histogram(
            "schedule_lag_seconds",
            "Delay between the time when a run was due and its start.",
            self._schedule_lags,
        )
        errors = _counter(
            "evidence_errors",
            "Number of pieces of evidence that could not be collected or parsed.",
            "collector",
            "reason",
        )
        for labels, count in tuple(self._evidence_errors.items()):
            errors.add_metric(labels, count)
        yield errors
        unwritten = _counter(
            "status_write_errors", "Number of failed attempts to write a status, by HTTP status code.", "code"
        )
        for code, count in tuple(self._status_write_errors.items()):
            unwritten.add_metric((code,), count)
        yield unwritten
        yield GaugeMetricFamily(
            "datapath_probe_scheduler_heartbeat_timestamp_seconds",
            "Time when the scheduler last checked which runs are due.",
            value=self._heartbeat(),
        )
        yield InfoMetricFamily(
            "datapath_probe_build",
            "Build information of the operator, always 1.",
            value={"version": __version__},
        )


def _evidence_errors(result: RunResult) -> Iterator[tuple[str, str]]:
    """(collector, reason) of evidence that could not be collected or parsed. The collector is the tool it came from."""
    for path in result.paths:
        yield from path.unread
    missed: Counter[tuple[Fact, str]] = Counter()
    for run in (bundle.run for bundle in result.bundles):
        if isinstance(run.request.reading, Unavailable):
            yield "curl", run.request.reading.reason
        missed |= Counter(  # the maximum over paths, since they share readings
            (fact, reading.reason)
            for fact, readings in run.evidence
            for reading in readings
            if isinstance(reading, Unavailable)
        )
    yield from ((delivery(fact).tool, reason) for fact, reason in missed.elements())


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"datapath_probe_{name}", text, labels=(*_PROBE, *labels))


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"datapath_probe_{name}", text, labels=labels)


def _histogram(name: str, text: str, histogram: Histogram) -> HistogramMetricFamily:
    buckets = list(histogram.buckets())
    return HistogramMetricFamily(f"datapath_probe_{name}", text, buckets=buckets, sum_value=histogram.sum)
