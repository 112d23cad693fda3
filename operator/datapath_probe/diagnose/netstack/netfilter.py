"""Packet filters that drop packets of a request that failed: those of the nodes, and those inside the pods.

Three answers: a rule that certainly means this connection is what is wrong; one that may mean it or not
leaves the hop Unknown; else there is none. Called by the checks, each for the hooks that its hop owns.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from ...api.reasons import Reason
from ...evidence.errors import EvidenceError
from ...evidence.fact import Fact
from ...evidence.reading import Unavailable
from ...sources.client_report import ClientFailure, ClientReport
from ...sources.netfilter import iptables, nftables
from ...sources.packet import DIVERTS, REDIRECTS, Loss, Packet
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.faults import Fault, if_expected
from ..finding.hop_check import Contradiction

# The hooks of netfilter that a packet meets.
LEAVING, ARRIVING = ("OUTPUT", "POSTROUTING", "EGRESS"), ("INGRESS", "PREROUTING", "INPUT")
FORWARDED = ("INGRESS", "PREROUTING", "FORWARD", "POSTROUTING", "EGRESS")

_Search = Callable[[Sequence[str], Packet], Loss | None]


def filtered(
    context: CheckContext,
    node: str,
    hooks: Sequence[str],
    packet: Packet,
    defect: Defect = Defect.FILTERED,
    namespace: str | None = None,
) -> Fault:
    """A rule of the node, or inside a pod by its namespace, that drops this packet at one of the hooks, or a later one
    of its connection. One that is found counts, also where those of the other kind can't be seen. Unavailable where
    it is not known whether a rule that drops packets has dropped these: that counts after a failed request alone.
    """
    if not context.needs_loss_search:
        return None
    suspect = _filtering(context, node, hooks, packet, defect, namespace)
    return suspect if context.outcome.met is False or isinstance(suspect, Contradiction) else None


def _filtering(
    context: CheckContext,
    node: str,
    hooks: Sequence[str],
    packet: Packet,
    defect: Defect,
    namespace: str | None,
) -> Fault:
    where = f"inside the pod on {node}" if namespace else f"on {node}"
    silent: list[Unavailable] = []
    for fact, search in _searches(context, node, namespace):
        if isinstance(search, Unavailable):
            silent.append(search)
            continue
        for met, harm in ((packet, defect), (packet.with_data(), Defect.DATA_LOST)):
            loss = search(hooks, met)
            if loss and loss.certain and _counts(context, loss):
                return _filters(where, loss, fact, harm)
            if loss:
                silent.insert(0, _may_filter(where, loss))
    return next((reading for reading in map(if_expected, silent) if reading), None)


def hooked(context: CheckContext, node: str, device: str, hook: str, packet: Packet, defect: Defect) -> Fault:
    """A rule of the node at one side of a device itself, where packets may not pass: redirected ones don't. So it must
    have counted some.
    """
    if context.outcome.met is not False:
        return None
    fact = nftables.fact(node)
    chains = context.reader.read(fact, nftables.parse)
    if isinstance(chains, Unavailable):
        return if_expected(chains)
    at, where = replace(packet, devices=frozenset({device})), f"at {device} on {node}"
    for met, harm in ((at, defect), (at.with_data(), Defect.DATA_LOST)):
        loss = nftables.loss(chains, (hook,), met)
        if loss and loss.certain and loss.packets:
            return _filters(where, loss, fact, harm)
        if loss:
            return _may_filter(where, loss)
    return None


def _searches(
    context: CheckContext, node: str, namespace: str | None
) -> Iterator[tuple[Fact, _Search | Unavailable]]:
    """Filters of each kind, ready to be searched, by the fact that tells of them. Nodes may send packets elsewhere,
    for Services; inside a pod that is as good as a drop, unless there is a connection.
    """
    translated = namespace is not None and (
        not context.connection.connected or context.connection.no_conntrack_entries
    )
    of_iptables, of_nft = iptables.fact(node, namespace), nftables.fact(node, namespace)
    filters = context.reader.read(of_iptables, iptables.parse)
    chains = context.reader.read(of_nft, nftables.parse)
    yield of_iptables, _iptables(filters, translated=translated)
    other = context.reader.read(of_iptables, iptables.other_backend)
    if isinstance(other, str):
        of_other = iptables.fact(node, namespace, other)
        filters = context.reader.read(of_other, iptables.parse)
        if not (isinstance(filters, Unavailable) and filters.reason == EvidenceError.COMMAND_FAILED):
            yield of_other, _iptables(filters, translated=translated)  # else there is no such backend
    if isinstance(chains, Unavailable):
        yield of_nft, chains
    else:
        yield of_nft, partial(nftables.loss, chains, translated=translated)


def _counts(context: CheckContext, loss: Loss) -> bool:
    """Whether what is sent elsewhere is lost: nothing took the connection, or something did that no node knows of.
    Else, and where it is redirected to this very pod, a sidecar may be there to take it.
    """
    if loss.does not in (REDIRECTS, DIVERTS):
        return True
    syn_rejected = (
        isinstance(context.report, ClientReport) and context.report.failure is ClientFailure.NOT_CONNECTED
    )
    return syn_rejected or (loss.does == DIVERTS and context.connection.no_conntrack_entries)


def _iptables(filters: iptables.Filters | Unavailable, *, translated: bool) -> _Search | Unavailable:
    if isinstance(filters, Unavailable):
        return filters
    return partial(iptables.loss, filters, translated=translated)


def _filters(where: str, loss: Loss, fact: Fact, defect: Defect) -> Contradiction:
    message = f"a packet filter rule {where} {loss.does} the packets: {_rule(loss)}"
    return Contradiction(Reason.NETFILTER_DROPS, message, (defect,), (fact,))


def _may_filter(where: str, loss: Loss) -> Unavailable:
    unknown = "what becomes of them" if loss.certain else "whether this connection's are among them"
    message = f"a packet filter rule {where} {loss.does} packets, and {unknown} is not known: {_rule(loss)}"
    return Unavailable(Reason.NOT_OBSERVED, message)


def _rule(loss: Loss) -> str:
    so_far = "" if loss.packets is None else f", {loss.packets} so far"
    return f"{loss.rule} (table {loss.table}{so_far})"
