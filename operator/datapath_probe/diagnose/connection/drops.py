"""A dropped packet → the hop that owns the object it died of. One object, one hop: a drop that fits several hops has
none.

Called by `flow_events`. Source: Cilium 1.18 `bpf/bpf_lxc.c`, `bpf/bpf_overlay.c`, `bpf/bpf_host.c`,
`bpf/lib/{encap,local_delivery,lb}.h`: where each code is sent from.
"""

from dataclasses import dataclass
from enum import Enum

from ...api.reasons import Reason
from ...api.vocabulary import HopName
from ...sources.drop_reasons import describe

POLICY_CODES = frozenset({133, 181, 189})
_CT_INSERT_FAILED = 155
_AUTH_REQUIRED = 189
_TTL_EXCEEDED = 196
_PROGRAM_CODES = frozenset({140, 203})
_LXC, _OVERLAY = "bpf_lxc.c", "bpf_overlay.c"


class _Spot(Enum):
    """An object on the path of a packet: the hop that owns it for requests, and for replies."""

    SENDER = (HopName.SOURCE_INTERFACE, HopName.DESTINATION_INTERFACE)  # wherever the packet came to
    SERVICE = (HopName.SERVICE_LOOKUP, None)
    SERVICE_ENTRY = (HopName.SERVICE_TRANSLATION, None)
    LEAVING = (HopName.SOURCE_PROGRAM, HopName.REPLY_PROGRAM)
    IPCACHE = (HopName.IPCACHE_LOOKUP, HopName.REPLY_IPCACHE)
    # Policy does not judge replies, unless conntrack has lost their connection.
    LEAVING_POLICY = (HopName.EGRESS_POLICY, HopName.REPLY_PROGRAM)
    KEPT_HERE = (HopName.LOCALITY_LOOKUP, None)  # taken for an endpoint of the node where it began
    ENCAPSULATION = (HopName.OVERLAY_ENCAPSULATION, HopName.REPLY_ENCAPSULATION)
    ROUTING = (HopName.NODE_ROUTING, HopName.REPLY_ROUTING)
    DECAPSULATION = (HopName.OVERLAY_DECAPSULATION, HopName.REPLY_DECAPSULATION)
    ENDPOINT = (HopName.ENDPOINT_LOOKUP, HopName.REPLY_DELIVERY)
    ARRIVING = (HopName.DESTINATION_PROGRAM, HopName.REPLY_DELIVERY)
    ARRIVING_POLICY = (HopName.INGRESS_POLICY, HopName.REPLY_DELIVERY)


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a packet died of on the node where its path begins, and on the one where it ends. `by_endpoint`: it was an
    endpoint's own program, so its direction tells which end.
    """

    begin: _Spot | None = None
    end: _Spot | None = None
    by_endpoint: bool = False


_POLICY = _Rule(_Spot.LEAVING_POLICY, _Spot.ARRIVING_POLICY, by_endpoint=True)
_TUNNEL = _Rule(_Spot.ENCAPSULATION, _Spot.DECAPSULATION)
# By code and file; "": any.
_RULES: dict[tuple[int, str], _Rule] = {
    **{(code, _LXC): _POLICY for code in (*POLICY_CODES, _CT_INSERT_FAILED)},
    **{(code, ""): _Rule(_Spot.LEAVING) for code in (130, 132)},
    **{(code, ""): _Rule(_Spot.SERVICE) for code in (158, 177)},
    (140, _LXC): _Rule(_Spot.LEAVING, _Spot.ARRIVING, by_endpoint=True),
    **{(code, _OVERLAY): _TUNNEL for code in (140, 141, 147, 170, 171)},
    (151, ""): _Rule(_Spot.IPCACHE, _Spot.ENDPOINT),
    (160, ""): _Rule(_Spot.IPCACHE),
    (169, ""): _Rule(_Spot.ROUTING),
    (_TTL_EXCEEDED, ""): _Rule(_Spot.SENDER, _Spot.SENDER),
    (203, ""): _Rule(_Spot.KEPT_HERE, _Spot.ARRIVING),
}
_BEFORE_TRANSLATION = frozenset({_Spot.SERVICE, _Spot.SERVICE_ENTRY, _Spot.LEAVING})


@dataclass(frozen=True, slots=True)
class Scene:
    """Where and in which direction a packet was dropped, as of the path. On a same-node path both ends are here."""

    code: int
    file: str  # bpf_lxc.c …, "" in policy verdicts
    direction: str  # ingress | egress | "", as seen from an endpoint
    reply: bool
    at_source: bool  # on the source's node
    at_destination: bool
    to_service: bool = False  # still addressed to the ClusterIP


def owner(scene: Scene) -> HopName | None:
    """The hop to be named for this drop; None: none can be."""
    file = _LXC if scene.code in POLICY_CODES and not scene.file else scene.file
    rule = _RULES.get((scene.code, file)) or _RULES.get((scene.code, ""))
    spot = _spot(rule, scene) if rule else None
    if scene.to_service:
        if spot is _Spot.LEAVING_POLICY and scene.code == _CT_INSERT_FAILED:
            spot = _Spot.SERVICE_ENTRY
        if spot not in _BEFORE_TRANSLATION:
            return None
    return spot.value[scene.reply] if spot else None


def _spot(rule: _Rule, scene: Scene) -> _Spot | None:
    begins, ends = scene.at_source, scene.at_destination
    if scene.reply:
        begins, ends = ends, begins
    if begins and ends:
        if not rule.by_endpoint:
            return rule.end or rule.begin
        return {"egress": rule.begin, "ingress": rule.end}.get(scene.direction)
    if begins:
        return _Spot.KEPT_HERE if rule.by_endpoint and scene.direction == "ingress" else rule.begin
    return rule.end if ends and not (rule.by_endpoint and scene.direction == "egress") else None


@dataclass(frozen=True, slots=True)
class Drop:
    """A packet of this connection that was dropped; retransmits that died alike are one, `count` of them.

    `hop`: that owns what it died of; None where none can be named. `policies`: that denied it, as far as Cilium reports
    (explicit denies only). `source_identity`: the identity that the node took it to come from, 0 if that is not known.
    `to`: its destination, address and port.
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
    to: tuple[str, int] = ("", 0)

    @property
    def is_denial(self) -> bool:
        """Whether policy denied it for good: what only lacks an authentication may pass the next time."""
        return self.is_policy and self.code != _AUTH_REQUIRED

    @property
    def is_policy(self) -> bool:
        """Whether policy denied it: a packet of the request, by the policy of an endpoint at either end."""
        return self.code in POLICY_CODES and self.hop in (HopName.EGRESS_POLICY, HopName.INGRESS_POLICY)

    @property
    def is_of_its_sender(self) -> bool:
        """Whether the packet died of how it was sent."""
        return self.code == _TTL_EXCEEDED

    @property
    def name(self) -> str:
        """Cilium's words for the code."""
        return describe(self.code)

    @property
    def reason(self) -> Reason:
        """As which a hop fails that owns this drop."""
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
