"""Which Events a new status is worth: one when verdict, hop or reason change, one when the way does, none for every
run. Pure.
"""

from ...api.status import ProbeStatus
from ...api.vocabulary import ProbeVerdict
from ..interfaces import Event

ACTION = "Probe"
PATH_CHANGED = "PathChanged"


def headline(status: ProbeStatus) -> tuple[object, ...]:
    """What people act upon; while it stays the same there is no news."""
    hop = status.divergent_hop
    failed = status.verdict is ProbeVerdict.UNKNOWN and status.counters.consecutive_failures > 0
    return status.verdict, status.reason, status.segment, (hop.name, hop.node) if hop else None, failed


def event_for(previous: ProbeStatus, current: ProbeStatus) -> Event | None:
    """The Event that tells of the change, or None if there is none. Its reason is the verdict."""
    if current.verdict is None or headline(previous) == headline(current):
        return None
    note = current.summary or ""
    if current.verdict is ProbeVerdict.HEALTHY:
        recovered = f"was {previous.verdict} ({previous.reason}); " if previous.reason else ""
        return Event("Normal", current.verdict, ACTION, recovered + note)
    return Event("Warning", current.verdict, ACTION, note)


def change_event(previous: ProbeStatus, current: ProbeStatus) -> Event | None:
    """The Event that tells of a new way that packets take, or None if it is the same. The number of the change is
    its key: an operator that dies before its status is written finds the change anew, and tells nobody twice.
    """
    number, way = current.counters.path_changes, current.way
    if number == previous.counters.path_changes or way is None or way.change is None:
        return None
    note = f"{way.change} ({current.source} → {current.destination})"
    return Event("Normal", PATH_CHANGED, ACTION, note, key=f"{PATH_CHANGED}/{number}")
