"""Which Events a probe that flaps sends, and that the last one describes its current state."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from datapath_probe.api.status.path_profile import PathProfile
from datapath_probe.api.status.probe_status import ProbeStatus
from datapath_probe.api.vocabulary import LoadBalancing
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.publish.events.event_rate_limit import BURST, EARNED_IN_S, EventLimiter
from datapath_probe.publish.events.events import Headline
from datapath_probe.publish.interfaces import Event
from datapath_probe.publish.status.status import findings
from datapath_probe.runs.run_result import RunResult
from unit.publish.samples import NOW, diverging, healthy


def found(outcome: Diagnosis) -> ProbeStatus:
    return findings(RunResult(NOW, NOW, (outcome,)))


GOOD, BAD = found(healthy()), found(diverging())


@dataclass
class Reported:
    """A probe with one status per second, and the Events about it."""

    now: float = NOW
    status: ProbeStatus = GOOD
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limiter = EventLimiter(Headline.of(self.status), self.now)

    def see(self, statuses: Iterable[ProbeStatus]) -> None:
        for current in statuses:
            self.now += 1
            for event in (
                self.limiter.for_verdict(self.status, current, self.now),
                self.limiter.for_path_change(self.status, current, self.now),
            ):
                if event:
                    self.events.append(event)
            self.status = current


def test_a_few_changes_are_all_reported() -> None:
    probe = Reported()
    probe.see([BAD, BAD, GOOD, GOOD])
    assert [event.reason for event in probe.events] == ["ProbeBroken", "ProbeRecovered"]
    assert "reported" not in "".join(event.note for event in probe.events)


def test_a_flapping_probe_sends_a_burst_of_events_and_then_one_per_minute() -> None:
    probe = Reported()
    probe.see([BAD, GOOD] * 300)
    assert BURST + 600 / EARNED_IN_S - 1 <= len(probe.events) <= BURST + 600 / EARNED_IN_S + 1


def test_the_next_event_counts_the_changes_that_were_not_reported() -> None:
    probe = Reported()
    probe.see([BAD, GOOD] * (BURST // 2))
    assert len(probe.events) == BURST
    probe.see([BAD, GOOD])
    probe.now += EARNED_IN_S
    probe.see([BAD])
    assert len(probe.events) == BURST + 1
    assert probe.events[-1].note.startswith("2 earlier changes were not reported; Broken at ipcache-lookup")


def test_a_suppressed_verdict_is_reported_later_although_nothing_changes_any_more() -> None:
    probe = Reported()
    probe.see([BAD, GOOD] * (BURST // 2))
    probe.see([BAD, GOOD, BAD, BAD])
    probe.now += EARNED_IN_S
    probe.see([BAD, BAD])
    assert len(probe.events) == BURST + 1
    assert probe.events[-1].reason == "ProbeBroken"
    assert probe.events[-1].note.startswith("2 earlier changes were not reported; ")


def with_changed_path(number: int) -> ProbeStatus:
    profile = PathProfile(
        last_change_time=datetime.fromtimestamp(NOW, UTC),
        last_change=f"attach change {number}",
        change_count=number,
        destination="default/deathstar:80",
        routing="vxlan",
        load_balancing=LoadBalancing.PER_PACKET,
    )
    return ProbeStatus(**{**dict(GOOD), "path_profile": profile})


def test_frequent_path_changes_are_limited_too() -> None:
    probe = Reported()
    probe.see(map(with_changed_path, range(1, 40)))
    assert {event.reason for event in probe.events} == {"PathChanged"}
    assert len(probe.events) == BURST
    probe.see([BAD])
    probe.now += EARNED_IN_S
    probe.see([BAD])
    assert probe.events[-1].note.startswith("29 earlier changes were not reported; ")


def test_a_first_verdict_healthy_counts_as_reported() -> None:
    probe = Reported(status=ProbeStatus())
    probe.see([GOOD, GOOD, BAD, GOOD])
    assert [event.reason for event in probe.events] == ["ProbeBroken", "ProbeRecovered"]
    assert "earlier" not in "".join(event.note for event in probe.events)
