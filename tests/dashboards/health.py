"""The operator itself: whether it keeps its schedule, gets its evidence, and what it costs."""

from grafana_foundation_sdk.builders import dashboard, stat, table, timeseries

from dashboards.panels import GREEN, RED, YELLOW, Panels, Query, by_verdict, new, panel, steps
from dashboards.queries import quantiles

_OURS = "on (instance) datapath_probe_build_info"
_RATE = "[$__rate_interval]"


def build() -> dashboard.Dashboard:
    """The dashboard."""
    explanation = "Whether the operator itself works, and what it costs."
    return new("operator", explanation, [*_now(), *_schedule(), *_evidence(), *_cost()])


def _now() -> Panels:
    heartbeat = panel(
        stat.Panel().thresholds(steps(GREEN, (30, YELLOW), (120, RED))),
        "Heartbeat",
        "Time since the scheduler last looked for runs that are due.",
        Query("time() - max(datapath_probe_scheduler_heartbeat_timestamp_seconds)", now=True),
        unit="s",
        width=8,
        height=5,
    )
    probes = panel(
        stat.Panel(),
        "Probes",
        "How many probes the operator runs.",
        Query("count(datapath_probe_info)", now=True),
        width=8,
        height=5,
    )
    version = panel(
        table.Panel(),
        "Version",
        "The version of each operator that is scraped.",
        Query("count by (version, instance) (datapath_probe_build_info)"),
        width=8,
        height=5,
    )
    return [heartbeat, probes, version]


def _schedule() -> Panels:
    runs = panel(
        timeseries.Panel(),
        "Runs",
        "Runs for each second, by verdict.",
        Query(f"sum by (verdict) (rate(datapath_probe_runs_total{_RATE}))", "{{verdict}}"),
        width=8,
    )
    lag = panel(
        timeseries.Panel(),
        "Schedule lag",
        "How long after they were due half, and 99 of 100, of the runs started.",
        *quantiles("datapath_probe_schedule_lag_seconds"),
        unit="s",
        width=8,
    )
    duration = panel(
        timeseries.Panel(),
        "Duration of runs",
        "How long half, and 99 of 100, of the runs took, with their evidence.",
        *quantiles("datapath_probe_run_duration_seconds"),
        unit="s",
        width=8,
    )
    return [by_verdict(runs), lag, duration]


def _evidence() -> Panels:
    errors = panel(
        timeseries.Panel(),
        "Evidence errors",
        "Answers that could not be had or read, for each second, by tool and reason.",
        Query(
            f"sum by (collector, reason) (rate(datapath_probe_evidence_errors_total{_RATE}))",
            "{{collector}}: {{reason}}",
        ),
        width=8,
    )
    unwritten = panel(
        timeseries.Panel(),
        "Statuses not written",
        "Failed attempts to write a status, for each second, by the code of the API server.",
        Query(f"sum by (code) (rate(datapath_probe_status_write_errors_total{_RATE}))", "{{code}}"),
        width=8,
    )
    skipped = panel(
        timeseries.Panel(),
        "Skipped runs",
        "Runs that were due while the one before still ran, for each second, by namespace.",
        Query(f"sum by (namespace) (rate(datapath_probe_runs_skipped_total{_RATE}))", "{{namespace}}"),
        width=8,
    )
    return [errors, unwritten, skipped]


def _cost() -> Panels:
    cpu = panel(
        timeseries.Panel(),
        "CPU",
        "CPU that the operator uses.",
        Query(f"rate(process_cpu_seconds_total{_RATE}) and {_OURS}", "{{instance}}"),
        unit="cores",
        width=8,
    )
    memory = panel(
        timeseries.Panel(),
        "Memory",
        "Resident memory of the operator.",
        Query(f"process_resident_memory_bytes and {_OURS}", "{{instance}}"),
        unit="bytes",
        width=8,
    )
    files = panel(
        timeseries.Panel(),
        "Open files",
        "Open files and connections of the operator, and how many it may have.",
        Query(f"process_open_fds and {_OURS}", "{{instance}} open"),
        Query(f"process_max_fds and {_OURS}", "{{instance}} limit"),
        width=8,
    )
    return [cpu, memory, files]
