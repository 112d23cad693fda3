"""The shared cause of a failed subpath and of the request: a hop that the request itself would meet later. The cause is
that hop; the name that did not resolve, or the endpoint that is not Ready, is its symptom.

In: the findings of a path. Out: the same with the shared cause, if the request depends on it too. Called by
`examination`, before the rules.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from ...api.vocabulary import HOP_ORDER, HopName
from ..finding.finding import Finding

# All packets from the pod traverse these hops: they need not be judged again for the request.
_OF_THE_POD = frozenset({HopName.SOURCE_INTERFACE, HopName.SOURCE_PROGRAM})


def with_shared_cause(findings: list[Finding], candidate: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """The findings with the shared cause. The cause is removed if the request does not depend on it.

    `candidate`: the findings on paths to candidate backends.
    """
    failed = next((f for f in findings if f.cause), None)
    if failed is None or failed.cause is None:
        return findings
    if failed.hop is HopName.SERVICE_LOOKUP:  # found on the request's own path
        shared: Finding | None = failed.cause
    else:
        shared = _of_request(failed.cause, (f for f in findings if f is not failed), candidate)
    if shared is None:
        return [replace(f, cause=None) if f is failed else f for f in findings]
    others = [f for f in findings if f.hop is not shared.hop]
    return sorted((*others, shared), key=lambda finding: HOP_ORDER[finding.hop])


def _of_request(
    cause: Finding, findings: Iterable[Finding], candidate: Callable[[], Iterable[Finding]]
) -> Finding | None:
    """The finding of the same cause on the request's path."""
    if cause.hop in _OF_THE_POD:
        return cause
    met = next((f for f in findings if _is_same(f, cause)), None)
    return met or next((f for f in candidate() if _is_same(f, cause)), None)


def _is_same(finding: Finding, cause: Finding) -> bool:
    """Whether both findings have the same problem of the same object."""
    return (finding.verdict, finding.node, finding.hop, finding.object, finding.reason) == (
        cause.verdict,
        cause.node,
        cause.hop,
        cause.object,
        cause.reason,
    )
