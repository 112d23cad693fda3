"""The conntrack entry of a Service: what it says is looked up, so it must be possible."""

import json
from dataclasses import replace

from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.evidence.fact_kinds import FactKind
from datapath_probe.evidence.reading import Answer
from datapath_probe.evidence.store import Evidence
from unit.recorded import recorded

_ID_END = 15  # of 8 octets from 8 on; an ID has 4


def test_an_impossible_backend_is_missing_evidence_and_no_internal_error() -> None:
    run = recorded("healthy-service-same-node")
    readings = dict(run.evidence.readings)
    fact = next(
        f for f in readings if f.kind is FactKind.CONNTRACK_ENTRY and ("entry", "service") in f.parameters
    )
    [answer] = readings[fact]
    assert isinstance(answer, Answer)
    entry = json.loads(answer.stdout)
    entry["value"][_ID_END] = "0x01"
    readings[fact] = (replace(answer, stdout=json.dumps(entry).encode()),)
    diagnosis = diagnose(replace(run, evidence=Evidence(readings)))
    assert diagnosis.verdict is ProbeVerdict.UNKNOWN
    assert "InternalError" not in {diagnosis.reason, *(finding.reason for finding in diagnosis.findings)}
    translation = next(f for f in diagnosis.findings if f.hop is HopName.SERVICE_TRANSLATION)
    assert (translation.verdict, translation.reason) == (HopVerdict.UNKNOWN, "NotObserved")
