"""Hop `source-identity`: the destination's node took the source for who it is. In a tunnel the identity travels with a
packet (VNI); in native routing the node's own ipcache tells it.

Source: Cilium 1.18 `bpf/bpf_overlay.c`, `bpf/lib/conntrack.h` (`src_sec_id`).
"""

from ...api.reasons import Reason
from ...api.vocabulary import Encapsulation, HopName
from ...cilium import ipcache
from ...cilium.conntrack import CtEntry
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ..case import Case
from ..findings import Finding, Rung
from ..judge import Contradiction, Hop


def check_source_identity(case: Case, expected: ExpectedHop) -> Finding:
    """The identity that the entry of this connection was written with."""
    name = f"{case.source.pod.namespace}/{case.source.pod.name}"
    hop = case.hop(expected, f"identity of {name}")
    if case.source.endpoint is None:
        return hop.unknown(Unavailable(Reason.CILIUM_ENDPOINT_MISSING, f"pod {name} has no CiliumEndpoint"))
    identity = case.source.endpoint.identity
    hop.intent(f"identity {identity}", {"identity": identity})
    mistaken = _ipcache_mistaken(case, hop, identity)
    if isinstance(mistaken, Unavailable):
        return hop.unknown(mistaken)
    if mistaken:
        return hop.stale(mistaken)
    entry = case.connection.incoming
    if isinstance(entry, Unavailable):
        return hop.unknown(entry)
    if not isinstance(entry, CtEntry):
        denied = next((d for d in case.connection.events.drops if d.hop is HopName.INGRESS_POLICY), None)
        if denied and denied.source_identity:  # what is denied leaves no entry
            return _judge(hop, expected, name, identity, denied.source_identity)
        if case.outcome.met:
            return hop.fine("not noted: the entry of this connection is gone already")
        return hop.unknown(
            Unavailable(Reason.NOT_OBSERVED, "no packet of this connection was seen to arrive")
        )
    return _judge(hop, expected, name, identity, entry.source_identity)


def _judge(hop: Hop, expected: ExpectedHop, name: str, identity: int, seen: int) -> Finding:
    """`seen`: the identity that the packet was taken to come from."""
    hop.observed(f"identity {seen}", {"identity": seen})
    if seen != identity:
        message = f"{expected.node} took {name} for identity {seen}, but it is {identity}"
        return hop.broken(Reason.WRONG_IDENTITY, message)
    return hop.fine(f"{expected.node} took the source for identity {identity}")


def _ipcache_mistaken(case: Case, hop: Hop, identity: int) -> Contradiction | Unavailable | None:
    """How the node's ipcache takes the source for another, where packets do not carry the identity themselves."""
    if not case.path.cross_node or case.path.encapsulation is not Encapsulation.NONE:
        return None
    node, address = hop.expected.node, case.source.pod.ip
    layout = case.layout(node)
    if isinstance(layout, Unavailable):
        return layout
    rests_on = (ipcache.lookup(node, layout, address), ipcache.lookup_wider(node, layout, address))
    record, wider = (case.lens.read(question, ipcache.parse) for question in rests_on)
    if isinstance(record, Unavailable):
        return record
    taken_for = None if isinstance(record, Absent) else record.identity
    hop.programmed(f"identity {taken_for}", {"identity": taken_for or ""})
    if taken_for == identity:
        return None
    predicts = frozenset({Rung.SENT})
    if record == wider or isinstance(record, Absent):
        message = (
            f"the ipcache of {node} has no entry for pod {address}: it takes it for identity {taken_for}"
        )
        return Contradiction(Reason.IPCACHE_ENTRY_MISSING, message, predicts, rests_on)
    message = f"{node} takes {address} for identity {taken_for}, but it is {identity}"
    return Contradiction(Reason.WRONG_IDENTITY, message, predicts, rests_on)
