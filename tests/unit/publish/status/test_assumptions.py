"""Only what a verdict relies on without evidence is an assumption."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName, HopVerdict, ProbeVerdict
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.diagnose.finding.finding import Finding
from datapath_probe.publish.status.assumptions import assumptions
from unit.publish.samples import diverging, finding, healthy, lost, unknown
from unit.recorded import names, recorded


def blind(hop: HopName, *, beyond: bool = False) -> Finding:
    made = finding(hop, "node2", HopVerdict.UNKNOWN, Reason.EVIDENCE_TIMEOUT)
    return replace(made, unfollowed_beyond=beyond)


def with_blind(diagnosis: Diagnosis, *blinds: Finding) -> Diagnosis:
    """The diagnosis with these findings at their hops."""
    by_hop = {found.hop: found for found in blinds}
    return replace(diagnosis, findings=tuple(by_hop.get(f.hop, f) for f in diagnosis.findings))


def hops(diagnosis: Diagnosis) -> Sequence[str]:
    return [assumption.hop for assumption in assumptions(diagnosis)]


@pytest.mark.parametrize("verdict", [ProbeVerdict.BROKEN, ProbeVerdict.DEGRADED])
def test_unchecked_hops_before_the_divergent_one_are_assumptions(verdict: ProbeVerdict) -> None:
    unchecked = (blind(HopName.SOURCE_INTERFACE), blind(HopName.ENDPOINT_LOOKUP))
    [assumption] = assumptions(with_blind(diverging(verdict), *unchecked))
    assert assumption.hop == "source-interface"
    assert assumption.message == (
        "assumed to be as intended, because it could not be checked: EvidenceTimeout: source-interface says so"
    )


def test_a_proxy_after_the_divergent_hop_is_an_assumption() -> None:
    [assumption] = assumptions(with_blind(diverging(), blind(HopName.DESTINATION_RESPONSE, beyond=True)))
    assert assumption.hop == "destination-response"
    assert assumption.message.startswith("packets are not followed beyond this hop")


@pytest.mark.parametrize("diagnosis", [unknown(), unknown(met=True), lost()])
def test_a_verdict_without_a_hop_has_no_assumptions(diagnosis: Diagnosis) -> None:
    assert hops(with_blind(diagnosis, blind(HopName.IPAM))) == []


def test_checked_hops_are_no_assumptions() -> None:
    assert hops(healthy()) == hops(diverging()) == []


def test_each_assumption_of_a_recorded_run_is_a_hop_that_is_unknown() -> None:
    for name in names():
        diagnosis = diagnose(recorded(name))
        blind_hops = [f.hop for f in diagnosis.findings if f.verdict is HopVerdict.UNKNOWN]
        assumed = hops(diagnosis)
        assert set(assumed) <= set(blind_hops), name
        assert not assumed or diagnosis.divergence, name
