"""Three sources of truth about one policy: what policies mean (the agent), what the program will do (the policy map),
and what became of this connection. Compared by one table. Called by `policy`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...plan.plan import PodFacts
from ...sources.maps.policymap import PolicyEntry, TrafficDirection
from ..context import CheckContext
from ..datapath.resolved_policy import Intent, facts
from ..failure_model.effect import Defect
from ..finding.finding import Finding
from ..finding.hop_check import Contradiction, HopCheck
from .expected_denial import denied_by, denies, let_through

# Of pods whose L7 traffic people want to see, whatever policies say.
_PROXIED_BY_ANNOTATION = ("1.16.", "1.17.")


@dataclass(frozen=True, slots=True)
class Gate:
    """One endpoint's policy in one direction, and who wants to pass: the `identity` at the other end.

    `passed`: a packet of this connection came further.
    """

    owner: PodFacts
    identity: int | Unavailable
    direction: TrafficDirection
    passed: bool

    @property
    def name(self) -> str:
        """ "ingress policy of default/deathstar"."""
        return f"{self.direction.name.lower()} policy of {self.owner.pod.namespace}/{self.owner.pod.name}"


class Meant(Enum):
    """What policies mean, as the agent has resolved them."""

    ALLOW = "allow"
    DENY = "deny"
    UNKNOWN = "unknown"


class Programmed(Enum):
    """What the policy map says. `ON_CONDITION`: it lets pass only through a proxy or with authentication, which no
    policy asks for.
    """

    ALLOW = "allow"
    ON_CONDITION = "allow on a condition"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class _Condition:
    """What the map asks of packets and no policy does, in words, and what that does to them."""

    text: str
    defect: Defect


@dataclass(frozen=True, slots=True)
class Comparison:
    """One gate's policies, and the entry that decides in its map; `lookups`: the facts that led to it; `who`: wants
    to pass, in words.
    """

    context: CheckContext
    hop: HopCheck
    gate: Gate
    intent: Intent | Unavailable
    entry: PolicyEntry | Absent
    lookups: tuple[Fact, ...]
    who: str

    def finding(self) -> Finding:
        """What was observed goes first: a connection that was established, though it should be denied. Then the table
        tells.
        """
        missed = let_through(self.context, self.gate.direction, self.intent, self._says)
        if isinstance(missed, Unavailable):
            return self.hop.unknown(missed)
        if missed:
            return self.hop.broken(Reason.POLICY_NOT_ENFORCED, missed, certain=denies(self.intent))
        return _TABLE[self._meant, self._programmed](self)

    @property
    def _meant(self) -> Meant:
        if isinstance(self.intent, Unavailable):
            return Meant.UNKNOWN
        return Meant.ALLOW if self.intent.decision.allowed else Meant.DENY

    @property
    def _programmed(self) -> Programmed:
        if not isinstance(self.entry, PolicyEntry) or self.entry.deny:
            return Programmed.DENY
        return Programmed.ON_CONDITION if self._condition else Programmed.ALLOW

    @property
    def _says(self) -> str:
        return f"{decision_of(self.entry)} for {self.who}"

    @property
    def _condition(self) -> _Condition | None:
        """That they have authenticated, or that an L7 proxy decides."""
        entry, intent = self.entry, self.intent
        if isinstance(intent, Unavailable) or isinstance(entry, Absent):
            return None
        if entry.auth_type and not intent.decision.authenticated:
            return _Condition(", if authenticated", Defect.DENIED)
        layout = self.context.layout(self.hop.expected.node)
        by_annotation = isinstance(layout, Unavailable) or layout.version.startswith(_PROXIED_BY_ANNOTATION)
        if entry.proxy_port and not intent.decision.proxied and not by_annotation:
            return _Condition(f", if the L7 proxy (port {entry.proxy_port}) does", Defect.PROXIED)
        return None

    def passes(self) -> Finding:
        """The map allows, and policies do, or are not known. What a proxy or an authentication decides is not
        followed.
        """
        hop, entry, intent, name = self.hop, self.entry, self.intent, self.gate.name
        assert isinstance(entry, PolicyEntry)  # the table has this where the map allows
        if self.context.outcome.denied_at is hop.expected.name:
            message = f"{self.who} was denied, though map and policy of the endpoint let it pass"
            return hop.broken(Reason.POLICY_DENIED, message)
        if entry.proxy_port:
            port = entry.proxy_port
            return hop.not_followed(
                f"the {name} hands {self.who} to the L7 proxy (port {port}), which is not followed"
            )
        if entry.auth_type and not self.gate.passed:
            return hop.not_followed(
                f"the {name} lets {self.who} pass only authenticated, which is not followed"
            )
        if isinstance(intent, Unavailable):
            return hop.unknown(intent, ask_again=self._asked_of_agent())
        if not intent.enforced and entry.prefix_bits and not self.context.run.second_look:
            why = "the map has an entry for this port: policy may be enforced since a moment"
            return hop.unknown(Unavailable(Reason.UNCONFIRMED, why), ask_again=intent.rests_on)
        return hop.ok(f"{self.who} passes")

    def differs(self) -> Finding:
        """The map does not hold what the agent has resolved. The map must say so twice; what the agent says is asked
        for again with it, and may be asked for the first time then.
        """
        intent, says, defects = self.intent, self._says, tuple[Defect, ...]()
        assert isinstance(intent, Intent)  # the table has this where policies are known
        if self._programmed is Programmed.DENY:
            defects = (Defect.DENIED,)
        elif intent.decision.allowed and (condition := self._condition):
            says, defects = f"{says}{condition.text}", (condition.defect,)
        message = f"the map of the {self.gate.name} says {says}, but the agent's policy is: {intent.in_words}"
        rests_on = self.lookups if self.context.run.second_look else (*self.lookups, *intent.rests_on)
        return self.hop.stale(Contradiction(Reason.POLICY_MAP_MISMATCH, message, defects, rests_on))

    def denied(self) -> Finding:
        """The map denies, and policies do, or are not known."""
        hop, intent = self.hop, self.intent
        if isinstance(intent, Intent) and intent.audited:
            return hop.ok(f"{self.who} passes in spite of {intent.in_words}")
        if self.context.plan.expect.denied:
            return hop.ok(f"{self.who}: {denied_by(self.context, hop.expected, intent)}, as expected")
        if self.gate.passed:  # an entry proves that the program let a packet pass, whatever the map says now
            return hop.ok(f"{self.who} passes")
        said = intent.in_words if isinstance(intent, Intent) else decision_of(self.entry)
        message = f"the {self.gate.name} on {hop.expected.node} does not let {self.who} pass: {said}"
        return hop.stale(Contradiction(Reason.POLICY_DENIED, message, (Defect.DENIED,), self.lookups))

    def _asked_of_agent(self) -> tuple[Fact, ...]:
        """What the agent has said of the owner's policy. While policies change, its answers do not fit each other; one
        of them may be too old.
        """
        owner = self.gate.owner
        if owner.endpoint is None:
            return ()
        asked = facts(owner.endpoint, owner.node.name)
        return tuple(fact for fact in asked if self.context.reader.reads(fact))


_TABLE: Mapping[tuple[Meant, Programmed], Callable[[Comparison], Finding]] = {
    (Meant.ALLOW, Programmed.ALLOW): Comparison.passes,
    (Meant.ALLOW, Programmed.ON_CONDITION): Comparison.differs,
    (Meant.ALLOW, Programmed.DENY): Comparison.differs,
    (Meant.DENY, Programmed.ALLOW): Comparison.differs,
    (Meant.DENY, Programmed.ON_CONDITION): Comparison.differs,
    (Meant.DENY, Programmed.DENY): Comparison.denied,
    (Meant.UNKNOWN, Programmed.ALLOW): Comparison.passes,
    (Meant.UNKNOWN, Programmed.ON_CONDITION): Comparison.passes,
    (Meant.UNKNOWN, Programmed.DENY): Comparison.denied,
}


def decision_of(entry: PolicyEntry | Absent) -> str:
    """What the entry decides, in words."""
    if isinstance(entry, Absent):
        return "default deny"
    return "deny" if entry.deny else "allow"
