"""An Event when there is news, and none when there is not."""

from datapath_probe.api.status import ProbeStatus
from datapath_probe.api.vocabulary import HopName, ProbeVerdict
from datapath_probe.diagnose.findings import Diagnosis
from datapath_probe.plan.plan import CannotRun
from datapath_probe.publish.events import event_for
from datapath_probe.publish.run_result import RunResult
from datapath_probe.publish.status import findings
from unit.publish.samples import CANNOT_RUN, NOW, diverging, healthy, lost


def found(outcome: Diagnosis | CannotRun) -> ProbeStatus:
    return findings(RunResult(NOW, NOW, outcome))


def test_the_first_verdict_is_news() -> None:
    event = event_for(ProbeStatus(), found(healthy()))
    assert event is not None
    assert (event.type, event.reason) == ("Normal", "Healthy")
    assert "6/6 hops ok" in event.note


def test_the_same_verdict_again_is_none() -> None:
    for outcome in (healthy(), diverging(), lost(), CANNOT_RUN):
        assert event_for(found(outcome), found(outcome)) is None


def test_another_hop_reason_or_verdict_is_news() -> None:
    before = found(diverging())
    for outcome in (diverging(hop=HopName.IPAM), diverging(ProbeVerdict.DEGRADED), lost(), CANNOT_RUN):
        event = event_for(before, found(outcome))
        assert event is not None
        assert event.type == "Warning"
        assert "Next: " in event.note


def test_recovery_says_from_what() -> None:
    event = event_for(found(diverging()), found(healthy()))
    assert event is not None
    assert event.note.startswith("was Broken (WrongTunnelEndpoint); default/xwing@node2 → ")


def test_a_probe_that_has_not_run_is_no_news() -> None:
    assert event_for(ProbeStatus(), ProbeStatus()) is None
