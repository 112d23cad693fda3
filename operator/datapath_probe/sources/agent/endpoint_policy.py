"""The policy of an endpoint as its agent resolved it: what the datapath should enforce, and which policies require it.

It is part of the agent's answer about the endpoint. Rules name selectors; `policy_selectors` says which identities they
select.
Source: Cilium 1.16–1.20 `pkg/endpoint/api.go` (GetPolicyModel), `pkg/policy/l4.go` (L4Filter, PerSelectorPolicy).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...evidence.errors import EvidenceError
from ...evidence.reading import Absent, Answer, Unavailable
from ..maps.policymap import TrafficDirection
from ..parsing import Json, failed, parser
from .fqdn_selector import is_for
from .policy_labels import PolicyRef, policy_of, written_labels
from .policy_selectors import Selections

_DIRECTIONS = {
    "none": frozenset[TrafficDirection](),
    "ingress": frozenset({TrafficDirection.INGRESS}),
    "egress": frozenset({TrafficDirection.EGRESS}),
    "both": frozenset(TrafficDirection),
}
_AUDIT = "audit-"
_DENY = 1  # a verdict, since 1.19; before, IsDeny
_AUTH = "auth"
_LISTENER_PRIORITY = "listenerPriority"  # of a redirect, since 1.19; before, "priority"
# Details of a rule for a selector that do not concern an L7 proxy; all others do.
_NOT_FOR_THE_PROXY = frozenset({_AUTH, "IsDeny", "verdict", "priority"})


@dataclass(frozen=True, slots=True)
class Peer:
    """A selector of a filter. `policies`: the policies behind it, or (`shared`) behind any peer of its filter.
    `proxied`: an L7 proxy decides. `authenticated`: only authenticated peers may pass.
    """

    selector: str
    deny: bool
    policies: tuple[PolicyRef, ...]
    shared: bool
    proxied: bool = False
    authenticated: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """Peers for a range of ports. `port_name` "": the range is `first` to `last`, 0 to 65535 for any port."""

    protocol: str  # TCP, UDP, …, ANY
    port_name: str
    first: int
    last: int
    peers: tuple[Peer, ...]

    def covers(self, traffic: "Traffic") -> bool:
        """Whether the filter applies to the port of this traffic."""
        if self.protocol not in (traffic.protocol, "ANY"):
            return False
        if self.port_name:
            return traffic.named_ports.get(self.port_name) == traffic.port
        return self.first <= traffic.port <= self.last


@dataclass(frozen=True, slots=True)
class EndpointPolicy:
    """`enforced`: the directions with policy enforcement. `audited`: denials are only recorded, and packets pass.

    `settled`: the realized policy is the desired one. `ranked`: rules have different ranks (1.19), so an allow rule may
    take precedence over a deny rule.
    """

    enforced: frozenset[TrafficDirection]
    audited: bool
    settled: bool
    ranked: bool
    labels: tuple[str, ...]  # of the endpoint's identity, source:key=value
    filters: Mapping[TrafficDirection, tuple[Filter, ...]]


@dataclass(frozen=True, slots=True)
class Decision:
    """What the agent's policy decides for one peer and port. `policies`: those behind it; none for a default deny.

    `exact` False: the decision comes from one or more of these policies. `proxied`, `authenticated`: required by at
    least one of them. `by_port_name`: all name the port, and none its number.
    """

    allowed: bool
    policies: tuple[PolicyRef, ...] = ()
    exact: bool = True
    proxied: bool = False
    authenticated: bool = False
    by_port_name: bool = False


@parser("cilium-dbg endpoint get", exit_codes=range(256))
def parse(answer: Answer) -> EndpointPolicy | Absent | Unavailable:
    """The policy in the answer to `agent_endpoint.fact`."""
    if answer.exit_code:
        return Absent() if b"[404]" in answer.stderr else failed(answer, "cilium-dbg endpoint get")
    status = Json.parse(answer.stdout).only()["status"]
    policy = status["policy"]
    realized, wanted = policy["realized"], policy["spec"]
    mode = realized["policy-enabled"].text("none")
    if mode.removeprefix(_AUDIT) not in _DIRECTIONS:
        raise ValueError(f"{mode!r} is not a mode of policy enforcement")
    rules = {
        direction: [(rule, Json.parse(rule["rule"].text())) for rule in realized["l4"].maybe(key) or ()]
        for direction in TrafficDirection
        if (key := direction.name.lower())
    }
    ranks = {rank for shown in rules.values() for _, content in shown for rank in _ranks(content)}
    return EndpointPolicy(
        enforced=_DIRECTIONS[mode.removeprefix(_AUDIT)],
        audited=mode.startswith(_AUDIT),
        settled=realized["policy-revision"].integer(0) == wanted["policy-revision"].integer(0),
        ranked=len(ranks) > 1,
        labels=tuple(label.text() for label in status["identity"]["labels"] or ()),
        filters={
            direction: tuple(_filter(rule, content) for rule, content in shown)
            for direction, shown in rules.items()
        },
    )


@dataclass(frozen=True, slots=True)
class Traffic:
    """What policy decides on: the identity at the other end, and a port of the destination pod, which has these
    `named_ports`.
    """

    direction: TrafficDirection
    identity: int
    port: int
    named_ports: Mapping[str, int]
    protocol: str = "TCP"


def decide(policy: EndpointPolicy, selections: Selections, traffic: Traffic) -> Decision | Unavailable:
    """Whether the agent's policy allows this traffic. A deny rule takes precedence over allow rules."""
    if traffic.direction not in policy.enforced:
        return Decision(allowed=True)
    if policy.ranked:
        why = "rules of different tiers or priorities can't be followed"
        return Unavailable(EvidenceError.UNSUPPORTED_CONFIGURATION, why)
    filters = [f for f in policy.filters[traffic.direction] if f.covers(traffic)]
    if any(peer.selector not in selections for f in filters for peer in f.peers):
        return Unavailable(
            EvidenceError.UNPARSABLE, "the agent's policy uses selectors that are not in its list"
        )
    meant = [(f, peer) for f in filters for peer in f.peers if traffic.identity in selections[peer.selector]]
    denied = any(peer.deny for _, peer in meant)
    deciding = [(f, peer) for f, peer in meant if peer.deny is denied]
    decisive = [peer for _, peer in deciding]
    policies = {policy for peer in decisive for policy in peer.policies}
    return Decision(
        allowed=bool(decisive) and not denied,
        policies=tuple(sorted(policies)),
        exact=not any(peer.shared and len(peer.policies) > 1 for peer in decisive),
        proxied=any(peer.proxied for peer in decisive),
        authenticated=any(peer.authenticated for peer in decisive),
        by_port_name=bool(deciding) and all(f.port_name for f, _ in deciding),
    )


def allowing_name(policy: EndpointPolicy, traffic: Traffic, host: str) -> tuple[PolicyRef, ...]:
    """The policies that allow this traffic to the addresses that the agent has learned for this name."""
    filters = (f for f in policy.filters[traffic.direction] if f.covers(traffic))
    peers = (peer for f in filters for peer in f.peers if not peer.deny and is_for(peer.selector, host))
    return tuple(sorted({policy for peer in peers for policy in peer.policies}))


def _filter(rule: Json, content: Json) -> Filter:
    first = content["port"].unsigned(16)
    return Filter(
        protocol=content["protocol"].text(),
        port_name=content["port-name"].text(""),
        first=first,
        last=content["endPort"].unsigned(16, 0) or first or 65535,
        peers=tuple(_peers(rule, content)),
    )


def _peers(rule: Json, content: Json) -> Iterator[Peer]:
    by_selector = {selector: _policies(origins) for selector, origins in rule["rules-by-selector"].items()}
    of_filter = _policies(rule["derived-from-rules"])
    for entry in content["l7-rules"] or ():
        for selector, details in entry.items():
            own = by_selector.get(selector)
            said = {key for key, _ in details.items()}
            yield Peer(
                selector,
                _denies(details),
                of_filter if own is None else own,
                shared=own is None,
                proxied=_redirects(details),
                authenticated=_AUTH in said,
            )


def _policies(origins: Json) -> tuple[PolicyRef, ...]:
    named = (policy_of(written_labels(label.text() for label in labels)) for labels in origins or ())
    return tuple(sorted({policy for policy in named if policy}))


def _denies(details: Json) -> bool:
    return details.maybe("IsDeny").boolean(False) or details.maybe("verdict").integer(0) == _DENY


def _ranks(content: Json) -> Iterator[tuple[int, int, bool]]:
    """Tier, priority and whether it passes on to the next tier, for each peer."""
    for entry in content["l7-rules"] or ():
        for details in entry.values():
            verdict = details.maybe("verdict").integer(0)
            yield content["tier"].integer(0), _priority(details), verdict > _DENY


def _redirects(details: Json) -> bool:
    """Whether an L7 proxy decides."""
    return any(key not in _NOT_FOR_THE_PROXY for key, _ in details.items())


def _priority(details: Json) -> int:
    """The priority of the rule among rules, which exists only since 1.19. Until 1.18 `priority` is that of the proxy's
    listener (121 for DNS, 101 for HTTP): each redirect has one, and no other rule does. Since 1.19 a redirect has
    `listenerPriority` instead.
    """
    if _redirects(details) and not details.maybe(_LISTENER_PRIORITY):
        return 0
    return details.maybe("priority").integer(0)
