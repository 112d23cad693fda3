"""A dropped packet → the hop that owns the object that dropped it. None if several objects can be the cause.

Called by `flow_events`. Source: Cilium 1.18 `bpf/bpf_lxc.c`, `bpf/bpf_overlay.c`, `bpf/bpf_host.c`,
`bpf/lib/{encap,local_delivery,lb}.h`: the places that send each drop code.
"""

from dataclasses import dataclass
from enum import Enum

from ...addresses import IpAddress
from ...api.reasons import Reason
from ...api.vocabulary import HopName
from ...sources.drop_reasons import describe

POLICY_CODES = frozenset({133, 181, 189})
_CT_INSERT_FAILED = 155
_AUTH_REQUIRED = 189
_TTL_EXCEEDED = 196
_PROGRAM_CODES = frozenset({140, 203})
_LXC, _OVERLAY = "bpf_lxc.c", "bpf_overlay.c"


class _DropPoint(Enum):
    """An object on a packet's path: the hop that owns it for requests, and the one for replies."""

    SENDER = (HopName.SOURCE_INTERFACE, HopName.DESTINATION_INTERFACE)  # anywhere on the packet's path
    SERVICE = (HopName.SERVICE_LOOKUP, None)
    SERVICE_ENTRY = (HopName.SERVICE_TRANSLATION, None)
    LEAVING = (HopName.SOURCE_PROGRAM, HopName.REPLY_PROGRAM)
    IPCACHE = (HopName.IPCACHE_LOOKUP, HopName.REPLY_IPCACHE)
    # Policy applies to replies only if conntrack lost their connection.
    LEAVING_POLICY = (HopName.EGRESS_POLICY, HopName.REPLY_PROGRAM)
    TAKEN_AS_LOCAL = (HopName.LOCALITY_LOOKUP, None)  # treated as local on the sending node
    ENCAPSULATION = (HopName.OVERLAY_ENCAPSULATION, HopName.REPLY_ENCAPSULATION)
    ROUTING = (HopName.NODE_ROUTING, HopName.REPLY_ROUTING)
    DECAPSULATION = (HopName.OVERLAY_DECAPSULATION, HopName.REPLY_DECAPSULATION)
    ENDPOINT = (HopName.ENDPOINT_LOOKUP, HopName.REPLY_DELIVERY)
    ARRIVING = (HopName.DESTINATION_PROGRAM, HopName.REPLY_DELIVERY)
    ARRIVING_POLICY = (HopName.INGRESS_POLICY, HopName.REPLY_DELIVERY)


@dataclass(frozen=True, slots=True)
class _Rule:
    """The object that drops a packet on the sending node, and on the receiving one. `by_endpoint`: an endpoint's own
    program drops it, so the direction shows which end.
    """

    begin: _DropPoint | None = None
    end: _DropPoint | None = None
    by_endpoint: bool = False


_POLICY = _Rule(_DropPoint.LEAVING_POLICY, _DropPoint.ARRIVING_POLICY, by_endpoint=True)
_TUNNEL = _Rule(_DropPoint.ENCAPSULATION, _DropPoint.DECAPSULATION)
# By code and file; "": any file.
_RULES: dict[tuple[int, str], _Rule] = {
    **{(code, _LXC): _POLICY for code in (*POLICY_CODES, _CT_INSERT_FAILED)},
    **{(code, ""): _Rule(_DropPoint.LEAVING) for code in (130, 132)},
    **{(code, ""): _Rule(_DropPoint.SERVICE) for code in (158, 177)},
    (140, _LXC): _Rule(_DropPoint.LEAVING, _DropPoint.ARRIVING, by_endpoint=True),
    **{(code, _OVERLAY): _TUNNEL for code in (140, 141, 147, 170, 171)},
    (151, ""): _Rule(_DropPoint.IPCACHE, _DropPoint.ENDPOINT),
    (160, ""): _Rule(_DropPoint.IPCACHE),
    (169, ""): _Rule(_DropPoint.ROUTING),
    (_TTL_EXCEEDED, ""): _Rule(_DropPoint.SENDER, _DropPoint.SENDER),
    (203, ""): _Rule(_DropPoint.TAKEN_AS_LOCAL, _DropPoint.ARRIVING),
}
_BEFORE_TRANSLATION = frozenset({_DropPoint.SERVICE, _DropPoint.SERVICE_ENTRY, _DropPoint.LEAVING})


@dataclass(frozen=True, slots=True)
class DropContext:
    """Where a packet was dropped, in terms of the path. On a same-node path, both ends are on the same node."""

    code: int
    file: str  # bpf_lxc.c …, "" in policy verdicts
    direction: str  # ingress | egress | "", from the endpoint's view
    reply: bool
    at_source: bool  # on the source's node
    at_destination: bool
    to_service: bool = False  # the destination is still the ClusterIP


def owner(drop: DropContext) -> HopName | None:
    """The hop that owns this drop; None if no single hop does."""
    file = _LXC if drop.code in POLICY_CODES and not drop.file else drop.file
    rule = _RULES.get((drop.code, file)) or _RULES.get((drop.code, ""))
    spot = _spot(rule, drop) if rule else None
    if drop.to_service:
        if spot is _DropPoint.LEAVING_POLICY and drop.code == _CT_INSERT_FAILED:
            spot = _DropPoint.SERVICE_ENTRY
        if spot not in _BEFORE_TRANSLATION:
            return None
    return spot.value[drop.reply] if spot else None


def _spot(rule: _Rule, drop: DropContext) -> _DropPoint | None:
    begins, ends = drop.at_source, drop.at_destination
    if drop.reply:
        begins, ends = ends, begins
    if begins and ends:
        if not rule.by_endpoint:
            return rule.end or rule.begin
        return {"egress": rule.begin, "ingress": rule.end}.get(drop.direction)
    if begins:
        return _DropPoint.TAKEN_AS_LOCAL if rule.by_endpoint and drop.direction == "ingress" else rule.begin
    return rule.end if ends and not (rule.by_endpoint and drop.direction == "egress") else None


@dataclass(frozen=True, slots=True)
class Drop:
    """A dropped packet of this connection. Equal drops of retransmissions are one, with a `count`.

    `hop`: the hop that owns the drop; None if no single hop does. `policies`: the policies that denied it, as far as
    Cilium reports them (explicit denies only). `source_identity`: the identity that the node resolved for its source; 0
    if not reported. `to`: its destination address and port.
    """

    node: str
    hop: HopName | None
    code: int
    direction: str
    file: str
    reply: bool
    count: int = 1
    policies: tuple[str, ...] = ()
    source_identity: int = 0
    to: tuple[IpAddress | None, int] = (None, 0)

    @property
    def is_denial(self) -> bool:
        """Whether policy denied it. A packet that only lacks authentication may pass the next time."""
        return self.is_policy and self.code != _AUTH_REQUIRED

    @property
    def is_policy(self) -> bool:
        """Whether the policy of either endpoint dropped it, as a packet of the request."""
        return self.code in POLICY_CODES and self.hop in (HopName.EGRESS_POLICY, HopName.INGRESS_POLICY)

    @property
    def is_of_its_sender(self) -> bool:
        """Whether the sender caused the drop, by a TTL that is too small."""
        return self.code == _TTL_EXCEEDED

    @property
    def name(self) -> str:
        """Cilium's description of the code."""
        return describe(self.code)

    @property
    def reason(self) -> Reason:
        """The reason of a hop that fails by this drop."""
        if self.code == _CT_INSERT_FAILED:
            return Reason.CONNTRACK_INSERT_FAILED
        if self.code in POLICY_CODES and self.reply:
            return Reason.CONNTRACK_ENTRY_LOST
        if self.code in POLICY_CODES and self.code != _AUTH_REQUIRED:
            return Reason.POLICY_DENIED
        if self.code in _PROGRAM_CODES:
            return Reason.PROGRAM_MISSING
        return Reason.PACKET_DROPPED

    def __str__(self) -> str:
        times = f", {self.count} times" if self.count > 1 else ""
        place = f" in {self.file}" if self.file else ""
        by = f" by {', '.join(self.policies)}" if self.policies else ""
        what = "a reply" if self.reply else "a packet"
        return f"{self.node} dropped {what} of this connection{place}: {self.name} ({self.code}){by}{times}"
