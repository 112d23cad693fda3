"""Hop `name-resolution`: the name led to an address of the Service. Exercise 7."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ...api.reasons import Reason
from ...api.vocabulary import HopVerdict
from ...evidence.reading import Absent, Unavailable
from ...plan.path import ExpectedHop
from ...sources.client_report import ClientFailure, ClientReport
from ..context import CheckContext
from ..finding.finding import Finding
from ..finding.hop_check import HopCheck
from .dns_path import Queries, culprit, queries, walk
from .service import balances_as_planned

# The least time that resolvers wait for an answer, and what they wait by default.
_ANSWERED_S, _UNANSWERED_S = 1.0, 5.0
_OTHER_RESOLVERS = ("Default", "None")


@dataclass(frozen=True, slots=True)
class _Expected:
    """The addresses that the name should lead to, in words and as facts."""

    addresses: frozenset[str]
    text: str
    facts: Mapping[str, str]


def check_name_resolution(context: CheckContext, expected: ExpectedHop) -> Finding:
    """curl's report, held against what the name should lead to."""
    hop, right, report = context.hop(expected, context.plan.request.host), _expected(context), context.report
    hop.intent(right.text, right.facts)
    if not isinstance(report, ClientReport):
        return hop.ok("not asked yet") if report is None else hop.unknown(report)
    if is_unresolved(context, report):
        return _unresolved(context, hop, report, right)
    if report.remote_ip and (":" in report.remote_ip) != (":" in context.source.pod.ip):
        message = f"curl called {report.remote_ip}; paths of another IP version are not followed"
        return hop.unknown(Unavailable(Reason.UNSUPPORTED_DESTINATION, message))
    return _led_elsewhere(context, hop, report, right) or _led_right(context, hop, report)


def _expected(context: CheckContext) -> _Expected:
    """The ClusterIP; of a headless Service, its endpoints."""
    frontend = context.plan.frontend
    if frontend:
        text = f"the ClusterIP of the Service, {frontend.ip}"
        return _Expected(frozenset({frontend.ip}), text, {"clusterIP": frontend.ip})
    addresses = frozenset(backend.ip for backend in context.plan.backends)
    text = f"one of {len(addresses)} ready endpoint(s)"
    return _Expected(addresses, text, {"backends": ", ".join(sorted(addresses))})


def _unresolved(context: CheckContext, hop: HopCheck, report: ClientReport, right: _Expected) -> Finding:
    """curl never had an address to connect to."""
    hop.observed("curl got no address", _facts(report))
    if not right.addresses:
        message = f"the Service behind {context.plan.request.host} is headless and has no ready endpoint"
        return hop.broken(Reason.NO_READY_BACKENDS, message)
    reason, message, cause = _why_unresolved(context, hop, report)
    return replace(hop.broken(reason, message), cause=cause)


def _led_elsewhere(
    context: CheckContext, hop: HopCheck, report: ClientReport, right: _Expected
) -> Finding | None:
    """curl reports the address that it called, also where its socket was led to a backend."""
    called = report.remote_ip or _called(context)
    backends = () if report.remote_ip else context.plan.backends
    if not called or called in right.addresses | {backend.ip for backend in backends}:
        return None
    hop.observed(f"curl called {called}", {**_facts(report), "remoteIP": called})
    return hop.broken(
        Reason.DNS_UNEXPECTED_ANSWER,
        f"{context.plan.request.host} led to {called}, but it should lead to {right.text}",
    )


def _led_right(context: CheckContext, hop: HopCheck, report: ClientReport) -> Finding:
    """The address that was called is right, if there is any trace of it."""
    called = report.remote_ip or _shown(context)
    if not called:
        message = f"no trace of this connection shows where {context.plan.request.host} led"
        return hop.unknown(Unavailable(Reason.NOT_OBSERVED, message))
    facts = _facts(report)
    hop.observed(f"curl called {called}", facts)
    return _slowed(context, hop, report) or hop.ok(f"resolved in {facts['nameLookup']}")


def _facts(report: ClientReport) -> dict[str, str]:
    return {"remoteIP": report.remote_ip, "nameLookup": f"{report.timings.name_lookup * 1000:.1f} ms"}


def _slowed(context: CheckContext, hop: HopCheck, report: ClientReport) -> Finding | None:
    """A name server that can't be reached, where another one, or a second query, gave the answer."""
    nameserver, took_s = context.plan.nameserver, report.timings.name_lookup
    if not context.outcome.met or took_s < _ANSWERED_S or nameserver is None:
        return None
    found = culprit(walk(context, nameserver))
    if found is None:
        return None
    reason, cause = found
    slow = f"{context.plan.request.host} took {took_s:.1f} s to resolve"
    message = f"{slow}: on the path to the cluster's DNS, {cause.hop} on {cause.node}: {cause.message}"
    return replace(hop.broken(reason, message), cause=cause)


def _why_unresolved(
    context: CheckContext, hop: HopCheck, report: ClientReport
) -> tuple[Reason, str, Finding | None]:
    """What is wrong between the source pod and the cluster's DNS, as far as it can be said; with the hop of that path
    that is the cause.
    """
    unresolved, nameserver = (
        f"{context.plan.request.host} did not resolve in the source pod",
        context.plan.nameserver,
    )
    if nameserver is None:
        policy = context.source.pod.dns_policy
        known = policy in _OTHER_RESOLVERS
        asked = f"its dnsPolicy is {policy}" if known else "which name server it asks is not known"
        return Reason.DNS_LOOKUP_FAILED, f"{unresolved}; {asked}", None
    where = f"the cluster's DNS at {nameserver.frontend.address}"
    findings = walk(context, nameserver)
    found = culprit(findings)
    servers = ", ".join(backend.ip for backend in nameserver.backends)
    hop.programmed(
        f"the path to {where}: {_counted(findings)}",
        {"nameServer": nameserver.frontend.ip, "nameServers": servers},
    )
    if found:
        reason, cause = found
        message = f"on the path to {where}, {cause.hop} on {cause.node}: {cause.message}"
        return reason, f"{unresolved}: {message}", cause
    judged = all(finding.verdict is HopVerdict.OK for finding in findings)
    reason, why = _unanswered(report, where, queries(context, nameserver), judged=judged)
    return reason, unresolved + why, None


def _unanswered(report: ClientReport, where: str, sent: Queries, *, judged: bool) -> tuple[Reason, str]:
    """What the name server, or the resolver in the pod, made of the query: nothing is wrong between them.
    `judged`: that is known.
    """
    if sent.refused_by:
        return Reason.DNS_PATH_BROKEN, f": nothing listens at {sent.refused_by}, {where}"
    if not judged:
        return Reason.DNS_LOOKUP_FAILED, f", and not all of the path to {where} can be judged"
    if sent.asked is False:
        return Reason.DNS_LOOKUP_FAILED, f": no query of this run went to {where}"
    if sent.asked is None:
        return Reason.DNS_LOOKUP_FAILED, f"; whether this run asked {where} is not known"
    if report.failure is ClientFailure.NAME_NOT_RESOLVED and report.timings.total < _ANSWERED_S:
        return Reason.DNS_NO_ADDRESS, f": {where} answered, but with no address"
    if report.failure is ClientFailure.TIMED_OUT or report.timings.total >= _UNANSWERED_S:
        return (
            Reason.DNS_TIMEOUT,
            f": nothing was found wrong on the path to {where}, but no answer came",
        )
    return Reason.DNS_LOOKUP_FAILED, ""


def _called(context: CheckContext) -> str:
    """Where packets of this connection were seen to go untranslated: curl reports no address of a connection that was
    never established. "" if none were, or if they may have been translated unnoticed: sockets leave no trace, but
    choose none other than the backends that the node balances to.
    """
    connection, port = context.connection, context.plan.request.port
    by_socket = context.config.socket_lb and not context.source.pod.host_network
    noticed = (context.translates and isinstance(connection.service, Absent)) or (
        by_socket and balances_as_planned(context)
    )
    if connection.chosen or connection.translated or connection.untranslated or not noticed:
        return ""
    sent = connection.events.sent_on(context.path.source_node)
    return next((observation.to[0] for observation in sent if observation.to[1] == port), "")


def _shown(context: CheckContext) -> str:
    """The right address, where packets of this connection show that curl spoke to it; "" if none do."""
    connection, frontend = context.connection, context.plan.frontend
    if frontend is None:
        return connection.chosen.ip if connection.chosen else ""
    to = {observation.to for observation in connection.events.sightings if not observation.reply}
    to |= {drop.to for drop in connection.events.drops if not drop.reply}
    known = connection.translated or connection.untranslated or connection.chosen
    return frontend.ip if known or (frontend.ip, frontend.number) in to else ""


def _counted(findings: Sequence[Finding]) -> str:
    ok = sum(finding.verdict is HopVerdict.OK for finding in findings)
    return f"{ok} of {len(findings)} hops ok"


def is_unresolved(context: CheckContext, report: ClientReport) -> bool:
    """Whether curl never had an address to connect to."""
    return report.failure is ClientFailure.NAME_NOT_RESOLVED or (
        report.failure is ClientFailure.TIMED_OUT
        and report.timings.name_lookup == 0
        and not context.connection.left
    )
