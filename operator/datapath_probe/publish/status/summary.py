"""Describes a run for `kubectl describe`, Events and reports. Called by `status`. Pure.

If something is wrong, the hop comes first, then the reason, then the path.
"""

from ...api.probe import Probe
from ...api.reasons import Reason
from ...api.status.path_result import PathResult
from ...api.vocabulary import HopVerdict, ProbeVerdict
from ...diagnose.finding.diagnosis import Diagnosis
from ...plan.pairs.ends import destination_name, source_name
from ...plan.plan import CannotRun


def source_text(outcome: Diagnosis | CannotRun, probe: Probe | None = None) -> str:
    """ "default/xwing@node2"; without the node if it is unknown."""
    if isinstance(outcome, Diagnosis):
        pod = outcome.plan.source.pod
        return f"{pod.namespace}/{pod.name}@{pod.node}"
    if outcome.source or probe is None:
        return outcome.source
    return source_name(probe.spec.source, probe.meta.namespace)


def destination_text(outcome: Diagnosis | CannotRun, probe: Probe | None = None) -> str:
    """ "default/deathstar:80"."""
    if isinstance(outcome, Diagnosis):
        return outcome.plan.destination
    if outcome.destination or probe is None:
        return outcome.destination
    return destination_name(probe.spec.destination, probe.meta.namespace)


def path_text(source: str, destination: str, path: PathResult | None) -> str:
    """ "default/xwing@node2 → default/deathstar:80 → 10.244.0.157@node1"."""
    ends = [source, destination]
    if path and path.destination.ip:
        node = f"@{path.destination.node}" if path.destination.node else ""
        ends.append(f"{path.destination.ip}{node}")
    return " → ".join(end for end in ends if end)


def latency_text(path: PathResult) -> str | None:
    """ "7.6ms": the duration of the request."""
    return path.request.timings.total if path.request else None


def healthy_summary(ends: str, path: PathResult, diagnosis: Diagnosis) -> str:
    """ "… → …: 21/21 hops ok, 7.6ms", or what denied the request as expected."""
    ok = sum(hop.verdict is HopVerdict.OK for hop in path.hops)
    outcome = diagnosis.message if diagnosis.reason is Reason.DENIED else latency_text(path)
    return f"{ends}: {ok}/{len(path.hops)} hops ok" + (f", {outcome}" if outcome else "")


def verdict_text(outcome: Diagnosis | CannotRun) -> str:
    """ "Broken at ipcache-lookup on node2: WrongTunnelEndpoint: the ipcache of node2 leads …"."""
    if isinstance(outcome, Diagnosis) and outcome.verdict is ProbeVerdict.HEALTHY:
        return outcome.message
    return f"{place_text(outcome)}: {outcome.reason}: {outcome.message}"


def place_text(outcome: Diagnosis | CannotRun) -> str:
    """ "Broken at ipam on node2", "Broken between ipcache-lookup and endpoint-lookup", or "Broken"."""
    if isinstance(outcome, CannotRun):
        return ProbeVerdict.UNKNOWN
    if outcome.divergence:
        return f"{outcome.verdict} at {outcome.divergence.hop} on {outcome.divergence.node}"
    if outcome.segment:
        return f"{outcome.verdict} between {outcome.segment.after} and {outcome.segment.before}"
    return outcome.verdict
