"""Answers that could not be parsed are reported, fact by fact."""

from collections import Counter
from dataclasses import replace

import pytest

from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.evidence_reader import EvidenceReader
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer, Reading, Unavailable
from datapath_probe.evidence.store import Evidence
from unit.recorded import names, recorded

FACT = Fact(FactKind.UPTIME, "node1")
GARBLED = Answer(0, b"{]", b"", 0.0, 0.0)


def _no_parser(reading: Reading) -> Unavailable:
    return reading if isinstance(reading, Unavailable) else Unavailable(EvidenceError.UNPARSABLE, "garbage")


def test_each_reader_reports_unread_answers_even_if_they_were_parsed_before() -> None:
    for _ in range(2):
        reader = EvidenceReader(Evidence().adding([FACT], [GARBLED]))
        reader.read(FACT, _no_parser)
        reader.series(FACT, _no_parser)
        assert reader.unread == {FACT: EvidenceError.UNPARSABLE}


def test_an_answer_that_never_arrived_is_not_unread() -> None:
    reader = EvidenceReader(Evidence().adding([FACT], [Unavailable(EvidenceError.TIMEOUT, "too slow")]))
    reader.read(FACT, _no_parser)
    assert reader.unread == {}


@pytest.mark.parametrize("name", [name for name in names() if "healthy" in name])
def test_all_answers_of_a_healthy_run_can_be_parsed(name: str) -> None:
    assert diagnose(recorded(name)).unread == ()


def test_a_diagnosis_names_tools_whose_output_has_changed() -> None:
    run = recorded("healthy-cross-node")
    garbled = {
        fact: tuple(replace(a, stdout=b"{]") if isinstance(a, Answer) else a for a in readings)
        for fact, readings in run.evidence
    }
    unread = Counter(diagnose(replace(run, evidence=Evidence(garbled))).unread)
    assert unread["bpftool", EvidenceError.UNPARSABLE] > 5


def test_a_report_that_curl_did_not_write_is_unread() -> None:
    run = recorded("healthy-cross-node")
    request = replace(run.request, reading=replace(GARBLED, stderr=b"curl: an old one"))
    assert ("curl", EvidenceError.UNPARSABLE) in diagnose(replace(run, request=request)).unread
