"""Hop `name-resolution`: the name led to an address of the Service. Exercise 7."""

from ...api.reasons import Reason
from ...cilium.curl import CurlExit, CurlReport
from ...plan.path import ExpectedHop
from ..case import Case
from ..findings import Finding


def check_name_resolution(case: Case, expected: ExpectedHop) -> Finding:
    """curl's report, held against what the name should lead to."""
    frontend = case.plan.frontend
    hop = case.hop(expected, case.plan.request.host)
    if frontend:
        wanted = f"the ClusterIP of the Service, {frontend.ip}"
        hop.intent(wanted, {"clusterIP": frontend.ip})
        right = {frontend.ip}
    else:
        right = {backend.ip for backend in case.plan.backends}
        wanted = f"one of {len(right)} ready endpoint(s)"
        hop.intent(wanted, {"backends": ", ".join(sorted(right))})
    report = case.report
    if not isinstance(report, CurlReport):
        return hop.fine("not asked yet") if report is None else hop.unknown(report)
    took = {"remoteIP": report.remote_ip, "nameLookup": f"{report.timings.name_lookup * 1000:.1f} ms"}
    if is_unresolved(case, report):
        hop.observed("curl got no address", took)
        if not right:
            message = f"the Service behind {case.plan.request.host} is headless and has no ready endpoint"
            return hop.broken(Reason.NO_READY_BACKENDS, message)
        return hop.broken(
            Reason.NAME_NOT_RESOLVED, f"{case.plan.request.host} did not resolve in the source pod"
        )
    if report.remote_ip and report.remote_ip not in right | {backend.ip for backend in case.plan.backends}:
        hop.observed(f"curl spoke to {report.remote_ip}", took)
        return hop.broken(
            Reason.NAME_RESOLVED_ELSEWHERE,
            f"{case.plan.request.host} led to {report.remote_ip}, but it should lead to {wanted}",
        )
    if report.remote_ip:
        hop.observed(f"curl spoke to {report.remote_ip}", took)
    elif case.connection.translated and frontend:
        hop.observed(f"curl spoke to {frontend.ip}", took)
    return hop.fine(f"resolved in {took['nameLookup']}")


def is_unresolved(case: Case, report: CurlReport) -> bool:
    """Whether curl never had an address to connect to."""
    return report.exit_code == CurlExit.COULDNT_RESOLVE_HOST or (
        report.exit_code == CurlExit.OPERATION_TIMEDOUT
        and report.timings.name_lookup == 0
        and not case.connection.left
    )
