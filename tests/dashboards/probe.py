"""One probe: what its runs said, hop by hop, and how fast its requests were."""

from grafana_foundation_sdk.builders import dashboard, stat, statetimeline, statushistory, timeseries
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync

from dashboards.panels import (
    GREEN,
    HOP_WORDS,
    RED,
    VERDICT_WORDS,
    YELLOW,
    Panels,
    Query,
    by_verdict,
    fixed,
    new,
    panel,
    steps,
    values,
    variable,
)
from dashboards.queries import OUTAGE, quantiles, verdict_number

_CHOSEN = 'namespace="$namespace",probe="$probe"'


def _of(metric: str) -> str:
    return f"{metric}{{{_CHOSEN}}}"


def build() -> dashboard.Dashboard:
    """The dashboard."""
    of_namespace = 'label_values(datapath_probe_info{namespace="$namespace"}, probe)'
    namespaces = "label_values(datapath_probe_info, namespace)"
    variables = [
        variable("namespace", "Namespace", namespaces, several=False),
        variable("probe", "Probe", of_namespace, several=False),
    ]
    panels = [*_now(), *_verdicts(), *_requests(), *_counts()]
    made = new("probe", "One probe: verdicts, hops, latency.", panels, variables)
    return made.tooltip(DashboardCursorSync.CROSSHAIR)


def _now() -> Panels:
    verdict = panel(
        stat.Panel().mappings(VERDICT_WORDS),
        "Verdict",
        "The verdict of the last run.",
        Query(verdict_number(_CHOSEN), now=True),
        width=6,
        height=4,
    )
    last = panel(
        stat.Panel(),
        "Last run",
        "Time since the last run ended.",
        Query(f"time() - {_of('datapath_probe_last_run_timestamp_seconds')}", now=True),
        unit="s",
        width=6,
        height=4,
    )
    outage = panel(
        stat.Panel().no_value("none").thresholds(steps(RED)),
        "Outage",
        "Time since the first failed run, if the expectation has not been met since.",
        Query(f"time() - {_of(OUTAGE)}", now=True),
        unit="s",
        width=6,
        height=4,
    )
    certificate = panel(
        stat.Panel().no_value("none").thresholds(steps(RED, (0, YELLOW), (14 * 86400, GREEN))),
        "Certificate",
        "Time until the certificate of the server expires, for probes by HTTPS.",
        Query(f"{_of('datapath_probe_certificate_expiry_timestamp_seconds')} - time()", now=True),
        unit="s",
        width=6,
        height=4,
    )
    return [verdict, last, outage, certificate]


def _verdicts() -> Panels:
    verdicts = panel(
        statetimeline.Panel().mappings(VERDICT_WORDS),
        "Verdicts",
        "The verdict of each run.",
        Query(verdict_number(_CHOSEN), "verdict"),
        width=24,
        height=4,
    )
    named = panel(
        statetimeline.Panel().mappings(values({"1": ("named", RED)})),
        "Divergent hop",
        "The hop that is wrong, with the reason and the node; the hop 'segment' stands for a stretch of the path.",
        Query(_of("datapath_probe_divergent_hop"), "{{hop}}: {{reason}} {{node}}"),
        width=24,
        height=5,
    )
    hops = panel(
        statushistory.Panel().mappings(HOP_WORDS),
        "Hops",
        "The hops of the path; nothing is shown for a hop that is Unknown or not on the path.",
        Query(_of("datapath_probe_hop_success"), "{{hop}}"),
        width=24,
        height=14,
    )
    return [verdicts, named, hops]


def _requests() -> Panels:
    durations = panel(
        timeseries.Panel().override_by_name("limit", fixed(RED)),
        "Duration of requests",
        "Quantiles of the requests, and the limit if the probe has one (expect.maxLatency).",
        *quantiles("datapath_probe_request_duration_seconds", (50, 90, 99), _CHOSEN),
        Query(_of("datapath_probe_latency_limit_seconds"), "limit"),
        unit="s",
    )
    phases = panel(
        timeseries.Panel(),
        "Phases of the last request",
        "Time from the start until the name was resolved, the connection made, TLS agreed, the first byte received.",
        Query(_of("datapath_probe_request_phase_seconds"), "{{phase}}"),
        unit="s",
    )
    return [durations, phases]


def _counts() -> Panels:
    paths = panel(
        timeseries.Panel(),
        "Paths",
        "How many paths of the probe have which verdict.",
        Query(_of("datapath_probe_paths"), "{{verdict}}"),
        width=8,
    )
    pressure = panel(
        timeseries.Panel().min(0).max(1).thresholds(steps(GREEN, (0.8, YELLOW), (0.9, RED))),
        "Map pressure",
        "How full the maps are that the path uses; above 90 % the probe is Degraded.",
        Query(_of("datapath_probe_map_pressure_ratio"), "{{map}}"),
        unit="percentunit",
        width=8,
    )
    rate = "[$__rate_interval]"
    changes = panel(
        timeseries.Panel(),
        "Outages and path changes",
        "Outages that began, changes of the path, and runs that were due while the one before still ran.",
        Query(f"increase({_of('datapath_probe_outages_total')}{rate})", "outages"),
        Query(f"increase({_of('datapath_probe_path_changes_total')}{rate})", "path changes"),
        Query(f"increase({_of('datapath_probe_runs_skipped_total')}{rate})", "skipped runs"),
        width=8,
    )
    return [by_verdict(paths), pressure, changes]
