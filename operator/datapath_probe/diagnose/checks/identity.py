"""Hop `source-identity`: the destination's node resolves the right identity of the source. In a tunnel, packets carry
the identity (VNI); with native routing, it comes from the node's own ipcache.

Source: Cilium 1.18 `bpf/bpf_overlay.c`, `bpf/lib/conntrack.h` (`src_sec_id`).
"""

from ...addresses import family_of
from ...api.reasons import Reason
from ...api.vocabulary import Encapsulation, HopName
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ...sources.maps import conntrack
from ...sources.maps.conntrack import CtEntry
from ..connection.connection import Trace
from ..connection.conntrack_entries import of_this_run
from ..context import CheckContext
from ..datapath.ipcache_match import lookup_ipcache
from ..failure_model.effect import Defect
from ..finding.finding import Finding
from ..finding.hop_check import Contradiction, HopCheck


def check_source_identity(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The source identity in the entry of this connection."""
    name = f"{context.source.pod.namespace}/{context.source.pod.name}"
    hop = context.hop(expected, f"identity of {name}")
    if context.source.endpoint is None:
        return hop.unknown(Unavailable(Reason.CILIUM_ENDPOINT_MISSING, f"pod {name} has no CiliumEndpoint"))
    identity = context.source.endpoint.identity
    hop.intent(f"identity {identity}", {"identity": identity})
    wrong = _wrong_identity_in_ipcache(context, hop, identity)
    if isinstance(wrong, Unavailable):
        return hop.unknown(wrong)
    if wrong:
        return hop.stale(wrong)
    entry = context.connection.incoming
    if isinstance(entry, Unavailable):
        return hop.unknown(entry)
    if isinstance(entry, CtEntry):
        return _judge(hop, expected, name, identity, entry.source_identity)
    denied = next((d for d in context.connection.events.drops if d.hop is HopName.INGRESS_POLICY), None)
    if denied and denied.source_identity:  # a denied packet creates no entry
        return _judge(hop, expected, name, identity, denied.source_identity)
    if _may_be_masqueraded(context):
        masqueraded = _masqueraded(context, hop, name)
        if masqueraded:
            return masqueraded
    if context.outcome.met:
        return hop.ok("not observed: the entry of this connection is already gone")
    return hop.unknown(
        Unavailable(Reason.NOT_OBSERVED, "no packet of this connection was observed to arrive")
    )


def _may_be_masqueraded(context: CheckContext) -> bool:
    """With native routing, packets that have no entry on the destination's node may have another source address."""
    connection, path = context.connection, context.path
    is_native = path.cross_node and path.encapsulation is Encapsulation.NONE
    left = isinstance(connection.outgoing, CtEntry) and isinstance(connection.incoming, Absent)
    can_be_asked = context.backend is not None and context.client_port is not None
    return is_native and left and can_be_asked and not context.source.pod.host_network


def _masqueraded(context: CheckContext, hop: HopCheck, name: str) -> Finding | None:
    """Packets that left with the pod's address and arrived with that of its node, or that have no entry on the
    destination's node. None if the request failed and no such entry exists.
    """
    node, entries = hop.expected.node, _entries_of_own_node(context, hop.expected.node)
    for entry in entries:
        if isinstance(entry, CtEntry):
            hop.observed(f"identity {entry.source_identity}", {"identity": entry.source_identity})
            message = (
                f"{node} resolved {name} to identity {entry.source_identity}: its packets were masqueraded "
                "to its node's own address"
            )
            return hop.broken(Reason.WRONG_IDENTITY, message)
    unread = next((entry for entry in entries if isinstance(entry, Unavailable)), None)
    if not context.outcome.met:
        return None
    if unread:
        return hop.unknown(unread)
    to = context.backend.ip if context.backend else "the destination"
    message = f"packets left {context.path.source_node} for {to}, but {node} has no entry of this connection"
    return hop.unknown(Unavailable(Reason.NOT_OBSERVED, message))


def _entries_of_own_node(context: CheckContext, node: str) -> list[Trace]:
    """The connection's entries on the destination's node for the addresses of the source's node."""
    backend, port, cilium = context.backend, context.client_port, context.source.node.cilium
    if backend is None or port is None:
        return []
    family = family_of(backend.ip)
    of_family = (ip for ip in (cilium.internal_ips if cilium else ()) if family_of(ip) is family)
    asked = (conntrack.in_entry(node, address, port, backend.ip, backend.port) for address in of_family)
    return [of_this_run(fact, context.run.request, context.reader)[0] for fact in asked]


def _judge(hop: HopCheck, expected: ExpectedHop, name: str, identity: int, seen: int) -> Finding:
    """`seen`: the identity that the node resolved for the packet's source."""
    hop.observed(f"identity {seen}", {"identity": seen})
    if seen != identity:
        message = f"{expected.node} resolved {name} to identity {seen}, but it is {identity}"
        return hop.broken(Reason.WRONG_IDENTITY, message)
    return hop.ok(f"{expected.node} resolved the source to identity {identity}")


def _wrong_identity_in_ipcache(
    context: CheckContext, hop: HopCheck, identity: int
) -> Contradiction | Unavailable | None:
    """A wrong identity of the source in the node's ipcache, if packets do not carry the identity."""
    if not context.path.cross_node or context.path.encapsulation is not Encapsulation.NONE:
        return None
    node, address = hop.expected.node, context.source.ip
    record = lookup_ipcache(context, node, address)
    if isinstance(record, Unavailable):
        return record
    resolved = record.found.identity if record.found else None
    hop.programmed(f"identity {resolved}", {"identity": resolved or ""})
    if resolved == identity:
        return None
    if record.own is None:
        message = (
            f"the ipcache of {node} has no entry for pod {address}, which it resolves to identity {resolved}"
        )
        return Contradiction(Reason.IPCACHE_ENTRY_MISSING, message, (Defect.WRONG_IDENTITY,), record.rests_on)
    message = f"{node} resolves {address} to identity {resolved}, but it is {identity}"
    return Contradiction(Reason.WRONG_IDENTITY, message, (Defect.WRONG_IDENTITY,), record.rests_on)
