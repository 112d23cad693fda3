"""Hops of a path with an end that has no endpoint: in the host's network, or (as destination) outside the cluster.

The identity of such an end depends on the node: a node is `host` to itself, and `remote-node` (or `kube-apiserver`) to
others. Source: Cilium 1.18 `bpf/bpf_host.c`, `bpf/lib/identity.h`, `pkg/identity/numericidentity.go`.
"""

from dataclasses import replace
from typing import Final

from ...addresses import IpAddress
from ...api.reasons import Reason
from ...api.vocabulary import Encapsulation
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ...plan.plan import NodeFacts
from ...sources.maps import ipcache, lxcmap
from ...sources.maps.conntrack import CtEntry
from ...sources.maps.ipcache import IpcacheRecord
from ...sources.maps.lxcmap import EndpointFlag
from ...sources.maps.policymap import TrafficDirection
from ..connection.conntrack_entries import client_address
from ..context import CheckContext
from ..datapath.cilium_host_programs import fault_to_host
from ..datapath.crd_effects import Role
from ..failure_model.effect import Defect
from ..finding.faults import worst_of
from ..finding.finding import Finding
from ..finding.hop_check import Contradiction
from ..netstack.host_path import input_blocked
from .ipam import judge_ipam
from .ipcache import ExpectedRecord, judge_record
from .policy import judge_gate
from .policy_comparison import Gate
from .routing import judge_route

HOST: Final = frozenset({1})
REMOTE_NODE: Final = frozenset({6, 7})  # the second for nodes that run a Kubernetes API server
WORLD: Final = frozenset({2, 9, 10})
FIRST_OF_CIDRS: Final = 1 << 24
_ANSWERS_LOST: Final = dict.fromkeys((Defect.LOST, Defect.LATE, Defect.FILTERED), Defect.HOST_ANSWERS_LOST)


def _identities(node: NodeFacts, seen_from: str) -> frozenset[int]:
    return HOST if node.name == seen_from else REMOTE_NODE


# ---- the destination


def check_ipcache_lookup(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The source's node must have the right identity for the address: a node, or outside the cluster."""
    host = context.backend.host if context.backend else None
    if host is None:
        return _world(context, expected)
    tunneled = context.path.encapsulation is not Encapsulation.NONE
    behind = host.cilium.internal_ips if tunneled and host.cilium else ()
    intent = ExpectedRecord(context.address, _identities(host, expected.node), behind, tunneled)
    return judge_record(context, expected, intent, identity_counts=True)


def _world(context: CheckContext, expected: ExpectedHop) -> Finding:
    """No object has the identity of an address outside the cluster. It must have no tunnel endpoint."""
    hop = context.hop(expected, f"ipcache[{context.address}]")
    hop.intent("an address outside the cluster")
    record = _record(context, expected.node, context.address)
    if isinstance(record, Unavailable):
        return hop.unknown(record)
    if isinstance(record, Absent):
        return hop.unknown(
            Unavailable(Reason.IPCACHE_ENTRY_MISSING, "the ipcache has no entry, not even the default one")
        )
    hop.programmed(
        f"identity {record.identity}",
        {"identity": record.identity, "tunnelEndpoint": record.tunnel_endpoint or ""},
    )
    if record.tunnel_endpoint or not (record.identity in WORLD or record.identity >= FIRST_OF_CIDRS):
        message = f"Cilium has {context.address} as part of this cluster, but no pod or node has this address"
        return hop.unknown(Unavailable(Reason.UNSUPPORTED_DESTINATION, message))
    return hop.ok(f"{context.address} is identity {record.identity}")


def check_egress_policy(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The source's policy map, for the identity that the program finds."""
    record = _record(context, expected.node, context.address)
    found = (
        Unavailable(Reason.IPCACHE_ENTRY_MISSING, "the ipcache has no entry")
        if isinstance(record, Absent)
        else record
    )
    identity = found.identity if isinstance(found, IpcacheRecord) else found
    gate = Gate(context.source, identity, TrafficDirection.EGRESS, context.connection.sent)
    return judge_gate(context, expected, gate)


def check_endpoint_lookup(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The node must have an entry for its own address, otherwise packets leave it."""
    finding = _own_address(context, expected, context.address, seen=context.connection.replied)
    hop = context.hop(expected, f"input of {expected.node}")
    return worst_of(hop, finding, *input_blocked(context, expected.node))


def check_node_routing(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The route to the address itself, or to its node if packets are encapsulated."""
    assert context.backend is not None
    assert context.backend.host is not None  # the path has this hop only to another node
    address = context.address if context.path.encapsulation is Encapsulation.NONE else None
    return judge_route(context, expected, context.backend.host, address, context.connection.replied)


def check_reply_routing(context: CheckContext, expected: ExpectedHop) -> Finding:
    """With native routing, replies go to the pod's address; otherwise to its node's, in a tunnel or since requests are
    masqueraded.
    """
    routed = context.config.routing_mode != "tunnel"
    address = context.source.ip if routed else None
    finding = judge_route(context, expected, context.source.node, address, context.connection.replied)
    defects = (_ANSWERS_LOST.get(defect, defect) for defect in finding.defects)
    return replace(finding, defects=tuple(dict.fromkeys(defects)))


# ---- the source


def check_ipam(context: CheckContext, expected: ExpectedHop) -> Finding:
    """Only the destination has a pod's address."""
    assert context.destination is not None  # the path has this hop only with a pod
    return judge_ipam(context, expected, [(Role.DESTINATION, context.destination)])


def check_source_identity(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The source identity in the entry of this connection."""
    wanted = _identities(context.source.node, expected.node)
    hop = context.hop(expected, f"identity of node {context.source.node.name}")
    hop.intent(f"identity {_or(wanted)}", {"identity": _or(wanted)})
    entry = context.connection.incoming
    if isinstance(entry, Unavailable):
        return hop.unknown(entry)
    if not isinstance(entry, CtEntry):
        if context.outcome.met:
            return hop.ok("not observed: the entry of this connection is already gone")
        message = "no packet of this connection was observed to arrive"
        return hop.unknown(Unavailable(Reason.NOT_OBSERVED, message))
    hop.observed(f"identity {entry.source_identity}", {"identity": entry.source_identity})
    if entry.source_identity not in wanted:
        message = (
            f"{expected.node} resolved the host to identity {entry.source_identity}, but it is {_or(wanted)}"
        )
        return hop.broken(Reason.WRONG_IDENTITY, message)
    return hop.ok(f"{expected.node} resolved the source to identity {entry.source_identity}")


def check_ingress_policy(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The destination's policy map, for the host's identity."""
    assert context.destination is not None  # the path has this hop only with a pod
    entry = context.connection.incoming
    seen = entry.source_identity if isinstance(entry, CtEntry) else 0
    wanted = _identities(context.source.node, expected.node)
    identity = seen if seen in wanted else min(wanted)
    gate = Gate(context.destination, identity, TrafficDirection.INGRESS, context.connection.received)
    return judge_gate(context, expected, gate)


def check_reply_ipcache(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The destination's node must have an entry for the host's source address."""
    client = _client(context)
    if isinstance(client, Unavailable):
        return context.hop(expected, "ipcache of the host").unknown(client)
    facts = context.source.node
    on_this_node = facts.name == expected.node
    # The address of `cilium_host` is reached through the tunnel, the node's own is not.
    routed = facts.cilium is not None and client in facts.cilium.cilium_internal_ips and not on_this_node
    behind = facts.cilium.internal_ips if routed and facts.cilium else ()
    tunneled = bool(behind) and context.config.routing_mode == "tunnel"
    intent = ExpectedRecord(client, _identities(facts, expected.node), behind, tunneled)
    return judge_record(context, expected, intent, identity_counts=False)


def check_reply_delivery(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The source's node must have an entry for its own address, and its stack must accept replies from its own pods.

    Replies from another node arrive at its uplink or come out of a tunnel: the hop of the route judges those.
    """
    client = _client(context)
    if isinstance(client, Unavailable):
        return context.hop(expected, "cilium_lxc").unknown(client)
    finding = _own_address(context, expected, client, seen=context.connection.connected)
    hop = context.hop(expected, f"input of {expected.node}")
    faults = [] if context.path.cross_node else list(input_blocked(context, expected.node, reply=True))
    return worst_of(hop, finding, fault_to_host(context, expected.node), *faults)


# ---- both


def _client(context: CheckContext) -> IpAddress | Unavailable:
    assert context.backend is not None  # the path has the hops of a reply only with a backend
    return client_address(context.plan, context.backend, context.reader, context.config)


def _record(context: CheckContext, node: str, address: IpAddress) -> IpcacheRecord | Absent | Unavailable:
    layout = context.layout(node)
    if isinstance(layout, Unavailable):
        return layout
    return context.reader.read(ipcache.lookup(node, layout, address), ipcache.parse)


def _own_address(context: CheckContext, expected: ExpectedHop, address: IpAddress, *, seen: bool) -> Finding:
    """The endpoint map's entry for an address of the node itself."""
    hop = context.hop(expected, f"cilium_lxc[{address}]")
    hop.intent(f"an address of {expected.node} itself", {"address": address})
    if seen:
        hop.observed("packets of this connection were delivered to the host")
    fact = lxcmap.lookup(expected.node, address)
    record = context.reader.read(fact, lxcmap.parse)
    if isinstance(record, Unavailable):
        return hop.unknown(record)
    if isinstance(record, Absent):
        hop.programmed("no entry")
        message = f"the endpoint map of {expected.node} has no entry for {address}, one of its own addresses"
        contradiction = Contradiction(Reason.ENDPOINT_ENTRY_MISSING, message, (Defect.MISROUTED,), (fact,))
        return hop.stale(contradiction)
    if EndpointFlag.HOST not in record.flags:
        hop.programmed("an endpoint", {"endpointID": record.endpoint_id, "ifindex": record.ifindex})
        message = f"the endpoint map of {expected.node} has its own address {address} as endpoint {record.endpoint_id}"
        contradiction = Contradiction(Reason.ENDPOINT_ENTRY_MISMATCH, message, (Defect.MISROUTED,), (fact,))
        return hop.stale(contradiction)
    hop.programmed("an address of the host")
    return hop.ok(f"{expected.node} has {address} as its own address")


def _or(identities: frozenset[int]) -> str:
    return " or ".join(map(str, sorted(identities)))
