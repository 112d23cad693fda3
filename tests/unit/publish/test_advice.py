"""The reason catalog is complete, and docs/errors.md is generated from it."""

from pathlib import Path

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.publish.advice import Advice, catalog, next_step
from datapath_probe.publish.events.events import (
    PATH_CHANGED,
    PROBE_RECOVERED,
    WARNINGS,
    Headline,
    event_for,
)
from datapath_probe.publish.report.error_page import error_page
from datapath_probe.publish.status.status import findings
from unit.publish.samples import diverging, record

PAGE = Path(__file__).parents[3] / "docs/errors.md"
ENTRIES: dict[Reason, Advice] = {
    reason: advice for family in catalog().values() for reason, advice in family.items()
}


def test_every_reason_has_exactly_one_entry() -> None:
    assert sorted(reason for family in catalog().values() for reason in family) == sorted(Reason)


def test_every_kind_of_missing_evidence_is_a_reason() -> None:
    assert {str(error) for error in EvidenceError} <= {str(reason) for reason in Reason}


@pytest.mark.parametrize("reason", Reason)
def test_an_entry_follows_the_style_rules(reason: Reason) -> None:
    advice = ENTRIES[reason]
    assert advice.cause.endswith(".")
    assert advice.evidence.endswith(".")
    step = advice.next
    assert next_step(reason) == f"{step[0].upper()}{step[1:]}."
    assert not step.endswith(".")
    assert step[0].islower()
    assert len(step) <= 160


def test_the_page_matches_the_catalog() -> None:
    assert PAGE.read_text() == error_page(), "run make docs-errors"


def test_the_page_lists_the_reasons_of_events() -> None:
    event = event_for(Headline.of(ProbeStatus()), findings(record(diverging()).result))
    assert event is not None
    assert event.reason in WARNINGS.values()
    for reason in (*WARNINGS.values(), PROBE_RECOVERED, PATH_CHANGED):
        assert f"`{reason}`" in error_page()
