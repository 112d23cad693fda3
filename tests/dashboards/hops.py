"""All hops of all probes: what the broken paths have in common."""

from grafana_foundation_sdk.builders import bargauge, dashboard, statushistory, table, timeseries
from grafana_foundation_sdk.models.common import TableCellDisplayMode
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig

from dashboards.panels import (
    GREEN,
    HOP_WORDS,
    NAMESPACES,
    RED,
    YELLOW,
    Panels,
    Query,
    new,
    panel,
    steps,
    variable,
)

_CHOSEN = 'namespace=~"$namespace",hop=~"$hop"'
_SUCCESS = f"datapath_probe_hop_success{{{_CHOSEN}}}"


def build() -> dashboard.Dashboard:
    """The dashboard."""
    hops = variable("hop", "Hop", "label_values(datapath_probe_hop_success, hop)")
    explanation = "Which hops are wrong, on how many paths, and on which nodes."
    return new("hops", explanation, [_matrix(), _history(), *_summary()], [NAMESPACES, hops])


def _matrix() -> table.Panel:
    made = panel(
        table.Panel().display_mode(TableCellDisplayMode.COLOR_BACKGROUND).mappings(HOP_WORDS),
        "Probes and hops",
        "Each probe, and its hops by the last run: a column of red is one cause for many probes.",
        Query(f"min by (probe, hop) ({_SUCCESS})"),
        width=24,
        height=12,
    )
    matrix = {"rowField": "probe", "columnField": "hop", "valueField": "Value"}
    return made.with_transformation(DataTransformerConfig(id_val="groupingToMatrix", options=matrix))


def _history() -> statushistory.Panel:
    ever_wrong = f"min_over_time({_SUCCESS}[$__range] @ end()) == 0"
    return panel(
        statushistory.Panel().mappings(HOP_WORDS).per_page(30),
        "Hops that were wrong",
        "Every hop of a probe that was wrong at least once in the selected time.",
        Query(f"{_SUCCESS} and on (namespace, probe, hop) ({ever_wrong})", "{{namespace}}/{{probe}} {{hop}}"),
        width=24,
        height=10,
    )


def _summary() -> Panels:
    share = panel(
        bargauge.Panel().min(0).max(1).thresholds(steps(RED, (0.9, YELLOW), (1, GREEN))),
        "Ok by hop",
        "Share of the probes for which this hop is Ok.",
        Query(f"avg by (hop) ({_SUCCESS})", "{{hop}}", now=True),
        unit="percentunit",
        width=8,
        height=12,
    )
    failures = panel(
        timeseries.Panel(),
        "Failures",
        "How often a hop was wrong, by reason, for each second.",
        Query(
            f"sum by (hop, reason) (rate(datapath_probe_hop_failures_total{{{_CHOSEN}}}[$__rate_interval]))",
            "{{hop}}: {{reason}}",
        ),
        width=8,
        height=12,
    )
    nodes = panel(
        timeseries.Panel(),
        "Divergent hops by node",
        "How many probes name a hop on this node.",
        Query(f"sum by (node) (datapath_probe_divergent_hop{{{_CHOSEN}}})", "{{node}}"),
        width=8,
        height=12,
    )
    return [share, failures, nodes]
