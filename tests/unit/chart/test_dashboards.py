"""The Grafana dashboards of the chart: complete panels, and queries of metrics that the operator exports."""

import re

import pytest

from dashboards.__main__ import DASHBOARDS, FOLDER, files
from dashboards.expressions import document, targets
from generated import write_or_check
from unit.publish.metrics.scrapes import after
from unit.publish.samples import diverging, healthy

ALWAYS = {"datasource", "__rate_interval", "__range"}
EXPORTED = {
    line.split()[2]
    for line in after([healthy(), diverging()]).scrape()[0].decode().splitlines()
    if "# TYPE" in line
}


def test_the_files_are_those_that_the_code_makes() -> None:
    assert write_or_check("dashboards", files(), "--check") == 0
    assert {file.stem for file in FOLDER.iterdir()} == set(DASHBOARDS)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_panel_is_complete(name: str) -> None:
    panels = document(name)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["targets"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
    places = [panel["gridPos"] for panel in panels]
    assert all(place["x"] + place["w"] <= 24 for place in places)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_queries_use_exported_metrics_and_defined_variables(name: str) -> None:
    defined = {variable["name"] for variable in document(name)["templating"]["list"]}
    for title, expression in targets(name):
        metrics = set(re.findall(r"\b(?:datapath_probe|process)_\w+", expression))
        assert metrics, title
        assert {re.sub("_bucket$", "", metric) for metric in metrics} <= EXPORTED, title
        assert set(re.findall(r"\$(\w+)", expression)) <= defined | ALWAYS, title


def test_dashboards_have_different_ids_and_link_to_each_other() -> None:
    documents = [document(name) for name in DASHBOARDS]
    assert len({one["uid"] for one in documents}) == len(documents)
    assert all(one["links"][0]["tags"] == one["tags"] for one in documents)
    [listed] = [panel for panel in document("fleet")["panels"] if panel["type"] == "table"]
    [link] = listed["fieldConfig"]["defaults"]["links"]
    assert f"/d/{document('probe')['uid']}?" in link["url"]
