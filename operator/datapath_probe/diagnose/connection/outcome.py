"""Compares the client's report with the expectation: met, not met, or unknown.

curl runs in a container that is not trusted: a report counts only if it has the pod's own address and the port that the
operator allocated.
"""

from dataclasses import dataclass

from ...api.reasons import Reason
from ...api.vocabulary import HopName
from ...evidence.errors import EvidenceError
from ...evidence.reading import Unavailable
from ...plan.path import ExpectedPath
from ...plan.plan import Plan
from ...plan.request import Expectation
from ...sources.client_report import TLS_REFUSALS, ClientFailure, ClientReport
from ..run.run import Request
from .connection import Connection

# Failures of the path or the server; all others are failures of the client itself.
PATH_FAILURES = {
    ClientFailure.NAME_NOT_RESOLVED: Reason.DNS_LOOKUP_FAILED,
    ClientFailure.NOT_CONNECTED: Reason.LOST_IN_TRANSIT,
    ClientFailure.TIMED_OUT: Reason.LOST_IN_TRANSIT,
    ClientFailure.NO_RESPONSE: Reason.NO_RESPONSE,
    ClientFailure.NOT_HTTP: Reason.NO_RESPONSE,
    ClientFailure.CUT_SHORT: Reason.CONNECTION_RESET,
    ClientFailure.UNKNOWN_CA: Reason.UNKNOWN_CA,
    ClientFailure.CERTIFICATE_NAME_MISMATCH: Reason.CERTIFICATE_NAME_MISMATCH,
    ClientFailure.CERTIFICATE_EXPIRED: Reason.CERTIFICATE_EXPIRED,
    ClientFailure.CERTIFICATE_NOT_YET_VALID: Reason.CERTIFICATE_NOT_YET_VALID,
    ClientFailure.CERTIFICATE_INVALID: Reason.CERTIFICATE_INVALID,
    ClientFailure.HANDSHAKE_FAILED: Reason.TLS_HANDSHAKE_FAILED,
    ClientFailure.CLIENT_CERTIFICATE_REQUIRED: Reason.CLIENT_CERTIFICATE_REQUIRED,
}
# Failures of the client itself that have a reason of their own.
OWN_FAILURES = {
    ClientFailure.TRUST_STORE_UNREADABLE: Reason.TRUST_STORE_UNREADABLE,
    ClientFailure.CLIENT_FAILED: Reason.CURL_FAILED,
}
_DAY_S = 86400.0  # also the largest difference between the clocks of operator and node that is plausible
UNMEASURED = {
    EvidenceError.NO_SUCH_EXECUTABLE: Reason.CURL_NOT_FOUND,
    EvidenceError.POD_NOT_FOUND: Reason.SOURCE_NOT_RUNNING,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """`met`: None if unknown. `shortfall`: the latency or path expectation that was missed, although the request
    succeeded.

    `denied_at`: the hop that denied the request, if a denial was expected; the path ends there.
    """

    met: bool | None
    reason: Reason
    message: str
    shortfall: tuple[Reason, str] | None = None
    denied_at: HopName | None = None


def judge_outcome(
    plan: Plan,
    report: ClientReport | Unavailable | None,
    request: Request,
    path: ExpectedPath,
    connection: Connection,
) -> Outcome:
    """The outcome according to the report; a report of None means that the request is in flight.

    A denial counts only if events of this request show it.
    """
    if report is None:
        return Outcome(None, Reason.NOT_OBSERVED, "the request is in flight")
    if isinstance(report, Unavailable):
        reason = UNMEASURED.get(EvidenceError(report.reason), Reason(report.reason))
        return Outcome(None, reason, _no_client(plan) if reason is Reason.CURL_NOT_FOUND else report.message)
    implausible = _implausible(plan, report, request)
    if implausible:
        return Outcome(None, Reason.IMPLAUSIBLE_CLIENT_REPORT, implausible)
    if report.failure is ClientFailure.LOCAL_PORT_IN_USE:
        return Outcome(
            None, Reason.LOCAL_PORT_IN_USE, f"source port {request.local_port} is in use in the pod"
        )
    if report.failure in OWN_FAILURES:
        return Outcome(None, OWN_FAILURES[report.failure], f"curl itself failed: {report.error_text}")
    if plan.expect.denied:
        return _denied(report, connection)
    if report.failure is None:
        return _answered(plan, report, path, request.started)
    why = f"{report.failure.value}: " if report.failure in TLS_REFUSALS else ""
    return Outcome(False, PATH_FAILURES[report.failure], f"{why}{report.error_text}")


def _denied(report: ClientReport, connection: Connection) -> Outcome:
    """Whether a policy dropped the request. Any other failure is not a denial."""
    if connection.connected:
        result = report.result_text
        return Outcome(
            False, Reason.POLICY_NOT_ENFORCED, f"a connection that should be denied was established: {result}"
        )
    drop = next((drop for drop in connection.events.drops if drop.is_denial), None)
    if drop:
        return Outcome(True, Reason.DENIED, str(drop), denied_at=drop.hop)
    failed = "the connection was refused" if connection.refused else report.error_text
    message = f"{failed}, but no policy drop of this connection was seen"
    return Outcome(None, Reason.DENIAL_NOT_OBSERVED, message)


def _answered(plan: Plan, report: ClientReport, path: ExpectedPath, started: float) -> Outcome:
    expect, status = plan.expect, report.status
    if plan.request.connects_only:
        return Outcome(True, Reason.OK, report.result_text, _shortfall(expect, report, path, started))
    if not (status in expect.statuses if expect.statuses else 200 <= status < 300):
        wanted = " or ".join(map(str, expect.statuses)) or "2xx"
        return Outcome(False, Reason.UNEXPECTED_STATUS, f"the response was HTTP {status}, expected {wanted}")
    if expect.body_contains is not None and expect.body_contains.encode() not in report.body:
        if report.body_cut:
            kept = f"the beginning of the body does not contain {expect.body_contains!r}"
            return Outcome(None, Reason.TRUNCATED_OUTPUT, f"{kept}, and the rest was not kept")
        return Outcome(False, Reason.UNEXPECTED_BODY, f"the body does not contain {expect.body_contains!r}")
    if expect.certificate_expires_after_s is not None and report.certificate_expires is None:
        unknown = "curl does not report when the certificate expires: it is older than 7.88, or has another TLS library"
        return Outcome(None, Reason.CERTIFICATE_NOT_REPORTED, f"HTTP {status}, but {unknown}")
    return Outcome(True, Reason.OK, report.result_text, _shortfall(expect, report, path, started))


def _shortfall(
    expect: Expectation, report: ClientReport, path: ExpectedPath, started: float
) -> tuple[Reason, str] | None:
    total = report.timings.total
    if expect.certificate_expires_after_s is not None and report.certificate_expires is not None:
        left_s = report.certificate_expires - started
        if left_s < expect.certificate_expires_after_s:
            wanted = f"expected more than {_days(expect.certificate_expires_after_s)}"
            return Reason.CERTIFICATE_EXPIRES_SOON, f"the certificate expires in {_days(left_s)}, {wanted}"
    if expect.max_latency_s is not None and total > expect.max_latency_s:
        return (
            Reason.TOO_SLOW,
            f"the response took {total * 1000:.1f} ms, expected at most {expect.max_latency_s * 1000:g} ms",
        )
    if expect.locality and path.locality and path.locality is not expect.locality:
        return Reason.UNEXPECTED_LOCALITY, f"the path is {path.locality}, expected {expect.locality}"
    # A Service may select a backend on the source's own node, where nothing is encapsulated.
    if expect.encapsulation and path.cross_node and path.encapsulation is not expect.encapsulation:
        return (
            Reason.UNEXPECTED_ENCAPSULATION,
            f"the encapsulation is {path.encapsulation}, expected {expect.encapsulation}",
        )
    return None


def _days(seconds: float) -> str:
    return f"{seconds / _DAY_S:.1f} days"


def _implausible(plan: Plan, report: ClientReport, request: Request) -> str | None:
    """Why the report can't be from this run. A failed connection plausibly reports no addresses."""
    local_port, only_connects = request.local_port, plan.request.connects_only
    if report.answered and not (report.local_ip and report.local_port and (report.status or only_connects)):
        return "curl reports success, but no local address, local port or status"
    if report.status and only_connects:
        return f"curl reports HTTP {report.status}, although the request was to connect only"
    expires = report.certificate_expires
    if report.answered and plan.request.tls.verify and expires and expires < request.started - _DAY_S:
        return "curl accepted a certificate that it reports as expired"
    if report.local_ip and report.local_ip not in plan.source.addresses:
        return f"curl reports the local address {report.local_ip}, which is not an address of the pod"
    if report.local_port and report.local_port != local_port:
        return f"curl reports the local port {report.local_port}, but it was started with {local_port}"
    return None


def _no_client(plan: Plan) -> str:
    pod = plan.source.pod
    return (
        f"container {plan.container} of pod {pod.namespace}/{pod.name} has no curl; "
        "name a container that has it in spec.source.container, or add one to the pod"
    )
