"""Hops `ipcache-lookup` and `reply-ipcache`: what one node knows of an address: identity and tunnel endpoint.

Both judge the longest-prefix record that the node's programs would find. Exercises 5 and 6.
Source: Cilium 1.18 `bpf/lib/eps.h` (`lookup_ip4_remote_endpoint`), `bpf/bpf_lxc.c`, `pkg/maps/ipcache`.
"""

from dataclasses import dataclass

from ...api.reasons import Reason
from ...api.vocabulary import Encapsulation
from ...evidence.reading import Unavailable
from ...plan.path import ExpectedHop
from ...plan.plan import PodFacts
from ...sources.maps.ipcache import IpcacheFlag, IpcacheRecord
from ..context import CheckContext
from ..datapath.ipcache_match import IpcacheMatch, known
from ..failure_model.effect import Defect
from ..finding.faults import worst_of
from ..finding.finding import Finding
from ..finding.hop_check import Contradiction, HopCheck
from .endpoint_map import replies_kept_here


def check_ipcache_lookup(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The source's node must know the destination."""
    destination = context.destination
    assert destination is not None  # the path has this hop only with a destination
    return _judge(context, expected, destination, identity_counts=True)


def check_reply_ipcache(context: CheckContext, expected: ExpectedHop) -> Finding:
    """The destination's node must know where the source is, and not keep replies for an endpoint of its own; in native
    routing it also takes the source's identity from its record.
    """
    native = context.path.encapsulation is Encapsulation.NONE and context.path.cross_node
    finding = _judge(context, expected, context.source, identity_counts=native)
    address = context.source.pod.ip
    hop = context.hop(expected, f"cilium_lxc[{address}]")
    return worst_of(hop, finding, replies_kept_here(context, hop))


@dataclass(frozen=True, slots=True)
class ExpectedRecord:
    """What a node should know of an address. `behind`: the other node's addresses, none if it is on this one."""

    address: str
    identities: frozenset[int]
    behind: tuple[str, ...]
    tunneled: bool

    @property
    def identity_text(self) -> str:
        """The identities, for people."""
        return " or ".join(map(str, sorted(self.identities)))


def _judge(context: CheckContext, expected: ExpectedHop, pod: PodFacts, *, identity_counts: bool) -> Finding:
    """Compare the node's record for the pod with its CiliumEndpoint and its node's address."""
    address = pod.pod.ip
    if pod.endpoint is None or pod.node.cilium is None:
        return context.hop(expected, f"ipcache[{address}]").unknown(
            Unavailable(
                Reason.CILIUM_ENDPOINT_MISSING,
                f"no CiliumEndpoint or CiliumNode says what {address} should be",
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
    """Compare the node's record with intent. `identity_counts`: some policy judges packets of this path by it."""
    hop = context.hop(expected, f"ipcache[{intent.address}]")
    hop.intent(
        f"identity {intent.identity_text}"
        + (f" behind {intent.behind[0]}" if intent.behind else " on this node"),
        {"identity": intent.identity_text, "tunnelEndpoint": intent.behind[0] if intent.behind else ""},
    )
    of_identity = (Defect.WRONG_IDENTITY,) if identity_counts else ()
    match = known(context, expected.node, intent.address)
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
    led = (Defect.LED_ELSEWHERE,) if intent.tunneled else ()
    defects = of_identity if reason is Reason.WRONG_IDENTITY else led
    return hop.stale(Contradiction(reason, message, defects, match.rests_on))


def _fault(
    context: CheckContext, node: str, intent: ExpectedRecord, record: IpcacheRecord
) -> tuple[Reason, str] | None:
    """What is wrong with a record of the address itself."""
    address, tunnels, found = intent.address, intent.behind, record.tunnel_endpoint
    if record.identity not in intent.identities:
        return (
            Reason.WRONG_IDENTITY,
            f"the ipcache of {node} maps {address} to identity {record.identity}, but it is {intent.identity_text}",
        )
    if found not in tunnels if tunnels else found is not None:
        leads = f"to the tunnel endpoint {found}" if found else "to no tunnel endpoint"
        where = f"on {tunnels[0]}" if tunnels else "on this very node"
        return (
            Reason.WRONG_TUNNEL_ENDPOINT,
            f"the ipcache of {node} leads packets for {address} {leads}, but it is {where}",
        )
    if intent.tunneled and IpcacheFlag.SKIP_TUNNEL in record.flags and context.outcome.met is False:
        return (
            Reason.WRONG_TUNNEL_ENDPOINT,
            f"the ipcache of {node} has packets for {address} pass the tunnel by, by its flag skip_tunnel",
        )
    return None


def _unknown_pod(
    hop: HopCheck,
    intent: ExpectedRecord,
    match: IpcacheMatch,
    of_identity: tuple[Defect, ...],
) -> Finding:
    """No /32 (/128): traffic goes by a wider prefix, with the identity of that prefix, or not at all."""
    wider = match.found
    if wider is None:
        hop.programmed("no record at all")
        what_happens = "no prefix matches it at all"
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
            (*of_identity, *((Defect.LED_ELSEWHERE,) if lost else ())),
            match.rests_on,
        )
    )
