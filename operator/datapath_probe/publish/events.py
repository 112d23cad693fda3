"""Which Event a new status is worth: one when verdict, hop or reason change, none for every run. Pure."""

from ..api.status import ProbeStatus
from ..api.vocabulary import ProbeVerdict
from .ports import Event

ACTION = "Probe"


def headline(status: ProbeStatus) -> tuple[object, ...]:
    """What people act upon; while it stays the same there is no news."""
    hop = status.divergent_hop
    return status.verdict, status.reason, status.segment, (hop.name, hop.node) if hop else None


def event_for(previous: ProbeStatus, current: ProbeStatus) -> Event | None:
    """The Event that tells of the change, or None if there is none. Its reason is the verdict."""
    if current.verdict is None or headline(previous) == headline(current):
        return None
    note = current.summary or ""
    if current.verdict is ProbeVerdict.HEALTHY:
        recovered = f"was {previous.verdict} ({previous.reason}); " if previous.reason else ""
        return Event("Normal", current.verdict, ACTION, recovered + note)
    return Event("Warning", current.verdict, ACTION, note)
