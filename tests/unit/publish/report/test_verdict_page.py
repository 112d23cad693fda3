"""docs/verdict.md contains all rules and the whole failure model."""

from datapath_probe.diagnose.failure_model.table import MODEL
from datapath_probe.diagnose.verdict.rules import RULES
from datapath_probe.publish.report.verdict_page import verdict_page


def test_each_rule_is_listed_in_its_order() -> None:
    listed = [
        line.split("**")[1] for line in verdict_page().split("## Rules")[1].splitlines() if "**" in line
    ]
    assert listed == [rule.__name__ for rule in RULES]


def test_each_defect_has_its_row() -> None:
    rows = [line for line in verdict_page().splitlines() if line.startswith("| `")]
    assert len(rows) == sum(len(effects) for effects in MODEL.values())
    assert all(row.count("|") == 6 for row in rows)
