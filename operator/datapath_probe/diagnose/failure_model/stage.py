"""How far packets got, according to their traces."""

from enum import IntEnum


class Stage(IntEnum):
    """The last trace of this run's packets, usually a conntrack entry; each stage implies the ones before it.

    If the source's program selects no backend, there is no `TRANSLATED`: such packets stop at `NOTHING`.
    """

    NOTHING = 0  # no entry of this run on the source node
    TRANSLATED = 1  # SVC entry: a backend was selected
    SENT = 2  # OUT entry: the source's program forwarded the packet
    RECEIVED = 3  # IN entry on the destination's node
    ANSWERED = 4  # IN entry has replies
    REPLIED = 5  # OUT entry has replies: they reached the source's node
    CONNECTED = 6  # curl had a connection
    DELIVERED = 7  # curl got a response


def stages(first: Stage, last: Stage) -> frozenset[Stage]:
    """The stages from the first to the last, inclusive."""
    return frozenset(stage for stage in Stage if first <= stage <= last)


ANYWHERE = frozenset(Stage)
