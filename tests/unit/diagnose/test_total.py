"""`diagnose` is total: an exception affects the hop whose check raised it, and if it is not in a check, one path."""

from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose import context_builder, engine
from datapath_probe.diagnose.checks.registry import REGISTRY
from datapath_probe.diagnose.context import CheckContext
from datapath_probe.diagnose.engine import diagnose, facts_of
from datapath_probe.diagnose.finding.finding import Finding
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Answer, Unavailable
from datapath_probe.plan.path import ExpectedHop
from datapath_probe.sources.parsing import parser
from unit.recorded import recorded

NAME = "healthy-cross-node"


def _raises(context: CheckContext, expected: ExpectedHop) -> Finding:
    raise KeyError("Authorization: s3cret")


@pytest.fixture
def broken_check(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = {**REGISTRY.checks, HopName.IPCACHE_LOOKUP: _raises}
    monkeypatch.setattr(context_builder, "REGISTRY", replace(REGISTRY, checks=checks))


@pytest.mark.usefixtures("broken_check")
def test_an_exception_of_a_check_makes_its_hop_unknown_and_no_other() -> None:
    diagnosis = diagnose(recorded(NAME))
    verdicts = {finding.hop: finding.verdict for finding in diagnosis.findings}
    assert verdicts.pop(HopName.IPCACHE_LOOKUP) is HopVerdict.UNKNOWN
    assert set(verdicts.values()) == {HopVerdict.OK}
    (finding,) = (finding for finding in diagnosis.findings if finding.hop is HopName.IPCACHE_LOOKUP)
    assert finding.reason is Reason.INTERNAL_ERROR
    assert finding.message.startswith(
        "the check of this hop failed: KeyError in diagnose/test_total.py, line "
    )


@pytest.mark.usefixtures("broken_check")
def test_the_outcome_of_the_request_is_kept() -> None:
    diagnosis = diagnose(recorded(NAME))
    assert diagnosis.met is True
    assert diagnosis.verdict is not ProbeVerdict.BROKEN
    assert diagnosis.report is not None


@pytest.mark.usefixtures("broken_check")
def test_the_checks_of_other_hops_still_ask_for_their_facts() -> None:
    run = recorded(NAME)
    asked = facts_of(replace(run, evidence=type(run.evidence)()))
    assert asked


def test_an_exception_elsewhere_makes_the_path_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def conclude(_: object) -> None:
        raise ValueError("s3cret")

    monkeypatch.setattr(engine, "conclude", conclude)
    diagnosis = diagnose(recorded(NAME))
    assert (diagnosis.verdict, diagnosis.reason) == (ProbeVerdict.UNKNOWN, Reason.INTERNAL_ERROR)
    assert "s3cret" not in diagnosis.message
    assert diagnosis.report is not None
    assert diagnosis.report.answered


def test_no_facts_are_asked_for_if_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def expected_path(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(context_builder, "expected_path", expected_path)
    assert facts_of(recorded(NAME)) == ()


def test_an_exception_of_a_parser_is_missing_evidence() -> None:
    @parser("anything")
    def parse(answer: Answer) -> int:
        raise IndexError("s3cret")

    parsed = parse(Answer(0, b"", b"", 3.0, 0.0))
    assert isinstance(parsed, Unavailable)
    assert (parsed.reason, parsed.at) == (EvidenceError.INTERNAL_ERROR, 3.0)
    assert "s3cret" not in parsed.message
