"""Packet filter rules of nodes and pods that drop packets of a failed request.

There are three results: a rule that certainly matches this connection is a fault; a rule that may match it leaves the
hop Unknown; otherwise there is none. Called by the checks for the hooks of their hops.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from ...addresses import IpAddress, IpFamily, family_of
from ...api.reasons import Reason
from ...evidence.errors import EvidenceError
from ...evidence.fact import Fact
from ...evidence.reading import Unavailable
from ...sources.client_report import ClientFailure, ClientReport
from ...sources.iproute2 import links
from ...sources.netfilter import iptables, nftables
from ...sources.packet import DIVERTS, REDIRECTS, Loss, Packet, Routes, RouteTo
from ..context import CheckContext
from ..failure_model.effect import Defect
from ..finding.faults import Fault, if_expected
from ..finding.hop_check import Contradiction

# The netfilter hooks that a packet traverses.
LEAVING, ARRIVING = ("OUTPUT", "POSTROUTING", "EGRESS"), ("INGRESS", "PREROUTING", "INPUT")
FORWARDED = ("INGRESS", "PREROUTING", "FORWARD", "POSTROUTING", "EGRESS")

_Search = Callable[[Sequence[str], Packet], Loss | Unavailable | None]


def filtered(
    context: CheckContext,
    node: str,
    hooks: Sequence[str],
    packet: Packet,
    defect: Defect = Defect.FILTERED,
    namespace: str | None = None,
) -> Fault:
    """A rule that drops this packet, or a later packet of its connection, at one of the hooks: a rule of the node, or
    of a pod, given its network namespace. A rule that is found counts even if other rules can't be read. Unavailable if
    it is unknown whether a rule matches these packets; this counts only after a failed request.
    """
    if not context.needs_loss_search:
        return None
    fault = _filtering(context, node, hooks, packet, defect, namespace)
    return fault if context.outcome.met is False or isinstance(fault, Contradiction) else None


def _filtering(
    context: CheckContext,
    node: str,
    hooks: Sequence[str],
    packet: Packet,
    defect: Defect,
    namespace: str | None,
) -> Fault:
    where = f"inside the pod on {node}" if namespace else f"on {node}"
    unknown: list[Unavailable] = []
    family = family_of(packet.destination)
    for fact, search in _searches(context, node, family, namespace, translated=namespace is not None):
        if isinstance(search, Unavailable):
            unknown.append(search)
            continue
        for met, harm in ((packet, defect), (packet.with_data(), Defect.DATA_LOST)):
            loss = search(hooks, met)
            if isinstance(loss, Unavailable):
                unknown.append(_too_many(where, loss))
                break
            if loss and loss.certain and _counts(context, loss):
                return _filters(where, loss, fact, harm)
            if loss:
                unknown.insert(0, _may_filter(where, loss))
    redirected = None if namespace else _redirected(context, node, hooks, packet, defect)
    return redirected or next((reading for reading in map(if_expected, unknown) if reading), None)


def _redirected(
    context: CheckContext, node: str, hooks: Sequence[str], packet: Packet, defect: Defect
) -> Contradiction | None:
    """A rule of the node that certainly sends this packet elsewhere, although it has the address of its destination:
    Services are translated before.
    """
    if context.connection.connected and not context.connection.is_of_another:
        return None
    for fact, search in _searches(context, node, family_of(packet.destination), None, translated=True):
        loss = None if isinstance(search, Unavailable) else search(hooks, packet)
        if isinstance(loss, Loss) and loss.certain and loss.does in (REDIRECTS, DIVERTS):
            return _filters(f"on {node}", loss, fact, defect)
    return None


def filtered_at_device(
    context: CheckContext, node: str, device: str, hook: str, packet: Packet, defect: Defect
) -> Fault:
    """A rule of the node at an ingress or egress hook of a device. Redirected packets bypass it, so it counts only if
    its counter is not zero.
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
        if isinstance(loss, Unavailable):
            return _too_many(where, loss)
        if loss and loss.certain and loss.packets:
            return _filters(where, loss, fact, harm)
        if loss:
            return _may_filter(where, loss)
    return None


def _searches(
    context: CheckContext, node: str, family: IpFamily, namespace: str | None, *, translated: bool
) -> Iterator[tuple[Fact, _Search | Unavailable]]:
    """The rule sets to search, each with its fact. `translated`: rules that redirect packets count like those that drop
    them, unless there is a connection. On nodes such rules are normal for Services, so that one that may match does not
    count.
    """
    translated = translated and (not context.connection.connected or context.connection.is_of_another)
    of_iptables, of_nft = iptables.fact(node, namespace, family=family), nftables.fact(node, namespace)
    parse = iptables.parse if namespace else iptables.parse_of_node
    filters = context.reader.read(of_iptables, parse)
    chains = context.reader.read(of_nft, nftables.parse)
    routes = partial(_route_to, context, node, namespace)
    yield of_iptables, _iptables(filters, routes, translated=translated)
    other = context.reader.read(of_iptables, iptables.other_backend)
    if isinstance(other, str):
        of_other = iptables.fact(node, namespace, other, family)
        filters = context.reader.read(of_other, parse)
        if not (isinstance(filters, Unavailable) and filters.reason == EvidenceError.COMMAND_FAILED):
            yield (
                of_other,
                _iptables(filters, routes, translated=translated),
            )  # otherwise there is no such backend
    if isinstance(chains, Unavailable):
        yield of_nft, chains
    else:
        yield of_nft, partial(nftables.loss, chains, translated=translated, routes=routes)


def _counts(context: CheckContext, loss: Loss) -> bool:
    """Whether a redirect loses the packets: there was no connection, or one that no node has an entry of. Otherwise,
    and for a redirect to the pod itself, a sidecar may handle them.
    """
    if loss.does not in (REDIRECTS, DIVERTS):
        return True
    syn_rejected = (
        isinstance(context.report, ClientReport) and context.report.failure is ClientFailure.NOT_CONNECTED
    )
    return syn_rejected or (loss.does == DIVERTS and context.connection.no_conntrack_entries)


def _iptables(
    filters: iptables.Filters | Unavailable, routes: Routes, *, translated: bool
) -> _Search | Unavailable:
    if isinstance(filters, Unavailable):
        return filters
    return partial(iptables.loss, filters, translated=translated, routes=routes)


def _route_to(context: CheckContext, node: str, namespace: str | None, ip: IpAddress) -> RouteTo | None:
    """The route of the node, or of the pod, to an address; read only if a rule depends on it."""
    fact = links.pod_route_to(node, namespace, ip) if namespace else links.route_to(node, ip)
    route = context.reader.read(fact, links.parse_route)
    if isinstance(route, Unavailable):
        return None
    return RouteTo(route.kind, route.device) if isinstance(route, links.Route) else RouteTo()


def _filters(where: str, loss: Loss, fact: Fact, defect: Defect) -> Contradiction:
    message = f"a packet filter rule {where} {loss.does} the packets: {_rule(loss)}"
    return Contradiction(Reason.NETFILTER_DROPS, message, (defect,), (fact,))


def _too_many(where: str, unknown: Unavailable) -> Unavailable:
    return replace(unknown, message=f"{unknown.message} ({where})")


def _may_filter(where: str, loss: Loss) -> Unavailable:
    unknown = "what happens to them" if loss.certain else "whether it matches this connection"
    message = f"a packet filter rule {where} {loss.does} packets, and {unknown} is unknown: {_rule(loss)}"
    return Unavailable(Reason.NOT_OBSERVED, message)


def _rule(loss: Loss) -> str:
    so_far = "" if loss.packets is None else f", {loss.packets} so far"
    return f"{loss.rule} (table {loss.table}{so_far})"
