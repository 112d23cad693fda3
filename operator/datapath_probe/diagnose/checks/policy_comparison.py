"""Compares three sources about one policy decision in one table: what policies intend (the agent), what the program
does (the policy map), and what happened to this connection. Called by `policy`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from ...api.reasons import Reason
from ...evidence.fact import Fact
from ...evidence.reading import Absent, Unavailable
from ...plan.plan import PodFacts
from ...sources.maps.policymap import PolicyEntry, TrafficDirection
from ..context import CheckContext
from ..datapath.proxy_routes import proxy_fault
from ..datapath.resolved_policy import Intent, policy_facts
from ..failure_model.effect import Defect
from ..finding.finding import Finding
from ..finding.hop_check import Contradiction, HopCheck
from .expected_denial import denied_by, denies, let_through

_OF_QUERIES = "UDP"  # the protocol of DNS; requests use TCP
# In these versions, an annotation can redirect a pod's traffic to the L7 proxy without a policy.
_PROXIED_BY_ANNOTATION = ("1.16.", "1.17.")


@dataclass(frozen=True, slots=True)
class Gate:
    """One endpoint's policy in one direction, and the `identity` at the other end.

    `passed`: a packet of this connection passed the policy.
    """

    owner: PodFacts
    identity: int | Unavailable
    direction: TrafficDirection
    passed: bool

    @property
    def name(self) -> str:
        """ "ingress policy of default/deathstar"."""
        return f"{self.direction.name.lower()} policy of {self.owner.pod.namespace}/{self.owner.pod.name}"


class Intended(Enum):
    """What policies intend, as the agent resolved them."""

    ALLOW = "allow"
    DENY = "deny"
    UNKNOWN = "unknown"


class Programmed(Enum):
    """What the policy map says. `ON_CONDITION`: it allows only through a proxy or with authentication, although no
    policy requires that.
    """

    ALLOW = "allow"
    ON_CONDITION = "allow on a condition"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class _Condition:
    """A condition of the map that no policy requires, as text, and its defect."""

    text: str
    defect: Defect


@dataclass(frozen=True, slots=True)
class Comparison:
    """One gate's policies, and the deciding entry of its map. `lookups`: the facts of the entry. `who`: the identity
    and port, as text.
    """

    context: CheckContext
    hop: HopCheck
    gate: Gate
    intent: Intent | Unavailable
    entry: PolicyEntry | Absent
    lookups: tuple[Fact, ...]
    who: str

    def finding(self) -> Finding:
        """The finding by the table, unless a connection was established that should be denied."""
        missed = let_through(self.context, self.gate.direction, self.intent, self._says)
        if isinstance(missed, Unavailable):
            return self.hop.unknown(missed)
        if missed:
            return self.hop.broken(Reason.POLICY_NOT_ENFORCED, missed, certain=denies(self.intent))
        return _TABLE[self._intended, self._programmed](self)

    @property
    def _intended(self) -> Intended:
        if isinstance(self.intent, Unavailable):
            return Intended.UNKNOWN
        return Intended.ALLOW if self.intent.decision.allowed else Intended.DENY

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
        """That packets are authenticated, or that an L7 proxy allows them."""
        entry, intent = self.entry, self.intent
        if isinstance(intent, Unavailable) or isinstance(entry, Absent):
            return None
        if entry.auth_type and not intent.decision.authenticated:
            return _Condition(", if authenticated", Defect.DENIED)
        layout = self.context.layout(self.hop.expected.node)
        by_annotation = isinstance(layout, Unavailable) or layout.version.startswith(_PROXIED_BY_ANNOTATION)
        if entry.proxy_port and not intent.decision.proxied and not by_annotation:
            return _Condition(f", if the L7 proxy (port {entry.proxy_port}) allows it", Defect.PROXIED)
        return None

    def passes(self) -> Finding:
        """The map allows, and policies do too or are unknown. Decisions of a proxy or of authentication are not
        followed.
        """
        hop, entry, intent, name = self.hop, self.entry, self.intent, self.gate.name
        assert isinstance(entry, PolicyEntry)  # the table calls this only if the map allows
        if self.context.outcome.denied_at is hop.expected.name:
            message = f"{self.who} was denied, although map and policy of the endpoint allow it"
            return hop.broken(Reason.POLICY_DENIED, message)
        if entry.proxy_port:
            return self._through_proxy(entry.proxy_port)
        if entry.auth_type and not self.gate.passed:
            return hop.not_followed(
                f"the {name} allows {self.who} only with authentication, which is not followed"
            )
        if isinstance(intent, Unavailable):
            return hop.unknown(intent, ask_again=self._asked_of_agent())
        if not intent.enforced and entry.prefix_bits and not self.context.run.second_look:
            why = "the map has an entry for this port: policy may have just been enforced"
            return hop.unknown(Unavailable(Reason.UNCONFIRMED, why), ask_again=intent.rests_on)
        return hop.ok(f"{self.who} passes")

    def _through_proxy(self, port: int) -> Finding:
        """The DNS proxy sends queries on with the pod's own address, so that the rest of their path can be judged. An
        L7 proxy makes a connection of its own.
        """
        hop, node = self.hop, self.hop.expected.node
        fault = proxy_fault(self.context, node, port)
        if fault:
            return hop.fault(fault)
        if self.context.protocol == _OF_QUERIES:
            passes = hop.ok(f"{self.who} passes through the DNS proxy (port {port})")
            return replace(passes, assumes=f"the DNS proxy of {node} allows this name and answers")
        return hop.not_followed(
            f"the {self.gate.name} redirects {self.who} to the L7 proxy (port {port}), which is not followed"
        )

    def differs(self) -> Finding:
        """The map differs from what the agent resolved. The map must differ twice. The agent's facts are read again
        with it, possibly for the first time.
        """
        intent, says, defects = self.intent, self._says, tuple[Defect, ...]()
        assert isinstance(intent, Intent)  # the table calls this only if policies are known
        if self._programmed is Programmed.DENY and self._may_ignore_port_name(intent):
            return self.denied()
        if self._programmed is Programmed.DENY:
            defects = (Defect.DENIED,)
        elif intent.decision.allowed and (condition := self._condition):
            says, defects = f"{says}{condition.text}", (condition.defect,)
        message = f"the map of the {self.gate.name} says {says}, but the agent's policy is: {intent.in_words}"
        rests_on = self.lookups if self.context.run.second_look else (*self.lookups, *intent.rests_on)
        return self.hop.stale(Contradiction(Reason.POLICY_MAP_MISMATCH, message, defects, rests_on))

    def denied(self) -> Finding:
        """The map denies, and policies do too or are unknown."""
        hop, intent = self.hop, self.intent
        if isinstance(intent, Intent) and intent.audited:
            return hop.ok(f"{self.who} passes in spite of {intent.in_words}")
        if self.context.plan.expect.denied:
            return hop.ok(f"{self.who}: {denied_by(self.context, hop.expected, intent)}, as expected")
        if self.gate.passed:  # an entry proves that the program allowed a packet, whatever the map says now
            return hop.ok(f"{self.who} passes")
        decision = intent.in_words if isinstance(intent, Intent) else decision_of(self.entry)
        message = f"the {self.gate.name} on {hop.expected.node} does not allow {self.who}: {decision}"
        reason = Reason.POLICY_DENIED
        if isinstance(intent, Intent) and intent.for_name:
            reason, host, by = Reason.FQDN_NOT_LEARNED, self.context.plan.request.host, intent.for_name
            message += (
                f"; {', '.join(map(str, by))} allows {host}, "
                f"but the agent has not learned {self.context.address} for this name"
            )
        if isinstance(intent, Intent) and intent.decision.allowed:
            message += "; Cilium ignores the name of a port that has several numbers in the cluster"
        return hop.stale(Contradiction(reason, message, (Defect.DENIED,), self.lookups))

    def _may_ignore_port_name(self, intent: Intent) -> bool:
        """An egress rule takes the number of a port's name from all pods of the cluster. Pods that give the name
        different numbers make Cilium ignore it, which is no fault of the map (1.18 `pkg/types/portmap.go`).
        """
        return self.gate.direction is TrafficDirection.EGRESS and intent.decision.by_port_name

    def _asked_of_agent(self) -> tuple[Fact, ...]:
        """The agent's facts about the owner's policy. While policies change, its answers may not fit each other,
        because one of them is out of date.
        """
        owner = self.gate.owner
        if owner.endpoint is None:
            return ()
        read = policy_facts(owner.endpoint, owner.node.name)
        return tuple(fact for fact in read if self.context.reader.reads(fact))


_TABLE: Mapping[tuple[Intended, Programmed], Callable[[Comparison], Finding]] = {
    (Intended.ALLOW, Programmed.ALLOW): Comparison.passes,
    (Intended.ALLOW, Programmed.ON_CONDITION): Comparison.differs,
    (Intended.ALLOW, Programmed.DENY): Comparison.differs,
    (Intended.DENY, Programmed.ALLOW): Comparison.differs,
    (Intended.DENY, Programmed.ON_CONDITION): Comparison.differs,
    (Intended.DENY, Programmed.DENY): Comparison.denied,
    (Intended.UNKNOWN, Programmed.ALLOW): Comparison.passes,
    (Intended.UNKNOWN, Programmed.ON_CONDITION): Comparison.passes,
    (Intended.UNKNOWN, Programmed.DENY): Comparison.denied,
}


def decision_of(entry: PolicyEntry | Absent) -> str:
    """The decision of the entry, as text."""
    if isinstance(entry, Absent):
        return "default deny"
    return "deny" if entry.deny else "allow"
