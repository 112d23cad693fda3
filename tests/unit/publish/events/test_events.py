"""An Event when there is news, and none when there is not."""

from datapath_probe.api.status import Counters, ProbeStatus
from datapath_probe.api.vocabulary import HopName, ProbeVerdict
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.plan.plan import CannotRun
from datapath_probe.publish.events.events import event_for
from datapath_probe.publish.status.status import findings
from datapath_probe.runs.run_result import RunResult
from unit.publish.samples import CANNOT_RUN, NOW, diverging, healthy, lost, unjudged


def found(outcome: Diagnosis | CannotRun) -> ProbeStatus:
    return findings(RunResult(NOW, NOW, (outcome,)))


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


def test_another_outcome_is_news_where_the_path_can_not_be_judged() -> None:
    good, bad = found(unjudged(met=True)), found(unjudged(met=False))
    bad = ProbeStatus(**{**dict(bad), "counters": Counters(runs=1, failures=1, consecutive_failures=1)})
    for before, after in ((good, bad), (bad, good)):
        event = event_for(before, after)
        assert event is not None
        assert (event.type, event.reason) == ("Warning", "Unknown")
    assert event_for(bad, bad) is None


def test_recovery_says_from_what() -> None:
    event = event_for(found(diverging()), found(healthy()))
    assert event is not None
    assert event.note.startswith("was Broken (WrongTunnelEndpoint); default/xwing@node2 → ")


def test_a_probe_that_has_not_run_is_no_news() -> None:
    assert event_for(ProbeStatus(), ProbeStatus()) is None
