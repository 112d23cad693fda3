"""How a check builds its finding: statements of the three witnesses, and one verdict.

A check returns exactly one of `ok`, `stale`, `broken`, `unknown`. `stale` counts only when the contradiction was read
twice: agents re-create maps and objects lag behind, so one reading is not enough.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ...api.reasons import Reason
from ...api.vocabulary import HopVerdict, Stance, Witness
from ...evidence.fact import Fact
from ...evidence.reading import Unavailable
from ...plan.path import ExpectedHop
from ..failure_model.effect import Defect
from .evidence_reader import EvidenceReader
from .finding import Finding, Statement

Facts = Mapping[str, object]
WITNESSES = tuple(Witness)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """The datapath differs from intent.

    `defects`: what is wrong with the hop; none if no packet of this path is affected. `rests_on`: the facts whose
    answers show the contradiction. `node`: its node, if not the node of the hop.
    """

    reason: Reason
    message: str
    defects: tuple[Defect, ...] = ()
    rests_on: tuple[Fact, ...] = ()
    node: str = ""


@dataclass(frozen=True, slots=True)
class ConfirmationPolicy:
    """How often a contradiction must be read before it counts. With one reading, as in a snapshot, findings count and
    are marked as unconfirmed.
    """

    reads_needed: int = 2

    @property
    def takes_second_look(self) -> bool:
        """Whether a run reads doubtful facts a second time."""
        return self.reads_needed > 1


LIVE = ConfirmationPolicy()
SNAPSHOT = ConfirmationPolicy(reads_needed=1)


@dataclass(slots=True)
class HopCheck:
    """One hop during its check: its object, and the statements of the witnesses so far."""

    expected: ExpectedHop
    object: str
    reader: EvidenceReader
    second_look: bool
    confirmation: ConfirmationPolicy = LIVE
    statements: dict[Witness, Statement] = field(default_factory=dict)
    map_lookups: tuple[Fact, ...] = ()

    def rests_on_maps(self, *lookups: Fact) -> None:
        """The finding rests on the pinned maps of these lookups: it counts only if programs use the same maps."""
        self.map_lookups = lookups

    def intent(self, summary: str, facts: Facts | None = None, stance: Stance = Stance.AGREES) -> None:
        """What should be true."""
        self._state(Witness.INTENT, stance, summary, facts)

    def programmed(self, summary: str, facts: Facts | None = None, stance: Stance = Stance.AGREES) -> None:
        """What the datapath is programmed to do."""
        self._state(Witness.PROGRAMMED, stance, summary, facts)

    def observed(self, summary: str, facts: Facts | None = None, stance: Stance = Stance.AGREES) -> None:
        """What happened to the packets of this run."""
        self._state(Witness.OBSERVED, stance, summary, facts)

    def _state(self, witness: Witness, stance: Stance, summary: str, facts: Facts | None) -> None:
        """A second statement of a witness adds to its facts."""
        added = {key: _text(fact) for key, fact in facts.items()} if facts else {}
        if known := self.statements.get(witness):
            added = {**known.facts, **added}
        self.statements[witness] = Statement(stance, summary, added)

    def ok(self, message: str) -> Finding:
        """The datapath agrees with intent, and nothing observed contradicts it."""
        return self._finding(HopVerdict.OK, Reason.OK, message)

    def unknown(self, why: Unavailable, ask_again: tuple[Fact, ...] = ()) -> Finding:
        """Evidence that this hop needs is missing. `ask_again`: facts whose answers may have been out of date."""
        return self._finding(
            HopVerdict.UNKNOWN,
            Reason(why.reason),
            why.message,
            confirm=frozenset(ask_again),
            needs_second_look=bool(ask_again) and self._may_look_again,
        )

    def not_followed(self, why: str) -> Finding:
        """No check follows the packets beyond this hop: what comes after it can't be judged."""
        unknown = self.unknown(Unavailable(Reason.UNSUPPORTED_CONFIGURATION, why))
        return replace(unknown, unfollowed_beyond=True)

    def broken(self, reason: Reason, message: str, *, certain: bool = False) -> Finding:
        """This connection was observed to fail here, or to pass although policy denies it. `certain`: this hop is the
        cause, whatever else is wrong.
        """
        self._contradict(Witness.OBSERVED)
        return replace(self._finding(HopVerdict.BROKEN, reason, message), certain=certain)

    def stale(self, contradiction: Contradiction) -> Finding:
        """The datapath contradicts intent. Unknown (`Unconfirmed`) until it was read often enough."""
        self._contradict(Witness.PROGRAMMED if contradiction.rests_on else Witness.INTENT)
        finding = self._finding(
            HopVerdict.STALE,
            contradiction.reason,
            contradiction.message,
            node=contradiction.node,
            defects=contradiction.defects,
        )
        if self._is_confirmed(contradiction):
            return replace(finding, unconfirmed=not self.confirmation.takes_second_look)
        return replace(
            finding,
            verdict=HopVerdict.UNKNOWN,
            reason=Reason.UNCONFIRMED,
            message=f"seen only once: {contradiction.message}",
            confirm=frozenset(contradiction.rests_on),
            needs_second_look=self._may_look_again,
        )

    def fault(self, fault: Contradiction | Unavailable) -> Finding:
        """Stale for a contradiction, Unknown for missing evidence."""
        return self.stale(fault) if isinstance(fault, Contradiction) else self.unknown(fault)

    def _is_confirmed(self, contradiction: Contradiction) -> bool:
        needed = self.confirmation.reads_needed
        looked = self.second_look or not self.confirmation.takes_second_look
        return looked and all(self.reader.reads(fact) >= needed for fact in contradiction.rests_on)

    @property
    def _may_look_again(self) -> bool:
        return self.confirmation.takes_second_look and not self.second_look

    def _contradict(self, witness: Witness) -> None:
        statement = self.statements.get(witness)
        if statement:
            self.statements[witness] = Statement(Stance.CONTRADICTS, statement.summary, statement.facts)

    def _finding(
        self,
        verdict: HopVerdict,
        reason: Reason,
        message: str,
        node: str = "",
        defects: tuple[Defect, ...] = (),
        confirm: frozenset[Fact] = frozenset(),
        needs_second_look: bool = False,
    ) -> Finding:
        return Finding(
            hop=self.expected.name,
            node=node or self.expected.node,
            object=self.object,
            verdict=verdict,
            reason=reason,
            message=message,
            evidence={
                witness: self.statements[witness] for witness in WITNESSES if witness in self.statements
            },
            defects=defects,
            confirm=confirm,
            needs_second_look=needs_second_look,
            map_lookups=self.map_lookups,
        )


def _text(fact: object) -> str:
    """A fact as JSON writes it."""
    return str(fact).lower() if isinstance(fact, bool) else str(fact)
