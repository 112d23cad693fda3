"""What a probe that flaps tells, and that in the end people know how it stands."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from datapath_probe.api.path_profile import PathProfile
from datapath_probe.api.status import ProbeStatus
from datapath_probe.api.vocabulary import LoadBalancing
from datapath_probe.diagnose.finding.diagnosis import Diagnosis
from datapath_probe.publish.events.event_rate_limit import BURST, EARNED_IN_S, EventLimiter
from datapath_probe.publish.interfaces import Event
from datapath_probe.publish.status.status import findings
from datapath_probe.runs.run_result import RunResult
from unit.publish.samples import NOW, diverging, healthy


def found(outcome: Diagnosis) -> ProbeStatus:
    return findings(RunResult(NOW, NOW, (outcome,)))


GOOD, BAD = found(healthy()), found(diverging())


@dataclass
class Told:
    """A probe whose statuses come one a second, and what was told of it."""

    now: float = NOW
    status: ProbeStatus = GOOD
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.news = EventLimiter(self.status, self.now)

    def see(self, statuses: Iterable[ProbeStatus]) -> None:
        for current in statuses:
            self.now += 1
            for event in (
                self.news.for_verdict(self.status, current, self.now),
                self.news.for_path_change(self.status, current, self.now),
            ):
                if event:
                    self.events.append(event)
            self.status = current


def test_few_changes_are_all_told_as_they_are() -> None:
    told = Told()
    told.see([BAD, BAD, GOOD, GOOD])
    assert [event.reason for event in told.events] == ["ProbeBroken", "ProbeRecovered"]
    assert "reported" not in "".join(event.note for event in told.events)


def test_a_probe_that_flaps_is_told_so_often_at_once_and_then_once_a_minute() -> None:
    told = Told()
    told.see([BAD, GOOD] * 300)
    assert BURST + 600 / EARNED_IN_S - 1 <= len(told.events) <= BURST + 600 / EARNED_IN_S + 1


def test_the_next_event_says_how_many_changes_were_not_told() -> None:
    told = Told()
    told.see([BAD, GOOD] * (BURST // 2))
    assert len(told.events) == BURST
    told.see([BAD, GOOD])
    told.now += EARNED_IN_S
    told.see([BAD])
    assert len(told.events) == BURST + 1
    assert told.events[-1].note.startswith("2 earlier changes were not reported; Broken at ipcache-lookup")


def test_how_a_probe_stands_is_told_once_it_can_be_though_nothing_changes_any_more() -> None:
    told = Told()
    told.see([BAD, GOOD] * (BURST // 2))
    told.see([BAD, GOOD, BAD, BAD])
    told.now += EARNED_IN_S
    told.see([BAD, BAD])
    assert len(told.events) == BURST + 1
    assert told.events[-1].reason == "ProbeBroken"
    assert told.events[-1].note.startswith("2 earlier changes were not reported; ")


def with_changed_way(number: int) -> ProbeStatus:
    profile = PathProfile(
        last_change_time=datetime.fromtimestamp(NOW, UTC),
        last_change=f"attach change {number}",
        change_count=number,
        destination="default/deathstar:80",
        routing="vxlan",
        load_balancing=LoadBalancing.PER_PACKET,
    )
    return ProbeStatus(**{**dict(GOOD), "path_profile": profile})


def test_ways_that_change_all_the_time_count_too() -> None:
    told = Told()
    told.see(map(with_changed_way, range(1, 40)))
    assert {event.reason for event in told.events} == {"PathChanged"}
    assert len(told.events) == BURST
    told.see([BAD])
    told.now += EARNED_IN_S
    told.see([BAD])
    assert told.events[-1].note.startswith("29 earlier changes were not reported; ")


def test_a_probe_that_is_healthy_from_the_first_run_on_counts_as_reported() -> None:
    told = Told(status=ProbeStatus())
    told.see([GOOD, GOOD, BAD, GOOD])
    assert [event.reason for event in told.events] == ["ProbeBroken", "ProbeRecovered"]
    assert "earlier" not in "".join(event.note for event in told.events)
