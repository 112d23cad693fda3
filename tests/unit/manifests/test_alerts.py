"""Alerting rules, their tests, their page and the example for Alertmanager belong together."""

import re
from collections.abc import Iterator

import pytest
import yaml

from datapath_probe.api.vocabulary import Severity
from kustomize import MANIFESTS, Object
from unit.publish.metrics.scrapes import after
from unit.publish.samples import diverging, healthy

FOLDER = MANIFESTS / "monitoring"
PAGE = (MANIFESTS.parent / "docs/alerts.md").read_text()
GROUPS = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["spec"]["groups"]
RULES: list[Object] = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = [rule["alert"] for rule in RULES]
ALERTMANAGER = yaml.safe_load((FOLDER / "alertmanager.yaml").read_text())
REGEX_MATCHER = re.compile(r'alertname(=~?)"(.+)"')


def test_every_alert_has_its_section_and_every_section_its_alert() -> None:
    assert re.findall(r"^## (Datapath\w+)$", PAGE, re.MULTILINE) == ALERTS
    assert re.findall(r"^\| \[(\w+)\]", PAGE, re.MULTILINE) == ALERTS


@pytest.mark.parametrize("rule", RULES, ids=ALERTS)
def test_a_section_says_what_an_alert_means_what_to_do_and_how_to_silence_it(rule: Object) -> None:
    section = PAGE.split(f"\n## {rule['alert']}\n")[1].split("\n## ")[0]
    assert re.findall(r"^\*\*(.+?)\*\*:", section, re.MULTILINE) == ["Means", "Do", "Silence"]


@pytest.mark.parametrize("rule", RULES, ids=ALERTS)
def test_an_alert_says_how_severe_it_is_what_it_means_and_where_to_read_on(rule: Object) -> None:
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"].endswith(f"/docs/alerts.md#{rule['alert'].lower()}")
    severity = re.fullmatch(r'\{\{ or \$labels.severity "(\w+)" \}\}|(\w+)', rule["labels"]["severity"])
    assert severity is not None
    assert {group for group in severity.groups() if group} <= set(Severity)


def test_rules_use_metrics_that_exist() -> None:
    described = re.findall(
        r"^# TYPE (\w+)", after([healthy(), diverging()]).scrape()[0].decode(), re.MULTILINE
    )
    for rule in RULES:
        for name in re.findall(r"\bdatapath_probe_\w+", f"{rule['expr']} {rule['annotations']}"):
            assert name in described, rule["alert"]


def test_every_alert_is_expected_to_fire_once_at_least() -> None:
    tests = yaml.safe_load((FOLDER / "alerts-test.yaml").read_text())["tests"]
    cases = [case for test in tests for case in test.get("alert_rule_test", ())]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == set(ALERTS)


def _matchers() -> Iterator[str]:
    for route in ALERTMANAGER["route"]["routes"]:
        yield from route["matchers"]
    for rule in ALERTMANAGER["inhibit_rules"]:
        yield from (*rule["source_matchers"], *rule["target_matchers"])


def test_routes_and_inhibitions_match_alerts_that_exist() -> None:
    found = [match.groups() for matcher in _matchers() if (match := REGEX_MATCHER.fullmatch(matcher))]
    assert len(found) > 10
    for operator, value in found:
        one_of = value.split("|") if operator == "=~" and "(" not in value else [value]
        for pattern in one_of:
            known = [alert for alert in ALERTS if re.fullmatch(pattern, alert)]
            assert known or pattern.startswith("Kube"), pattern


def test_no_alert_inhibits_itself() -> None:
    for rule in ALERTMANAGER["inhibit_rules"]:
        sources, targets = (
            {
                alert
                for alert in ALERTS
                for matcher in rule[side]
                if (match := REGEX_MATCHER.fullmatch(matcher)) and re.fullmatch(match[2], alert)
            }
            for side in ("source_matchers", "target_matchers")
        )
        assert not sources & targets
