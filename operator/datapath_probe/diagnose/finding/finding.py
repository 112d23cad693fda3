"""The finding of a check about its hop, and references to places on a path."""

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
    """What one witness says about one hop. `facts`: short strings under documented keys."""

    stance: Stance
    summary: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one hop.

    `defects`: what is wrong with the hop; none if no packet of this path is affected. `needs_second_look`: a
    contradiction that was read once; it counts once the facts of `confirm` are read again and the objects did not
    change. `unconfirmed`: it counts although it was read only once. `unfollowed_beyond`: no check follows the packets
    beyond this hop. `inconclusive`: packets can be lost here although everything that was compared is correct.
    `certain`: the failure observed here is caused by this hop. `of_sender`: the failure happened to packets that this
    hop sent, anywhere on their path. `cause`: the finding of another hop that causes this failure. `map_lookups`: one
    lookup in each map that the finding rests on. `assumes`: what it takes for granted, as a sentence.
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
    assumes: str = ""
    cause: "Finding | None" = None

    @property
    def effects(self) -> tuple[Effect, ...]:
        """The effects of its defects on packets."""
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
    """Where packets were lost if no single hop can be named: after one hop, before another."""

    after: HopName
    before: HopName
    node: str
