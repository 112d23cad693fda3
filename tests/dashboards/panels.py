"""Panels with a title, a sentence that explains them, and queries; and what all dashboards share.

Verdicts and hops have the same colors everywhere: green for Healthy or Ok, yellow for Degraded, red for Broken, gray
for Unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    statushistory,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DynamicConfigValue,
    Threshold,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
    VariableOption,
    VariableRefresh,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

GREEN, YELLOW, RED, GRAY = "green", "yellow", "red", "#808080"
COLORS = {"Healthy": GREEN, "Degraded": YELLOW, "Broken": RED, "Unknown": GRAY}
NUMBERS = {verdict: str(number) for number, verdict in enumerate(COLORS, start=1)}
"""Verdicts as the values of a series."""
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG = "datapath-probe"
ALL = VariableOption(text="All", value="$__all")

Panels = list[Builder[models.Panel]]
"""Panels of any kind, in their order."""

Panel = TypeVar(
    "Panel",
    bargauge.Panel,
    stat.Panel,
    statetimeline.Panel,
    statushistory.Panel,
    table.Panel,
    timeseries.Panel,
)


@dataclass(frozen=True, slots=True)
class Query:
    """An expression of PromQL. `legend`: a template of labels. `now`: only the newest value of each series."""

    expression: str
    legend: str = ""
    now: bool = False


def panel(
    kind: Panel,
    title: str,
    explanation: str,
    *queries: Query,
    unit: str = "short",
    width: int = 12,
    height: int = 8,
) -> Panel:
    """A panel of this kind. `width`: of 24."""
    kind.title(title).description(explanation).datasource(SOURCE).unit(unit).span(width).height(height)
    for ref, query in zip(ascii_uppercase, queries, strict=False):
        kind.with_target(_target(ref, query, in_table=isinstance(kind, table.Panel)))
    return kind


def _target(ref: str, query: Query, *, in_table: bool) -> prometheus.Dataquery:
    target = prometheus.Dataquery().ref_id(ref).expr(query.expression).datasource(SOURCE)
    if query.legend:
        target.legend_format(query.legend)
    if in_table:
        target.format(PromQueryFormat.TABLE)
    return target.instant() if query.now or in_table else target.range()


def values(texts: dict[str, tuple[str, str]]) -> list[ValueMapping]:
    """Show numbers as words: text and color by number."""
    results = {
        number: ValueMappingResult(text=text, color=color, index=index)
        for index, (number, (text, color)) in enumerate(texts.items())
    }
    return [ValueMap(options=results)]


VERDICT_WORDS = values({NUMBERS[verdict]: (verdict, color) for verdict, color in COLORS.items()})
HOP_WORDS = values({"0": ("wrong", RED), "1": ("Ok", GREEN)})


def steps(first: str, *others: tuple[float, str]) -> dashboard.ThresholdsConfig:
    """Colors from a value on."""
    found = [Threshold(value=None, color=first), *(Threshold(value=at, color=color) for at, color in others)]
    return dashboard.ThresholdsConfig().steps(found)


def fixed(color: str) -> list[DynamicConfigValue]:
    """An override of a color."""
    return [DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": color})]


def by_verdict(kind: Panel) -> Panel:
    """Color series whose names are verdicts."""
    for verdict, color in COLORS.items():
        kind.override_by_name(verdict, fixed(color))
    return kind


def new(
    name: str, explanation: str, panels: Panels, variables: Sequence[dashboard.QueryVariable] = ()
) -> dashboard.Dashboard:
    """A dashboard of these panels with links to the others."""
    others = dashboard.DashboardLink("Datapath Probe").type(DashboardLinkType.DASHBOARDS).tags([TAG])
    made = (
        dashboard.Dashboard(f"Datapath Probe / {name.capitalize()}")
        .uid(f"{TAG}-{name}")
        .description(explanation)
        .tags([TAG])
        .time("now-6h", "now")
        .refresh("30s")
        .link(others.as_dropdown(True).include_vars(True).keep_time(True))
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
    for one in variables:
        made.with_variable(one)
    for each in panels:
        made.with_panel(each)
    return made


def variable(name: str, label: str, query: str, *, several: bool = True) -> dashboard.QueryVariable:
    """A choice of the values of a label. `several`: any number of them, all at first."""
    made = dashboard.QueryVariable(name).label(label).datasource(SOURCE).query(query)
    made.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    return made.multi(True).include_all(True).current(ALL) if several else made


NAMESPACES = variable("namespace", "Namespace", "label_values(datapath_probe_info, namespace)")
