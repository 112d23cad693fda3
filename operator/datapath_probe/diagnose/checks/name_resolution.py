"""Hop `name-resolution`: the name resolves to an address of the Service. Exercise 7."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ...addresses import IpAddress, family_of
from ...api.reasons import Reason
from ...api.vocabulary import HopVerdict
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ...plan.plan import AddressTarget
from ...sources.client_report import ClientFailure, ClientReport
from ..context import CheckContext
from ..datapath.listed_addresses import wrongly_listed
from ..finding.finding import Finding
from ..finding.hop_check import HopCheck
from .service import balances_as_planned
from .subpaths.dns_path import Queries, first_fault, judge_dns_path, queries

# The shortest timeout of resolvers, and the default one.
_ANSWERED_S, _UNANSWERED_S = 1.0, 5.0
_OTHER_RESOLVERS = ("Default", "None")


@dataclass(frozen=True, slots=True)
class _Expected:
    """The addresses that the name should resolve to, with their text and facts. `addresses` None: not known."""

    addresses: frozenset[IpAddress] | None
    text: str
    facts: Mapping[str, str]


def check_name_resolution(context: CheckContext, expected: ExpectedHop) -> Finding:
    """Compare curl's report with the addresses that the name should resolve to."""
    hop, right, report = context.hop(expected, context.plan.request.host), _expected(context), context.report
    hop.intent(right.text, right.facts)
    if not isinstance(report, ClientReport):
        return hop.ok("not resolved yet") if report is None else hop.unknown(report)
    if is_unresolved(context, report):
        return _unresolved(context, hop, report, right)
    if report.remote_ip and family_of(report.remote_ip) is not context.plan.family:
        message = f"curl connected to {report.remote_ip}; paths of another IP version are not followed"
        return hop.unknown(Unavailable(Reason.UNSUPPORTED_DESTINATION, message))
    return _unexpected_address(context, hop, report, right) or _expected_address(context, hop, report)


def _expected(context: CheckContext) -> _Expected:
    """The ClusterIP; for a headless Service, its endpoints; for a name outside the cluster, any address."""
    frontend = context.plan.frontend
    if isinstance(context.plan.target, AddressTarget):
        return _Expected(None, "an address outside the cluster", {})
    if frontend:
        text = f"the ClusterIP of the Service, {frontend.ip}"
        return _Expected(frozenset({frontend.ip}), text, {"clusterIP": str(frontend.ip)})
    addresses = frozenset(backend.ip for backend in context.plan.backends)
    text = f"one of {len(addresses)} ready endpoint(s)"
    return _Expected(addresses, text, {"backends": ", ".join(sorted(map(str, addresses)))})


def _unresolved(context: CheckContext, hop: HopCheck, report: ClientReport, right: _Expected) -> Finding:
    """curl had no address to connect to."""
    hop.observed("curl got no address", _facts(report))
    if right.addresses is not None and not right.addresses:
        message = f"the Service behind {context.plan.request.host} is headless and has no ready endpoint"
        return hop.broken(Reason.NO_READY_BACKENDS, message)
    return _why_unresolved(context, hop, report)


def _unexpected_address(
    context: CheckContext, hop: HopCheck, report: ClientReport, right: _Expected
) -> Finding | None:
    """curl reports the address that it connected to, even if its socket was translated to a backend."""
    called = report.remote_ip or _called(context)
    backends = () if report.remote_ip else context.plan.backends
    if (
        not called
        or right.addresses is None
        or called in right.addresses | {backend.ip for backend in backends}
    ):
        return None
    hop.observed(f"curl connected to {called}", {**_facts(report), "remoteIP": str(called)})
    return hop.broken(
        Reason.DNS_UNEXPECTED_ANSWER,
        f"{context.plan.request.host} resolved to {called}, but it should resolve to {right.text}",
    )


def _expected_address(context: CheckContext, hop: HopCheck, report: ClientReport) -> Finding:
    """curl connected to an expected address, or nothing shows which one."""
    called = report.remote_ip or _shown(context)
    if not called:
        message = (
            f"no trace of this connection shows the address that {context.plan.request.host} resolved to"
        )
        return hop.unknown(Unavailable(Reason.NOT_OBSERVED, message))
    facts = _facts(report)
    hop.observed(f"curl connected to {called}", facts)
    if isinstance(context.plan.target, AddressTarget) and called in context.source.addresses:
        message = f"{context.plan.request.host} resolved to {called}, the source's own address"
        return hop.unknown(Unavailable(Reason.UNSUPPORTED_DESTINATION, message))
    slowed = _slowed(context, hop, report)
    wrong = (
        wrongly_listed(context) if context.plan.frontend is None else None
    )  # else found by the Service's lookup
    return slowed or (hop.stale(wrong) if wrong else hop.ok(f"resolved in {facts['nameLookup']}"))


def _facts(report: ClientReport) -> dict[str, str]:
    took = f"{report.timings.name_lookup * 1000:.1f} ms"
    return {"remoteIP": str(report.remote_ip or ""), "nameLookup": took}


def _slowed(context: CheckContext, hop: HopCheck, report: ClientReport) -> Finding | None:
    """A slow resolution: a name server can't be reached, and another one, or a second query, answered."""
    nameserver, took_s = context.plan.nameserver, report.timings.name_lookup
    if not context.outcome.met or took_s < _ANSWERED_S:
        return None
    slow = f"{context.plan.request.host} took {took_s:.1f} s to resolve"
    findings = judge_dns_path(context, nameserver) if nameserver else []
    found = first_fault(findings)
    if found:
        reason, cause = found
        message = f"{slow}: on the path to the cluster's DNS, {cause.hop} on {cause.node}: {cause.message}"
        return replace(hop.broken(reason, message), cause=cause)
    doubt = next((finding for finding in findings if finding.needs_second_look), None)
    if doubt:
        return hop.unknown(Unavailable(doubt.reason, f"{slow}; {doubt.message}"), tuple(doubt.confirm))
    if took_s < _UNANSWERED_S:
        return None
    return hop.broken(Reason.DNS_TIMEOUT, f"{slow}: a query was not answered in time, and a later one was")


def _why_unresolved(context: CheckContext, hop: HopCheck, report: ClientReport) -> Finding:
    """Why a name did not resolve: with the finding on the path to the cluster's DNS that explains it, if any, and
    otherwise with what is taken for granted.
    """
    unresolved, nameserver = (
        f"{context.plan.request.host} did not resolve in the source pod",
        context.plan.nameserver,
    )
    if nameserver is None:
        policy = context.source.pod.dns_policy
        known = policy in _OTHER_RESOLVERS
        resolver = f"its dnsPolicy is {policy}" if known else "which name server it asks is not known"
        return hop.broken(Reason.DNS_LOOKUP_FAILED, f"{unresolved}; {resolver}")
    where = f"the cluster's DNS at {nameserver.frontend.address}"
    findings = judge_dns_path(context, nameserver)
    found = first_fault(findings)
    servers = ", ".join(str(backend.ip) for backend in nameserver.backends)
    hop.programmed(
        f"the path to {where}: {_ok_count(findings)}",
        {"nameServer": nameserver.frontend.ip, "nameServers": servers},
    )
    if found:
        reason, cause = found
        message = f"on the path to {where}, {cause.hop} on {cause.node}: {cause.message}"
        return replace(hop.broken(reason, f"{unresolved}: {message}"), cause=cause)
    judged = all(finding.verdict is HopVerdict.OK for finding in findings)
    reason, why = _unanswered(report, where, queries(context, nameserver), judged=judged)
    assumes = next((one.assumes for one in findings if one.assumes), "")
    return replace(hop.broken(reason, unresolved + why), assumes=assumes)


def _unanswered(report: ClientReport, where: str, seen: Queries, *, judged: bool) -> tuple[Reason, str]:
    """The reason and message if no fault was found on the path to the name server. `judged`: all of its hops are Ok."""
    if seen.refused_by:
        return Reason.DNS_PATH_BROKEN, f": nothing listens at {seen.refused_by}, {where}"
    if not judged:
        return Reason.DNS_LOOKUP_FAILED, f", and not every hop to {where} can be judged"
    if seen.sent is False:
        return Reason.DNS_LOOKUP_FAILED, f": no query of this run went to {where}"
    if seen.sent is None:
        return Reason.DNS_LOOKUP_FAILED, f"; it is unknown whether this run sent a query to {where}"
    if report.failure is ClientFailure.NAME_NOT_RESOLVED and report.timings.total < _ANSWERED_S:
        return Reason.DNS_NO_ADDRESS, f": {where} answered, but with no address"
    if report.failure is ClientFailure.TIMED_OUT or report.timings.total >= _UNANSWERED_S:
        return (
            Reason.DNS_TIMEOUT,
            f": no fault was found on the path to {where}, but there was no answer",
        )
    return Reason.DNS_LOOKUP_FAILED, ""


def _called(context: CheckContext) -> IpAddress | None:
    """The destination address of untranslated packets in events, because curl reports no address of a failed
    connection. None if there is none, or if a socket may have translated them: that leaves no entry, but the result is
    always one of the node's backends.
    """
    connection, port = context.connection, context.plan.request.port
    by_socket = context.config.socket_lb and not context.source.pod.host_network
    is_known = (context.translates and isinstance(connection.service, Absent)) or (
        by_socket and balances_as_planned(context)
    )
    if connection.chosen or connection.translated or connection.untranslated or not is_known:
        return None
    sent = connection.events.sent_on(context.path.source_node)
    return next((observation.to[0] for observation in sent if observation.to[1] == port), None)


def _shown(context: CheckContext) -> IpAddress | None:
    """The expected address, if packets of this connection show that curl used it; otherwise None."""
    connection, frontend = context.connection, context.plan.frontend
    if frontend is None:
        return connection.chosen.ip if connection.chosen else None
    to = {observation.to for observation in connection.events.observations if not observation.reply}
    to |= {drop.to for drop in connection.events.drops if not drop.reply}
    known = connection.translated or connection.untranslated or connection.chosen
    return frontend.ip if known or (frontend.ip, frontend.number) in to else None


def _ok_count(findings: Sequence[Finding]) -> str:
    ok = sum(finding.verdict is HopVerdict.OK for finding in findings)
    return f"{ok} of {len(findings)} hops ok"


def is_unresolved(context: CheckContext, report: ClientReport) -> bool:
    """Whether curl had no address to connect to."""
    return report.failure is ClientFailure.NAME_NOT_RESOLVED or (
        report.failure is ClientFailure.TIMED_OUT
        and report.timings.name_lookup == 0
        and not context.connection.left
    )
