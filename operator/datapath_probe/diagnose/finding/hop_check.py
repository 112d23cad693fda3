"""The words in which checks speak: statements of the three witnesses, and the five verdicts they can give.

A check returns exactly one of `ok`, `stale`, `broken`, `unknown`. `stale` holds back until the contradiction has
been read twice: maps are re-created and objects lag behind, and one look can't tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ...api.reasons import Reason
from ...api.vocabulary import HopVerdict, Stance, Witness
from ...evidence.question import Question
from ...evidence.reading import Unavailable
from ...plan.path import ExpectedHop
from .evidence_reader import EvidenceReader
from .finding import Finding, Stage, Statement

Facts = Mapping[str, object]

ANYWHERE = frozenset(Stage)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """The datapath differs from intent.

    `predicts`: the last rungs a run can reach because of it. `rests_on`: the questions whose answers show it. `node`:
    where it is, if not where the hop is.
    """

    reason: Reason
    message: str
    predicts: frozenset[Stage] = frozenset()
    rests_on: tuple[Question, ...] = ()
    node: str = ""


@dataclass(slots=True)
class Hop:
    """One hop while it is being judged: the place, and what the witnesses have said so far."""

    expected: ExpectedHop
    object: str
    reader: EvidenceReader
    second_look: bool
    statements: dict[Witness, Statement] = field(default_factory=dict)

    def intent(self, summary: str, facts: Facts | None = None, stance: Stance = Stance.AGREES) -> None:
        """What should be true."""
        self._state(Witness.INTENT, stance, summary, facts)

    def programmed(self, summary: str, facts: Facts | None = None, stance: Stance = Stance.AGREES) -> None:
        """What the datapath is programmed to do."""
        self._state(Witness.PROGRAMMED, stance, summary, facts)

    def observed(self, summary: str, facts: Facts | None = None, stance: Stance = Stance.AGREES) -> None:
        """What happened to this probe's packets."""
        self._state(Witness.OBSERVED, stance, summary, facts)

    def _state(self, witness: Witness, stance: Stance, summary: str, facts: Facts | None) -> None:
        """A witness that speaks again adds to its facts."""
        known = self.statements[witness].facts if witness in self.statements else {}
        said = {key: _text(fact) for key, fact in (facts or {}).items()}
        self.statements[witness] = Statement(stance, summary, {**known, **said})

    def ok(self, message: str) -> Finding:
        """Programmed agrees with intent, observed does not contradict."""
        return self._finding(HopVerdict.OK, Reason.OK, message)

    def unknown(self, why: Unavailable, ask_again: tuple[Question, ...] = ()) -> Finding:
        """Something that this hop needs could not be had; `ask_again`: an answer that may have been too old."""
        return self._finding(
            HopVerdict.UNKNOWN,
            Reason(why.reason),
            why.message,
            confirm=frozenset(ask_again),
            needs_second_look=bool(ask_again) and not self.second_look,
        )

    def not_followed(self, why: str) -> Finding:
        """No check follows the packets from this hop on: what comes after it can't be judged."""
        unknown = self.unknown(Unavailable(Reason.UNSUPPORTED_CONFIGURATION, why))
        return replace(unknown, unfollowed_beyond=True)

    def broken(self, reason: Reason, message: str, predicts: frozenset[Stage] = frozenset()) -> Finding:
        """This connection was observed to die here; or not to, though it should have: `predicts` says how far it would
        have come.
        """
        self._contradict(Witness.OBSERVED)
        return self._finding(HopVerdict.BROKEN, reason, message, predicts=predicts)

    def stale(self, contradiction: Contradiction) -> Finding:
        """The datapath contradicts intent."""
        self._contradict(Witness.PROGRAMMED if contradiction.rests_on else Witness.INTENT)
        if not self.second_look or any(
            self.reader.reads(question) < 2 for question in contradiction.rests_on
        ):
            return self._finding(
                HopVerdict.UNKNOWN,
                Reason.UNCONFIRMED,
                f"seen only once: {contradiction.message}",
                node=contradiction.node,
                predicts=contradiction.predicts,
                confirm=frozenset(contradiction.rests_on),
                needs_second_look=not self.second_look,
            )
        return self._finding(
            HopVerdict.STALE,
            contradiction.reason,
            contradiction.message,
            node=contradiction.node,
            predicts=contradiction.predicts,
        )

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
        predicts: frozenset[Stage] = frozenset(),
        confirm: frozenset[Question] = frozenset(),
        needs_second_look: bool = False,
    ) -> Finding:
        return Finding(
            hop=self.expected.name,
            node=node or self.expected.node,
            object=self.object,
            verdict=verdict,
            reason=reason,
            message=message,
            evidence={witness: self.statements[witness] for witness in Witness if witness in self.statements},
            predicts=predicts,
            confirm=confirm,
            needs_second_look=needs_second_look,
        )


def _text(fact: object) -> str:
    """A fact as people and JSON write it."""
    return str(fact).lower() if isinstance(fact, bool) else str(fact)
