"""What a check says of its hop: a finding; and the names of places on a path."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from ...api.reasons import Reason
from ...api.vocabulary import HopName, HopVerdict, Stance, Witness
from ...evidence.question import Question


class Stage(IntEnum):
    """How far this run's packets came, as the conntrack entries tell; each rung implies the ones below."""

    NOTHING = 0  # no entry of this run on the source node
    TRANSLATED = 1  # SVC entry: a backend was chosen
    SENT = 2  # OUT entry: the source's program let the packet go
    RECEIVED = 3  # IN entry on the destination's node
    ANSWERED = 4  # IN entry has replies
    REPLIED = 5  # OUT entry has replies: they came back to the source's node
    CONNECTED = 6  # curl says that the connection stood
    DELIVERED = 7  # curl got a response


@dataclass(frozen=True, slots=True)
class Statement:
    """What one witness says about one hop; `facts` are short strings under documented keys."""

    stance: Stance
    summary: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """One hop's verdict.

    `predicts`: the last rungs that a run can reach if this Stale hop is what broke it (empty: it breaks nothing by
    itself), or could have reached if this hop had stopped it. `needs_second_look`: a contradiction seen once; it counts
    when the questions of `confirm` have been asked again and the objects have not changed meanwhile.
    `unfollowed_beyond`: no check follows the packets from here on. `inconclusive`: packets can have been lost here
    although all that was compared is right. `cause`: what this failure comes of, at another hop.
    """

    hop: HopName
    node: str
    object: str
    verdict: HopVerdict
    reason: Reason
    message: str
    evidence: Mapping[Witness, Statement]
    predicts: frozenset[Stage] = frozenset()
    confirm: frozenset[Question] = frozenset()
    needs_second_look: bool = False
    unfollowed_beyond: bool = False
    inconclusive: bool = False
    cause: "Finding | None" = None


@dataclass(frozen=True, slots=True)
class Divergence:
    """The hop to look at first."""

    hop: HopName
    node: str
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Segment:
    """Where packets were lost when no hop can be named: after one hop, before another."""

    after: HopName
    before: HopName
    node: str
