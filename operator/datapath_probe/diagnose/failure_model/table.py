"""The failure model: (hop, defect) → effect. docs/verdict.md shows it.

Source: Cilium 1.18 `bpf/bpf_lxc.c`, `bpf/bpf_overlay.c`, `bpf/bpf_host.c`, `bpf/lib/{local_delivery,lb,policy}.h`:
what programs do to a packet before and after they create its conntrack entry.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from ...api.reasons import Reason
from ...api.vocabulary import HopName
from .effect import Answer, Defect, Effect, Fate
from .stage import ANYWHERE, Stage, stages

NOTHING, TRANSLATED, SENT, RECEIVED, ANSWERED, REPLIED, CONNECTED, DELIVERED = Stage
_REJECTS: Final = frozenset({Answer.RST, Answer.ICMP_ERROR})
_ANY: Final = frozenset(Answer)
_SILENCE: Final = frozenset({Reason.NO_RESPONSE})
_UNRESOLVED: Final = frozenset({Reason.DNS_LOOKUP_FAILED, Reason.DNS_TIMEOUT})
_UNTRANSLATED: Final = frozenset({Reason.NOT_TRANSLATED})
_DENIAL: Final = frozenset({Reason.POLICY_DENIED, Reason.FQDN_NOT_LEARNED})
_EGRESS: Final = frozenset({HopName.EGRESS_POLICY})
_INGRESS: Final = frozenset({HopName.INGRESS_POLICY})
_STACK, _FILTER, _BACKEND = "the node's own stack", "the packet filter", "another backend"


def at(*stages_: Stage) -> frozenset[Stage]:
    """Shorthand for the table."""
    return frozenset(stages_)


_lost, _diverted, _passed = (partial(Effect, fate) for fate in (Fate.LOST, Fate.DIVERTED, Fate.PASSED))
_to_host = partial(_diverted, answers=_ANY, responder=_STACK)
_to_backend = partial(_diverted, answers=frozenset({Answer.RST, Answer.RESPONSE}), responder=_BACKEND)
_DATA: Final = _lost(at(CONNECTED))  # the handshake succeeds, then the transfer stalls


def _late(
    first: Stage, stages_: frozenset[Stage] | None = None, shows_as: frozenset[Reason] = frozenset()
) -> Effect:
    """Late or damaged packets leave traces beyond the hop, up to a connection that stalls."""
    usual = at(first) if stages_ is None else stages_
    return _lost(usual, stages(first, CONNECTED) - usual, shows_as=shows_as)


_SOURCE: Final[Mapping[HopName, Mapping[Defect, Effect]]] = {
    HopName.IPAM: {
        # A pod without an endpoint on its node has neither programs nor map entries.
        Defect.SOURCE_UNKNOWN: _lost(at(), at(NOTHING, ANSWERED, REPLIED)),
        Defect.DESTINATION_UNKNOWN: _lost(at(), at(NOTHING, TRANSLATED, SENT, RECEIVED)),
        # Maps of other nodes follow these objects; the symptoms are those of the maps' hops.
        Defect.SOURCE_IDENTITY_WRONG: _passed(at(), at(SENT)),
        Defect.DESTINATION_IDENTITY_WRONG: _passed(at(), at(TRANSLATED)),
        Defect.REQUESTS_MISROUTED: _diverted(at(), at(SENT)),
        Defect.REPLIES_MISROUTED: _diverted(at(), at(ANSWERED)),
    },
    HopName.SOURCE_INTERFACE: {
        Defect.PAIR_BROKEN: _lost(at(NOTHING, REPLIED), shows_as=_UNRESOLVED),
        Defect.FRAMES_REFUSED: _lost(at(), at(SENT)),
        Defect.LOST_OUT_OF_POD: _lost(at(NOTHING), shows_as=_UNRESOLVED),
        Defect.LATE_OUT_OF_POD: _late(NOTHING, shows_as=_UNRESOLVED),
        Defect.FILTERED_OUT_OF_POD: _lost(
            at(NOTHING),
            answers=frozenset({Answer.RESPONSE}),
            responder="a process in the pod",
            shows_as=_UNRESOLVED,
        ),
        Defect.LOST_INTO_POD: _lost(at(REPLIED), shows_as=_UNRESOLVED),
        Defect.LATE_INTO_POD: _late(REPLIED, shows_as=_UNRESOLVED),
        Defect.FILTERED_INTO_POD: _lost(at(REPLIED), shows_as=_UNRESOLVED),
        Defect.DATA_LOST: _DATA,
    },
    HopName.SOURCE_PROGRAM: {
        # The node's stack forwards the packets. They may even arrive, but no conntrack entry is created.
        Defect.BYPASSED: _diverted(
            at(NOTHING),
            at(RECEIVED, ANSWERED),
            answers=frozenset({Answer.RESPONSE}),
            responder=_STACK,
            shows_as=_UNRESOLVED,
            judged_elsewhere=frozenset({HopName.EGRESS_POLICY, HopName.SOURCE_IDENTITY}),
        ),
        Defect.NOT_HELD: _diverted(
            at(),
            stages(NOTHING, ANSWERED),
            answers=frozenset({Answer.RESPONSE}),
            responder=_STACK,
            shows_as=_UNRESOLVED | _DENIAL,
            judged_elsewhere=frozenset({HopName.EGRESS_POLICY, HopName.SOURCE_IDENTITY}),
        ),
        Defect.TAIL_CALL_MISSING: _lost(at(NOTHING), at(TRANSLATED), shows_as=_UNRESOLVED),
    },
    HopName.NAME_RESOLUTION: {
        Defect.UNRESOLVED: _lost(at(NOTHING)),
        # The name of a headless Service resolves to its endpoints.
        Defect.OTHER_BACKEND: _to_backend(at(), ANYWHERE),
    },
    HopName.SERVICE_LOOKUP: {
        Defect.NOT_TRANSLATED: _lost(at(NOTHING), shows_as=_UNTRANSLATED),
        Defect.NOT_TRANSLATED_BACK: _lost(at(), at(REPLIED)),
        Defect.OTHER_BACKEND: _to_backend(at(), ANYWHERE),
        # The Service of the cluster's DNS is in the same map.
        Defect.STALE_MAP: _diverted(
            at(NOTHING), at(SENT), shows_as=_UNTRANSLATED, met_at=HopName.NAME_RESOLUTION
        ),
    },
    HopName.SERVICE_TRANSLATION: {
        # Without socket load-balancing, requests to the Service of the cluster's DNS fail too.
        Defect.NOT_TRANSLATED: _lost(at(NOTHING), shows_as=_UNRESOLVED, met_at=HopName.NAME_RESOLUTION),
        Defect.NOT_HELD: _to_backend(at(), ANYWHERE, shows_as=_UNRESOLVED, met_at=HopName.NAME_RESOLUTION),
        Defect.OTHER_BACKEND: _to_backend(at(), ANYWHERE),
    },
    HopName.IPCACHE_LOOKUP: {
        Defect.WRONG_IDENTITY: _passed(at(TRANSLATED), shows_as=_DENIAL, judged_elsewhere=_EGRESS),
        Defect.MISROUTED: _diverted(at(SENT)),
        Defect.STALE_MAP: _diverted(
            at(TRANSLATED, SENT), at(NOTHING), shows_as=_DENIAL, judged_elsewhere=_EGRESS
        ),
    },
    HopName.EGRESS_POLICY: {
        Defect.DENIED: _lost(at(TRANSLATED)),
        Defect.PROXIED: _diverted(at(), stages(SENT, DELIVERED)),
        Defect.STALE_MAP: _lost(at(TRANSLATED), at(NOTHING)),
    },
    HopName.LOCALITY_LOOKUP: {
        Defect.TREATED_AS_LOCAL: _diverted(at(SENT)),
        Defect.STALE_MAP: _diverted(at(SENT)),
    },
}

# Such a program uses old maps, and old tail calls or none: it may do anything to packets.
_NOT_HELD: Final = _lost(at(), at(SENT, RECEIVED), shows_as=_DENIAL)
_NOT_HELD_FOR_REPLIES: Final = _lost(at(), at(ANSWERED, REPLIED), shows_as=_SILENCE)

_BETWEEN_NODES = {
    Defect.NOT_HELD: _NOT_HELD,
    Defect.LOST: _lost(at(SENT)),
    Defect.LATE: _late(SENT),
    Defect.DATA_LOST: _DATA,
}
_REPLIES_BETWEEN_NODES = {
    Defect.NOT_HELD: _NOT_HELD_FOR_REPLIES,
    Defect.LOST: _lost(at(ANSWERED)),
    Defect.LATE: _late(ANSWERED, shows_as=_SILENCE),
    Defect.FILTERED: _lost(at(ANSWERED)),
    Defect.DATA_LOST: _DATA,
}
_REJECTING = _lost(at(SENT), answers=_REJECTS, responder=_FILTER, shows_as=_SILENCE)

# No entry shows whether a node replied: lost replies look like lost requests, a RST like one of the node.
_ANSWERS_LOST = _lost(at(), at(SENT), shows_as=frozenset({Reason.CONNECTION_REFUSED, Reason.NO_RESPONSE}))

_TOWARDS: Final[Mapping[HopName, Mapping[Defect, Effect]]] = {
    HopName.OVERLAY_ENCAPSULATION: {**_BETWEEN_NODES, Defect.BYPASSED: _lost(at(SENT))},
    HopName.NODE_ROUTING: {**_BETWEEN_NODES, Defect.FILTERED: _REJECTING},
    HopName.OVERLAY_DECAPSULATION: {
        **_BETWEEN_NODES,
        Defect.FILTERED: _lost(at(SENT)),  # a rejected tunnel packet sends nothing to the client
        Defect.BYPASSED: _lost(at(SENT)),
        Defect.TAIL_CALL_MISSING: _lost(at(SENT)),
    },
    # No router beyond the node knows the pods' addresses: replies are lost.
    HopName.MASQUERADE: {
        Defect.LOST: _lost(at(SENT)),
        Defect.NOT_MASQUERADED: _lost(at(SENT)),
        Defect.WRONGLY_MASQUERADED: _lost(at(SENT)),
        Defect.HOST_ANSWERS_LOST: _ANSWERS_LOST,
        Defect.NOT_HELD: _NOT_HELD,
    },
    HopName.CLUSTER_EXIT: {
        **_BETWEEN_NODES,
        Defect.FILTERED: _REJECTING,
        Defect.HOST_ANSWERS_LOST: _ANSWERS_LOST,
    },
    HopName.SOURCE_IDENTITY: {
        Defect.WRONG_IDENTITY: _passed(at(SENT), shows_as=_DENIAL, judged_elsewhere=_INGRESS),
    },
    HopName.ENDPOINT_LOOKUP: {
        Defect.HANDED_TO_HOST: _to_host(at(SENT), judged_elsewhere=_INGRESS),
        Defect.ROUTED_ELSEWHERE: _to_host(at(SENT)),
        Defect.WRONG_INTERFACE: _diverted(at(RECEIVED)),
        Defect.OTHER_ENDPOINT: _diverted(at(SENT, RECEIVED), shows_as=_DENIAL, judged_elsewhere=_INGRESS),
        Defect.STALE_MAP: _diverted(at(SENT, RECEIVED), shows_as=_DENIAL, judged_elsewhere=_INGRESS),
        Defect.MISROUTED: _diverted(at(SENT)),
        Defect.LOST: _lost(at(SENT)),
        Defect.FILTERED: _REJECTING,
        Defect.DATA_LOST: _DATA,
    },
    HopName.DESTINATION_PROGRAM: {
        Defect.BYPASSED: _diverted(at(SENT), judged_elsewhere=_INGRESS),
        Defect.NOT_HELD: replace(_NOT_HELD, judged_elsewhere=_INGRESS),
        Defect.NO_POLICY_PROGRAM: _lost(at(SENT)),
        Defect.TAIL_CALL_MISSING: _lost(at(SENT)),
        Defect.OTHER_ENDPOINTS_PROGRAM: _passed(at(SENT), at(RECEIVED), judged_elsewhere=_INGRESS),
    },
    HopName.INGRESS_POLICY: {
        Defect.DENIED: _lost(at(SENT)),
        Defect.PROXIED: _diverted(at(), stages(RECEIVED, DELIVERED)),
        Defect.STALE_MAP: _lost(at(SENT)),
    },
}

_INTO_DESTINATION = at(RECEIVED), at(ANSWERED, REPLIED)
_DESTINATION: Final[Mapping[HopName, Mapping[Defect, Effect]]] = {
    HopName.DESTINATION_INTERFACE: {
        Defect.PAIR_BROKEN: _lost(at(RECEIVED)),
        # With endpoint routes, the stack looks up the route before the pod's program sees a packet.
        Defect.ROUTE_GONE: _lost(at(), at(SENT), met_at=HopName.ENDPOINT_LOOKUP),
        Defect.FRAMES_REFUSED: _lost(at(), at(ANSWERED)),
        Defect.LOST_INTO_POD: _lost(*_INTO_DESTINATION),
        Defect.LATE_INTO_POD: _late(RECEIVED),
        Defect.FILTERED_INTO_POD: _lost(
            *_INTO_DESTINATION, answers=_REJECTS, responder=_FILTER, shows_as=_SILENCE
        ),
        Defect.LOST_OUT_OF_POD: _lost(at(RECEIVED)),
        Defect.LATE_OUT_OF_POD: _late(RECEIVED),
        Defect.FILTERED_OUT_OF_POD: _lost(at(RECEIVED)),
        Defect.DATA_LOST: _DATA,
    },
    HopName.DESTINATION_RESPONSE: {
        Defect.NO_ANSWER: _lost(at(RECEIVED, CONNECTED)),
        Defect.WRONG_ANSWER: _passed(at(DELIVERED)),
    },
    HopName.REPLY_PROGRAM: {
        # The node's stack forwards replies without a conntrack entry, and most of them are lost.
        Defect.BYPASSED: _diverted(at(RECEIVED, CONNECTED), at(REPLIED), shows_as=_SILENCE),
        Defect.NOT_HELD: _diverted(at(), at(RECEIVED, ANSWERED, REPLIED, CONNECTED), shows_as=_SILENCE),
        Defect.TAIL_CALL_MISSING: _lost(at(RECEIVED), at(ANSWERED), shows_as=_SILENCE),
    },
}

_BACK: Final[Mapping[HopName, Mapping[Defect, Effect]]] = {
    HopName.REPLY_IPCACHE: {
        # With native routing, the node takes the source's identity from this entry when requests arrive.
        Defect.WRONG_IDENTITY: _passed(
            at(), at(SENT), shows_as=_DENIAL, judged_elsewhere=_INGRESS, met_at=HopName.SOURCE_IDENTITY
        ),
        Defect.MISROUTED: _diverted(at(ANSWERED)),
        Defect.TREATED_AS_LOCAL: _diverted(at(ANSWERED)),
        Defect.STALE_MAP: _diverted(at(ANSWERED)),
    },
    HopName.REPLY_ENCAPSULATION: {**_REPLIES_BETWEEN_NODES, Defect.BYPASSED: _lost(at(ANSWERED))},
    HopName.REPLY_ROUTING: {
        **_REPLIES_BETWEEN_NODES,
        Defect.HOST_ANSWERS_LOST: _ANSWERS_LOST,
    },
    HopName.REPLY_DECAPSULATION: {
        **_REPLIES_BETWEEN_NODES,
        Defect.BYPASSED: _lost(at(ANSWERED)),
        Defect.TAIL_CALL_MISSING: _lost(at(ANSWERED)),
    },
    HopName.REPLY_DELIVERY: {
        # the node's stack may send a RST, which looks like one of the source
        Defect.HANDED_TO_HOST: _diverted(at(ANSWERED), at(REPLIED)),
        Defect.ROUTED_ELSEWHERE: _diverted(at(ANSWERED)),
        # packets reach the node, but not the pod
        Defect.WRONG_INTERFACE: _diverted(at(REPLIED)),
        Defect.OTHER_ENDPOINT: _diverted(at(ANSWERED, REPLIED)),
        Defect.STALE_MAP: _diverted(at(ANSWERED, REPLIED)),
        Defect.MISROUTED: _diverted(at(ANSWERED)),
        Defect.LOST: _lost(at(ANSWERED)),
        Defect.FILTERED: _lost(at(ANSWERED)),
        Defect.BYPASSED: _lost(at(ANSWERED, REPLIED)),
        Defect.NOT_HELD: _NOT_HELD_FOR_REPLIES,
        Defect.NO_POLICY_PROGRAM: _lost(at(ANSWERED)),
        Defect.TAIL_CALL_MISSING: _lost(at(ANSWERED, REPLIED)),
        Defect.OTHER_ENDPOINTS_PROGRAM: _lost(at(ANSWERED, REPLIED)),
        Defect.DATA_LOST: _DATA,
    },
    HopName.REPLY_TRANSLATION: {
        Defect.NOT_TRANSLATED_BACK: _lost(at(REPLIED)),
        Defect.STALE_MAP: _lost(at(REPLIED)),
    },
}

MODEL: Final[Mapping[HopName, Mapping[Defect, Effect]]] = {**_SOURCE, **_TOWARDS, **_DESTINATION, **_BACK}
