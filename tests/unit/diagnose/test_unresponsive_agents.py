"""Agents that do not answer: it is unknown how far packets got, so the segment contains every hop."""

from dataclasses import replace

from datapath_probe.api.vocabulary import HOP_ORDER, HopName
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Unavailable
from datapath_probe.evidence.store import Evidence
from unit.recorded import recorded

SILENT = Unavailable(EvidenceError.AGENT_NOT_RESPONDING, "the shell did not answer within 10 s")


def silenced(run: PathRun) -> PathRun:
    readings = {fact: tuple(SILENT for _ in answers) for fact, answers in run.evidence}
    return replace(run, evidence=Evidence(readings))


def test_a_request_without_any_trace_has_the_whole_path_as_its_segment() -> None:
    segment = diagnose(silenced(recorded("overlay-dropped-on-the-wire"))).segment
    assert segment is not None
    assert HOP_ORDER[segment.after] < HOP_ORDER[HopName.SOURCE_INTERFACE]
    assert HOP_ORDER[segment.before] > HOP_ORDER[HopName.REPLY_DECAPSULATION]
