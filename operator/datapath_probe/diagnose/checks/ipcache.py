"""Hops `ipcache-lookup` and `reply-ipcache`: the identity and tunnel endpoint of an address on one node.

Both judge the longest-prefix entry that the node's programs find. Exercises 5 and 6.
Source: Cilium 1.18 `bpf/lib/eps.h` (`lookup_ip4_remote_endpoint`), `bpf/bpf_lxc.c`, `pkg/maps/ipcache`.
"""

from dataclasses import dataclass

from ...addresses import IpAddress
from ...api.reasons import Reason
from ...api.vocabulary import Encapsulation
from ...evidence.reading import Unavailable
from ...plan.path import ExpectedHop
from ...plan.plan import PodFacts
from ...sources.maps.ipcache import IpcacheFlag, IpcacheRecord
from ..context import CheckContext
from ..datapath.ipcache_match import IpcacheMatch, lookup_ipcache
from ..failure_model.effect import Defect
from ..finding.faults import worst_of
from ..finding.finding import Finding
from ..finding.hop_check import Contradiction, HopCheck
from .endpoint_map import unexpected_source_entry


def check_ipcache_lookup(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The source's node must have the right entry for the destination."""
    destination = context.destination
    assert destination is not None  # the path has this hop only with a destination
    return _judge(context, expected, destination, identity_counts=True)


def check_reply_ipcache(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The destination's node must have the right entry for the source, and no endpoint entry for it. With native
    routing, its policy also uses the source's identity from this entry.
    """
    native = context.path.encapsulation is Encapsulation.NONE and context.path.cross_node
    finding = _judge(context, expected, context.source, identity_counts=native)
    address = context.source.ip
    hop = context.hop(expected, f"cilium_lxc[{address}]")
    return worst_of(hop, finding, unexpected_source_entry(context, hop))


@dataclass(frozen=True, slots=True)
class ExpectedRecord:
    """The entry that a node should have. `behind`: the addresses of the other node; empty if the address is on this
    one. `tunneled`: packets to it are encapsulated.
    """

    address: IpAddress
    identities: frozenset[int]
    behind: tuple[IpAddress, ...]
    tunneled: bool

    @property
    def identity_text(self) -> str:
        """The identities as text."""
        return " or ".join(map(str, sorted(self.identities)))


def _judge(context: CheckContext, expected: ExpectedHop, pod: PodFacts, *, identity_counts: bool) -> Finding:
    """Compare the node's entry for the pod with its CiliumEndpoint and its node's address."""
    address = pod.ip
    if pod.endpoint is None or pod.node.cilium is None:
        return context.hop(expected, f"ipcache[{address}]").unknown(
            Unavailable(
                Reason.CILIUM_ENDPOINT_MISSING,
                f"no CiliumEndpoint or CiliumNode shows the identity and node of {address}",
            )
        )
    intent = ExpectedRecord(
        address,
        frozenset({pod.endpoint.identity}),
        behind=pod.node.cilium.internal_ips if pod.node.name != expected.node else (),
        tunneled=pod.node.name != expected.node and context.path.encapsulation is not Encapsulation.NONE,
    )
    return judge_record(context, expected, intent, identity_counts=identity_counts)


def judge_record(
    context: CheckContext,
    expected: ExpectedHop,
    intent: ExpectedRecord,
    *,
    identity_counts: bool,
) -> Finding:
    """Compare the node's entry with intent. `identity_counts`: a policy on this path uses the identity."""
    hop = context.hop(expected, f"ipcache[{intent.address}]")
    hop.intent(
        f"identity {intent.identity_text}"
        + (f" behind {intent.behind[0]}" if intent.behind else " on this node"),
        {"identity": intent.identity_text, "tunnelEndpoint": intent.behind[0] if intent.behind else ""},
    )
    of_identity = (Defect.WRONG_IDENTITY,) if identity_counts else ()
    match = lookup_ipcache(context, expected.node, intent.address)
    if isinstance(match, Unavailable):
        return hop.unknown(match)
    hop.rests_on_maps(match.rests_on[0])
    record = match.own
    if record is None:
        return _unknown_pod(hop, intent, match, of_identity)
    behind = f" behind {record.tunnel_endpoint}" if record.tunnel_endpoint else ""
    hop.programmed(
        f"identity {record.identity}{behind}",
        {
            "identity": record.identity,
            "tunnelEndpoint": record.tunnel_endpoint or "",
            "encryptKey": record.encrypt_key,
        },
    )
    fault = _fault(context, expected.node, intent, record)
    if fault is None:
        return hop.ok(f"{intent.address} is identity {record.identity}{behind}")
    reason, message = fault
    misrouted = (Defect.MISROUTED,) if intent.tunneled else ()
    defects = of_identity if reason is Reason.WRONG_IDENTITY else misrouted
    return hop.stale(Contradiction(reason, message, defects, match.rests_on))


def _fault(
    context: CheckContext, node: str, intent: ExpectedRecord, record: IpcacheRecord
) -> tuple[Reason, str] | None:
    """What is wrong with the entry of the address itself."""
    address, tunnels, found = intent.address, intent.behind, record.tunnel_endpoint
    if record.identity not in intent.identities:
        return (
            Reason.WRONG_IDENTITY,
            f"the ipcache of {node} maps {address} to identity {record.identity}, but it is {intent.identity_text}",
        )
    if found not in tunnels if tunnels else found is not None:
        endpoint = f"has tunnel endpoint {found}" if found else "has no tunnel endpoint"
        where = f"on {tunnels[0]}" if tunnels else "on this node"
        return (
            Reason.WRONG_TUNNEL_ENDPOINT,
            f"the ipcache of {node} {endpoint} for {address}, but the address is {where}",
        )
    if intent.tunneled and IpcacheFlag.SKIP_TUNNEL in record.flags and context.outcome.met is False:
        return (
            Reason.WRONG_TUNNEL_ENDPOINT,
            f"the ipcache of {node} has the flag skip_tunnel for {address}, so packets bypass the tunnel",
        )
    return None


def _unknown_pod(
    hop: HopCheck,
    intent: ExpectedRecord,
    match: IpcacheMatch,
    of_identity: tuple[Defect, ...],
) -> Finding:
    """No /32 (/128) entry: a wider prefix applies, with its identity, or none at all."""
    wider = match.found
    if wider is None:
        hop.programmed("no entry")
        what_happens = "no prefix matches it"
    else:
        hop.programmed(
            f"only a wider prefix: identity {wider.identity}",
            {"identity": wider.identity, "tunnelEndpoint": wider.tunnel_endpoint or ""},
        )
        what_happens = f"a wider prefix gives it identity {wider.identity}"
    lost = intent.tunneled and (wider is None or wider.tunnel_endpoint is None)
    return hop.stale(
        Contradiction(
            Reason.IPCACHE_ENTRY_MISSING,
            f"the ipcache of {hop.expected.node} has no entry for {intent.address}: {what_happens}",
            (*of_identity, *((Defect.MISROUTED,) if lost else ())),
            match.rests_on,
        )
    )
