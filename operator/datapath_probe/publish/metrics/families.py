"""The metric families of probes: their names, help texts and samples. Called by `metrics`. Pure."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric

from ...api.vocabulary import ProbeVerdict
from .series import ProbeSeries

_PROBE = ("namespace", "probe")
_AllSeries = Sequence[ProbeSeries]


def probe_families(*all_series: ProbeSeries) -> tuple[Metric, ...]:
    """All families with the samples of these probes, in the order of a scrape."""
    return (*_verdicts(all_series), *_last_runs(all_series), *_times(all_series), *_counts(all_series))


def _verdicts(all_series: _AllSeries) -> Iterator[Metric]:
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
    for series in all_series:
        key, gauges = series.key, series.gauges
        if gauges.success is not None:
            success.add_metric(key, gauges.success)
        for state in ProbeVerdict if gauges.verdict else ():
            verdict.add_metric((*key, state), gauges.verdict is state)
        for state, count in gauges.path_counts:
            paths.add_metric((*key, state), count)
        for name, good in gauges.hops:
            hop.add_metric((*key, name), good)
        if gauges.divergence:
            divergent.add_metric((*key, *gauges.divergence), 1)
    yield from (success, verdict, paths, hop, divergent)


def _last_runs(all_series: _AllSeries) -> Iterator[Metric]:
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
    expiry = _gauge(
        "certificate_expiry_timestamp_seconds",
        "Time when the server's certificate expires, the earliest of all paths. Absent if curl does not report it.",
    )
    limit = _gauge("latency_limit_seconds", "Latency limit of the probe, spec.expect.maxLatency.")
    for series in all_series:
        key = series.key
        for name, value in series.phases.items():
            phase.add_metric((*key, name), value)
        for name, share in series.map_pressure.items():
            pressure.add_metric((*key, name), share)
        if series.certificate_expires is not None:
            expiry.add_metric(key, series.certificate_expires)
        if series.latency_limit_s is not None:
            limit.add_metric(key, series.latency_limit_s)
    yield from (phase, pressure, expiry, limit)


def _times(all_series: _AllSeries) -> Iterator[Metric]:
    last_run = _gauge("last_run_timestamp_seconds", "Time when the last run ended.")
    next_run = _gauge(
        "next_run_timestamp_seconds", "Time when the next run is due. Absent if the probe is suspended."
    )
    outage = _gauge(
        "outage_start_timestamp_seconds", "Time when the current outage began. Absent while there is none."
    )
    place = InfoMetricFamily(
        "datapath_probe_outage",
        "The hop, reason and node that the current outage has in the status, always 1. Absent while there is none.",
        labels=_PROBE,
    )
    info = InfoMetricFamily("datapath_probe", "Labels of the probe that alerts use, always 1.", labels=_PROBE)
    for series in all_series:
        key, gauges = series.key, series.gauges
        if gauges.last_run is not None:
            last_run.add_metric(key, gauges.last_run)
        if gauges.next_run is not None:
            next_run.add_metric(key, gauges.next_run)
        if gauges.outage_start is not None:
            outage.add_metric(key, gauges.outage_start)
        if gauges.outage_place:
            place.add_metric(key, dict(zip(("hop", "reason", "node"), gauges.outage_place, strict=True)))
        info.add_metric(key, {"severity": series.severity})
    yield from (last_run, next_run, outage, place, info)


def _counts(all_series: _AllSeries) -> Iterator[Metric]:
    runs = _counter("runs", "Number of runs that ended, by verdict.", "verdict")
    skipped = _counter(
        "runs_skipped", "Number of runs that were due and did not start, since the probe was created."
    )
    failures = _counter("hop_failures", "Number of runs that found the hop Broken or Stale.", "hop", "reason")
    changes = _counter("path_changes", "Number of path changes since the probe was created.")
    outages = _counter("outages", "Number of outages that began, since the probe was created.")
    latency = HistogramMetricFamily(
        "datapath_probe_request_duration_seconds", "Duration of requests.", labels=_PROBE
    )
    for series in all_series:
        key = series.key
        for verdict, count in series.runs.items():
            runs.add_metric((*key, verdict), count)
        for pair, count in series.hop_failures.items():
            failures.add_metric((*key, *pair), count)
        skipped.add_metric(key, series.gauges.runs_skipped)
        changes.add_metric(key, series.gauges.path_changes)
        outages.add_metric(key, series.gauges.outages)
        latency.add_metric(key, list(series.latency.buckets()), series.latency.sum)
    yield from (runs, skipped, failures, changes, outages, latency)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"datapath_probe_{name}", text, labels=(*_PROBE, *labels))


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"datapath_probe_{name}", text, labels=(*_PROBE, *labels))
