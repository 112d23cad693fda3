"""An Event when something changes, and none otherwise."""

import pytest

from datapath_probe.api.status.probe_status import Counters, ProbeStatus
from datapath_probe.api.vocabulary import HopName, ProbeVerdict
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.plan.plan import CannotRun
from datapath_probe.publish.events.events import Headline, event_for
from datapath_probe.publish.status.status import findings
from datapath_probe.runs.run_result import RunResult
from unit.publish.samples import CANNOT_RUN, NOW, diverging, healthy, lost, unjudged


def found(outcome: Diagnosis | CannotRun) -> ProbeStatus:
    return findings(RunResult(NOW, NOW, (outcome,)))


def test_a_first_verdict_is_reported_unless_it_is_healthy() -> None:
    assert event_for(Headline.of(ProbeStatus()), found(healthy())) is None
    event = event_for(Headline.of(ProbeStatus()), found(diverging()))
    assert event is not None
    assert (event.type, event.reason, event.action) == ("Warning", "ProbeBroken", "Probe")


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (diverging(), "ProbeBroken"),
        (lost(), "ProbeBroken"),
        (diverging(ProbeVerdict.DEGRADED), "ProbeDegraded"),
        (unjudged(met=True), "ProbeUnknown"),
        (CANNOT_RUN, "ProbeUnknown"),
    ],
)
def test_the_reason_describes_the_change(outcome: Diagnosis | CannotRun, reason: str) -> None:
    event = event_for(Headline.of(found(healthy())), found(outcome))
    assert event is not None
    assert (event.type, event.reason) == ("Warning", reason)
    event = event_for(Headline.of(found(outcome)), found(healthy()))
    assert event is not None
    assert (event.type, event.reason) == ("Normal", "ProbeRecovered")


def test_an_unchanged_verdict_is_not_reported() -> None:
    for outcome in (healthy(), diverging(), lost(), CANNOT_RUN):
        assert event_for(Headline.of(found(outcome)), found(outcome)) is None


def test_another_hop_reason_or_verdict_is_reported() -> None:
    before = found(diverging())
    for outcome in (diverging(hop=HopName.IPAM), diverging(ProbeVerdict.DEGRADED), lost(), CANNOT_RUN):
        event = event_for(Headline.of(before), found(outcome))
        assert event is not None
        assert event.type == "Warning"
        assert f" Next: {found(outcome).next}" in event.note


def test_another_outcome_is_reported_if_the_path_can_not_be_judged() -> None:
    good, bad = found(unjudged(met=True)), found(unjudged(met=False))
    bad = ProbeStatus(**{**dict(bad), "counters": Counters(runs=1, failures=1, consecutive_failures=1)})
    for before, after in ((good, bad), (bad, good)):
        event = event_for(Headline.of(before), after)
        assert event is not None
        assert (event.type, event.reason) == ("Warning", "ProbeUnknown")
    assert event_for(Headline.of(bad), bad) is None


def test_a_recovery_reports_the_previous_verdict() -> None:
    event = event_for(Headline.of(found(diverging())), found(healthy()))
    assert event is not None
    assert event.note.startswith("was Broken (WrongTunnelEndpoint); default/xwing@node2 → ")


def test_a_probe_that_has_not_run_is_not_reported() -> None:
    assert event_for(Headline.of(ProbeStatus()), ProbeStatus()) is None
