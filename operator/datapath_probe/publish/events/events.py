"""Which Events a new status causes: one when the verdict, the hop or the reason changes, one when the path changes.
Pure.

In: a status, and what is kept of the one before. Out: an `Event` or None. Called by `event_rate_limit`.
"""

from dataclasses import dataclass
from typing import Self

from ...api.status.probe_status import ProbeStatus
from ...api.vocabulary import ProbeVerdict
from ..interfaces import Event

ACTION = "Probe"
PROBE_RECOVERED = "ProbeRecovered"
PATH_CHANGED = "PathChanged"
WARNINGS = {
    ProbeVerdict.BROKEN: "ProbeBroken",
    ProbeVerdict.DEGRADED: "ProbeDegraded",
    ProbeVerdict.UNKNOWN: "ProbeUnknown",
}
"""The reason of an Event by the verdict that it reports."""


@dataclass(frozen=True, slots=True)
class Headline:
    """The part of a status that a verdict Event is about. No Event is sent while it stays the same.

    `hop`, `segment`: the names in the status. `failed`: the expectation was not met, although the verdict is Unknown.
    """

    verdict: ProbeVerdict | None
    reason: str | None
    hop: tuple[str, str] | None
    segment: tuple[str, str, str | None] | None
    failed: bool

    @classmethod
    def of(cls, status: ProbeStatus) -> Self:
        """The headline of a status."""
        hop, segment = status.divergent_hop, status.segment
        return cls(
            verdict=status.verdict,
            reason=status.reason,
            hop=(hop.name, hop.node) if hop else None,
            segment=(segment.after, segment.before, segment.node) if segment else None,
            failed=status.verdict is ProbeVerdict.UNKNOWN and status.counters.consecutive_failures > 0,
        )


def event_for(previous: Headline, current: ProbeStatus) -> Event | None:
    """The Event that reports the change; None if there is none, or if the first verdict is Healthy."""
    if current.verdict is None or previous == Headline.of(current):
        return None
    if current.verdict is not ProbeVerdict.HEALTHY:
        note = " Next: ".join(filter(None, (current.summary, current.next)))
        return Event("Warning", WARNINGS[current.verdict], ACTION, note)
    if previous.verdict is None:
        return None
    note = f"was {previous.verdict} ({previous.reason}); {current.summary}"
    return Event("Normal", PROBE_RECOVERED, ACTION, note)


def change_event(previous: ProbeStatus, current: ProbeStatus) -> Event | None:
    """The Event that reports a path change, or None if there is none. Its key is the number of the change: if the
    operator dies before the status is written, it detects the change again and sends the same Event.
    """
    profile = current.path_profile
    number = _change_count(current)
    if profile is None or profile.last_change is None or number == _change_count(previous):
        return None
    note = f"{profile.last_change} ({current.source} → {current.destination})"
    return Event("Normal", PATH_CHANGED, ACTION, note, key=f"{PATH_CHANGED}/{number}")


def _change_count(status: ProbeStatus) -> int:
    return status.path_profile.change_count if status.path_profile else 0
