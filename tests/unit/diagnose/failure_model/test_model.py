"""The failure model: every hop has its defects, and its queries follow from one table."""

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict
from datapath_probe.diagnose.connection.progress import Progress, segment_between
from datapath_probe.diagnose.failure_model.effect import Defect
from datapath_probe.diagnose.failure_model.model import HOPS_BY_STAGE, possible_causes_of, stages_of
from datapath_probe.diagnose.failure_model.stage import Stage
from datapath_probe.diagnose.failure_model.table import MODEL
from datapath_probe.diagnose.finding.finding import Finding
from unit.diagnose.verdict.inputs import given_by_recorded
from unit.recorded import names

HOP_ORDER = {hop: order for order, hop in enumerate(HopName)}


def test_every_hop_and_every_defect_is_in_the_model() -> None:
    assert list(MODEL) == list(HopName)
    assert {defect for effects in MODEL.values() for defect in effects} == set(Defect)


@pytest.mark.parametrize("hop", HopName)
def test_packets_that_meet_a_defect_leave_their_last_trace_somewhere(hop: HopName) -> None:
    for defect in MODEL[hop]:
        assert stages_of(hop, (defect,))


@pytest.mark.parametrize("name", names())
def test_checks_name_only_defects_that_their_hop_can_have(name: str) -> None:
    for finding in given_by_recorded(name).findings:
        assert {*finding.defects} <= MODEL[finding.hop].keys()


@pytest.mark.parametrize("stage", list(Stage))
def test_a_segment_contains_every_possible_hop(stage: Stage) -> None:
    findings = [Finding(hop, "", "", HopVerdict.UNKNOWN, Reason.NOT_OBSERVED, "", {}) for hop in HopName]
    segment = segment_between(findings, Progress(stage, stage))
    inside = [hop for hop in HopName if HOP_ORDER[segment.after] < HOP_ORDER[hop] < HOP_ORDER[segment.before]]
    assert HOPS_BY_STAGE[stage] <= {*inside, HopName.REPLY_TRANSLATION}


def test_hops_that_divert_packets_can_cause_a_refused_connection() -> None:
    causes = possible_causes_of(Reason.CONNECTION_REFUSED)
    assert {HopName.ENDPOINT_LOOKUP, HopName.NODE_ROUTING, HopName.DESTINATION_INTERFACE} <= causes
    assert HopName.DESTINATION_RESPONSE not in causes


def test_without_load_balancing_packets_that_do_not_leave_stop_at_nothing() -> None:
    nothing = Progress(Stage.NOTHING, Stage.NOTHING, translates=False)
    denied = stages_of(HopName.EGRESS_POLICY, (Defect.DENIED,))
    assert nothing.fits(denied)
    assert not Progress(Stage.NOTHING, Stage.NOTHING, translates=True).fits(denied)
