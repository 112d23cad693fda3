"""What a check says of its hop: a finding; and the names of places on a path."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...api.reasons import Reason
from ...api.vocabulary import HopName, HopVerdict, Stance, Witness
from ...evidence.fact import Fact
from ..failure_model.effect import Defect, Effect
from ..failure_model.model import effects_of, stages_of
from ..failure_model.stage import Stage


@dataclass(frozen=True, slots=True)
class Statement:
    """What one witness says about one hop; `facts` are short strings under documented keys."""

    stance: Stance
    summary: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """One hop's verdict.

    `defects`: what is wrong with it, as far as packets can tell; none if it harms no packet of this path.
    `needs_second_look`: a contradiction seen once; it counts when the facts of `confirm` have been asked again and
    the objects have not changed meanwhile. `unconfirmed`: it counts, although it was seen once. `unfollowed_beyond`: no
    check follows the packets from here on. `inconclusive`: packets can have been lost here although all that was
    compared is right. `certain`: what was observed here is the hop's own failure, by what is wrong with it.
    `of_sender`: what was observed happened to packets that this hop sent, wherever on their path. `cause`: what this
    failure comes of, at another hop. `map_lookups`: one in each map that it rests on.
    """

    hop: HopName
    node: str
    object: str
    verdict: HopVerdict
    reason: Reason
    message: str
    evidence: Mapping[Witness, Statement]
    defects: tuple[Defect, ...] = ()
    confirm: frozenset[Fact] = frozenset()
    map_lookups: tuple[Fact, ...] = ()
    needs_second_look: bool = False
    unconfirmed: bool = False
    unfollowed_beyond: bool = False
    inconclusive: bool = False
    certain: bool = False
    of_sender: bool = False
    cause: "Finding | None" = None

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What its defects do to packets."""
        return effects_of(self.hop, self.defects)

    @property
    def predicts(self) -> frozenset[Stage]:
        """The stages where packets that meet its defects may leave their last trace."""
        return stages_of(self.hop, self.defects)


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
