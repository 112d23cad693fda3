"""The metrics of the operator itself: its runs, its schedule, its errors. Held by `metrics`.

In: runs, and failed writes. Out: metric families, through prometheus_client's registry.
"""

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ... import __version__
from ...evidence.delivery import delivery
from ...evidence.fact import Fact
from ...evidence.reading import Unavailable
from ...runs.run_result import RunRecord, RunResult
from ..interfaces import Retry
from .histogram import LAG_S, RUN_S, Histogram


class OperatorMetrics(Collector):
    """`heartbeat` returns the time of the scheduler's last heartbeat, in seconds since the epoch. `fallbacks`: see
    `Metrics`.
    """

    def __init__(self, heartbeat: Callable[[], float], fallbacks: Callable[[], int]) -> None:
        self._heartbeat = heartbeat
        self._fallbacks = fallbacks
        self._run_durations = Histogram(RUN_S)
        self._schedule_lags = Histogram(LAG_S)
        self._evidence_errors: Counter[tuple[str, str]] = Counter()
        self._status_write_errors: Counter[str] = Counter()  # by code

    def count(self, record: RunRecord) -> None:
        """Count a run that has ended."""
        result = record.result
        self._run_durations.observe(result.ended - result.started)
        self._schedule_lags.observe(max(0.0, result.started - record.due))
        self._evidence_errors.update(_evidence_errors(result))

    def status_not_written(self, trouble: Retry) -> None:
        """Count a failed attempt to write a status."""
        self._status_write_errors[str(trouble.code or "none")] += 1

    def collect(self) -> Iterator[Metric]:
        """Yield all families, for prometheus_client."""
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
        for labels, count in self._evidence_errors.items():
            errors.add_metric(labels, count)
        yield errors
        unwritten = _counter(
            "status_write_errors", "Number of failed attempts to write a status, by HTTP status code.", "code"
        )
        for code, count in self._status_write_errors.items():
            unwritten.add_metric((code,), count)
        yield unwritten
        fallbacks = _counter(
            "node_agent_fallbacks", "Number of times that commands in containers replaced a node agent."
        )
        fallbacks.add_metric((), self._fallbacks())
        yield fallbacks
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


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"datapath_probe_{name}", text, labels=labels)


def _histogram(name: str, text: str, histogram: Histogram) -> HistogramMetricFamily:
    buckets = list(histogram.buckets())
    return HistogramMetricFamily(f"datapath_probe_{name}", text, buckets=buckets, sum_value=histogram.sum)
