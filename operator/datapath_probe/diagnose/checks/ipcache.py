"""Hops `ipcache-lookup` and `reply-ipcache`: what one node knows of an address: identity and tunnel endpoint.

Both judge the longest-prefix record that the node's programs would find. Exercises 5 and 6.
Source: Cilium 1.18 `bpf/lib/eps.h` (`lookup_ip4_remote_endpoint`), `bpf/bpf_lxc.c`, `pkg/maps/ipcache`.
"""

from dataclasses import dataclass

from ...api.reasons import Reason
from ...api.vocabulary import Encapsulation
from ...cilium.ipcache import IpcacheFlag
from ...evidence.reading import Unavailable
from ...plan.path import ExpectedHop
from ...plan.plan import PodFacts
from ..case import Case
from ..findings import Finding, Rung
from ..ipcache_record import Known, known
from ..judge import Contradiction, Hop
from ..suspects import unless
from .endpoint_map import replies_kept_here

_NOWHERE: frozenset[Rung] = frozenset()


def check_ipcache_lookup(case: Case, expected: ExpectedHop) -> Finding:
    """The source's node must know the destination."""
    destination = case.destination
    assert destination is not None  # the path has this hop only with a destination
    last = Rung.TRANSLATED if case.translates else Rung.NOTHING
    return _judge(
        case, expected, destination, identity_rungs=frozenset({last}), tunnel_rungs=frozenset({Rung.SENT})
    )


def check_reply_ipcache(case: Case, expected: ExpectedHop) -> Finding:
    """The destination's node must know the way back, and not keep replies for an endpoint of its own; in native routing
    it also takes the source's identity from its record.
    """
    native = case.path.encapsulation is Encapsulation.NONE and case.path.cross_node
    finding = _judge(
        case,
        expected,
        case.source,
        identity_rungs=frozenset({Rung.SENT}) if native else _NOWHERE,
        tunnel_rungs=frozenset({Rung.ANSWERED}),
    )
    address = case.source.pod.ip
    return unless(
        case.hop(expected, f"cilium_lxc[{address}]"), finding, replies_kept_here(case, expected.node)
    )


@dataclass(frozen=True, slots=True)
class ExpectedRecord:
    """What a node should know of an address. `behind`: the other node's addresses, none if it is on this one."""

    address: str
    identities: frozenset[int]
    behind: tuple[str, ...]
    tunneled: bool


def _judge(
    case: Case,
    expected: ExpectedHop,
    pod: PodFacts,
    identity_rungs: frozenset[Rung],
    tunnel_rungs: frozenset[Rung],
) -> Finding:
    """Compare the node's record for the pod with its CiliumEndpoint and its node's address."""
    address = pod.pod.ip
    if pod.endpoint is None or pod.node.cilium is None:
        return case.hop(expected, f"ipcache[{address}]").unknown(
            Unavailable(
                Reason.CILIUM_ENDPOINT_MISSING,
                f"no CiliumEndpoint or CiliumNode says what {address} should be",
            )
        )
    intent = ExpectedRecord(
        address,
        frozenset({pod.endpoint.identity}),
        behind=pod.node.cilium.internal_ips if pod.node.name != expected.node else (),
        tunneled=pod.node.name != expected.node and case.path.encapsulation is not Encapsulation.NONE,
    )
    return judge_record(case, expected, intent, identity_rungs, tunnel_rungs)


def judge_record(
    case: Case,
    expected: ExpectedHop,
    intent: ExpectedRecord,
    identity_rungs: frozenset[Rung],
    tunnel_rungs: frozenset[Rung],
) -> Finding:
    """Compare the node's record with intent.

    `identity_rungs`, `tunnel_rungs`: how far packets come if that part of the record is wrong.
    """
    address, tunnels, tunneled = intent.address, intent.behind, intent.tunneled
    identities = " or ".join(map(str, sorted(intent.identities)))
    hop = case.hop(expected, f"ipcache[{address}]")
    hop.intent(
        f"identity {identities}" + (f" behind {tunnels[0]}" if tunnels else " on this node"),
        {"identity": identities, "tunnelEndpoint": tunnels[0] if tunnels else ""},
    )
    record = known(case, expected.node, address)
    if isinstance(record, Unavailable):
        return hop.unknown(record)
    exact, rests_on = record.own, record.rests_on
    if exact is None:
        return _unknown_pod(hop, address, record, tunneled, identity_rungs, tunnel_rungs)
    hop.programmed(
        f"identity {exact.identity}" + (f" behind {exact.tunnel_endpoint}" if exact.tunnel_endpoint else ""),
        {
            "identity": exact.identity,
            "tunnelEndpoint": exact.tunnel_endpoint or "",
            "encryptKey": exact.encrypt_key,
        },
    )
    if exact.identity not in intent.identities:
        return hop.stale(
            Contradiction(
                Reason.WRONG_IDENTITY,
                f"{expected.node} takes {address} for identity {exact.identity}, but it is {identities}",
                identity_rungs,
                rests_on,
            )
        )
    wrong_tunnel = exact.tunnel_endpoint not in tunnels if tunnels else exact.tunnel_endpoint is not None
    if wrong_tunnel:
        return hop.stale(
            Contradiction(
                Reason.WRONG_TUNNEL_ENDPOINT,
                f"{expected.node} looks for {address} behind {exact.tunnel_endpoint or 'no node'}, but it is "
                + (f"on {tunnels[0]}" if tunnels else "on this very node"),
                tunnel_rungs if tunneled else _NOWHERE,
                rests_on,
            )
        )
    if tunneled and IpcacheFlag.SKIP_TUNNEL in exact.flags and case.outcome.met is False:
        message = f"{expected.node} sends packets to {address} past the tunnel, by its flag skip_tunnel"
        return hop.stale(Contradiction(Reason.WRONG_TUNNEL_ENDPOINT, message, tunnel_rungs, rests_on))
    return hop.fine(
        f"{address} is identity {exact.identity}" + (f" behind {exact.tunnel_endpoint}" if tunnels else "")
    )


def _unknown_pod(
    hop: Hop,
    address: str,
    record: Known,
    tunneled: bool,
    identity_rungs: frozenset[Rung],
    tunnel_rungs: frozenset[Rung],
) -> Finding:
    """No /32 (/128): traffic goes by a wider prefix, with the identity of that prefix, or not at all."""
    node, fallback = hop.expected.node, record.found
    if fallback is None:
        hop.programmed("no record at all")
        what_happens = "no prefix matches it at all"
    else:
        hop.programmed(
            f"only a wider prefix: identity {fallback.identity}",
            {"identity": fallback.identity, "tunnelEndpoint": fallback.tunnel_endpoint or ""},
        )
        what_happens = f"a wider prefix takes it for identity {fallback.identity}"
    lost = tunneled and (fallback is None or fallback.tunnel_endpoint is None)
    return hop.stale(
        Contradiction(
            Reason.IPCACHE_ENTRY_MISSING,
            f"the ipcache of {node} has no entry for {address}: {what_happens}",
            identity_rungs | (tunnel_rungs if lost else _NOWHERE),
            record.rests_on,
        )
    )
