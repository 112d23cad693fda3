"""How far packets came, as the traces that they leave tell."""

from enum import IntEnum


class Stage(IntEnum):
    """The last trace of this run's packets, mostly a conntrack entry; each stage implies the ones before it.

    Where the source's program chooses no backend there is no `TRANSLATED`: such packets stop at `NOTHING`.
    """

    NOTHING = 0  # no entry of this run on the source node
    TRANSLATED = 1  # SVC entry: a backend was chosen
    SENT = 2  # OUT entry: the source's program let the packet go
    RECEIVED = 3  # IN entry on the destination's node
    ANSWERED = 4  # IN entry has replies
    REPLIED = 5  # OUT entry has replies: they came back to the source's node
    CONNECTED = 6  # curl had a connection
    DELIVERED = 7  # curl got a response


def stages(first: Stage, last: Stage) -> frozenset[Stage]:
    """From one stage to another, both included."""
    return frozenset(stage for stage in Stage if first <= stage <= last)


ANYWHERE = frozenset(Stage)
