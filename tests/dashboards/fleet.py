"""All probes: how many are Healthy, and which are not, where and why."""

from grafana_foundation_sdk.builders import bargauge, dashboard, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.common import StackingConfig
from grafana_foundation_sdk.models.common import StackingMode
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig

from dashboards.panels import (
    COLORS,
    GREEN,
    NAMESPACES,
    RED,
    VERDICT_WORDS,
    Panels,
    Query,
    by_verdict,
    new,
    panel,
    steps,
    values,
)
from dashboards.queries import OUTAGE, quantiles, verdict_number

_CHOSEN = 'namespace=~"$namespace"'
_VERDICTS = f"sum by (verdict) (datapath_probe_verdict{{{_CHOSEN}}})"
_BAD = f'(datapath_probe_verdict{{{_CHOSEN},verdict!="Healthy"}} == 1)'
_WITH_HOP = f"datapath_probe_divergent_hop{{{_CHOSEN}}} * on (namespace, probe) group_left (verdict) {_BAD}"
_EVER_BAD = f'min_over_time(datapath_probe_verdict{{{_CHOSEN},verdict="Healthy"}}[$__range] @ end()) == 0'
_COLUMNS = ("verdict", "namespace", "probe", "hop", "reason", "node")
_PROBE = "/d/datapath-probe-probe?var-namespace=${__data.fields.namespace}&var-probe=${__data.fields.probe}"


def build() -> dashboard.Dashboard:
    """The dashboard."""
    explanation = "Which paths are broken, where, and since when."
    return new("fleet", explanation, [*_now(), *_over_time()], [NAMESPACES])


def _now() -> Panels:
    verdicts = panel(
        stat.Panel(),
        "Probes",
        "How many probes have which verdict, by their last runs.",
        Query(_VERDICTS, "{{verdict}}", now=True),
        height=5,
    )
    outages = panel(
        stat.Panel().thresholds(steps(GREEN, (1, RED))),
        "Outages",
        "How many probes have had no run that met the expectation since a failed one.",
        Query(f"count({OUTAGE}{{{_CHOSEN}}}) or vector(0)", now=True),
        width=6,
        height=5,
    )
    longest = panel(
        stat.Panel().no_value("none").thresholds(steps(RED)),
        "Longest outage",
        "Time since the first failed run of the outage that has lasted longest.",
        Query(f"time() - min({OUTAGE}{{{_CHOSEN}}})", now=True),
        unit="s",
        width=6,
        height=5,
    )
    return [by_verdict(verdicts), outages, longest, _table(), _by_hop()]


def _table() -> table.Panel:
    listed = f"{_WITH_HOP} or {_BAD} unless on (namespace, probe) datapath_probe_divergent_hop{{{_CHOSEN}}}"
    order = {"indexByName": {name: place for place, name in enumerate(_COLUMNS)}}
    kept = DataTransformerConfig(id_val="filterFieldsByName", options={"include": {"names": list(_COLUMNS)}})
    made = panel(
        table.Panel(),
        "Not Healthy",
        "Every probe that is not Healthy, with the hop that is wrong; the link opens its dashboard.",
        Query(listed),
        width=16,
        height=9,
    )
    words = {verdict: (verdict, color) for verdict, color in COLORS.items()}
    made.mappings(values(words)).with_transformation(kept)
    made.with_transformation(DataTransformerConfig(id_val="organize", options=order))
    return made.data_links([dashboard.DashboardLink("Open the probe").url(_PROBE)])


def _by_hop() -> bargauge.Panel:
    return panel(
        bargauge.Panel().thresholds(steps(RED)),
        "Where",
        "How many probes name this hop on this node.",
        Query(
            f"count by (node, hop, reason) (datapath_probe_divergent_hop{{{_CHOSEN}}})",
            "{{node}} {{hop}}: {{reason}}",
            now=True,
        ),
        width=8,
        height=9,
    )


def _over_time() -> Panels:
    timeline = panel(
        statetimeline.Panel().mappings(VERDICT_WORDS).per_page(20),
        "Probes that were not always Healthy",
        "The verdict of each probe that had another one than Healthy in the selected time.",
        Query(
            f"{verdict_number(_CHOSEN)} and on (namespace, probe) ({_EVER_BAD})", "{{namespace}}/{{probe}}"
        ),
        width=24,
        height=9,
    )
    stacked = StackingConfig().mode(StackingMode.NORMAL)
    verdicts = panel(
        timeseries.Panel().stacking(stacked).fill_opacity(60),
        "Verdicts",
        "How many probes have which verdict.",
        Query(_VERDICTS, "{{verdict}}"),
    )
    met = panel(
        timeseries.Panel().min(0).max(1),
        "Expectations met",
        "Share of the probes of each namespace whose last run met the expectation; Unknown ones do not count.",
        Query(f"avg by (namespace) (datapath_probe_success{{{_CHOSEN}}})", "{{namespace}}"),
        unit="percentunit",
    )
    latency = panel(
        timeseries.Panel(),
        "Duration of requests",
        "Half, and 99 of 100, of all requests were faster.",
        *quantiles("datapath_probe_request_duration_seconds", labels=_CHOSEN),
        unit="s",
    )
    changes = panel(
        timeseries.Panel(),
        "Path changes",
        "Changes of routing, attachment, placement or backends, by namespace.",
        Query(
            f"sum by (namespace) (increase(datapath_probe_path_changes_total{{{_CHOSEN}}}[$__rate_interval]))",
            "{{namespace}}",
        ),
    )
    return [timeline, by_verdict(verdicts), met, latency, changes]
