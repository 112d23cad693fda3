"""Why the endpoints of a Service are not Ready, if it has no ready one: the kubelet of their node probes them over some
of the hops that the request would take.
"""

from dataclasses import replace

from ....plan.plan import PodFacts, ServiceTarget
from ...context import CheckContext
from ...finding.finding import Finding
from .subpath import MAX_DESTINATIONS, is_harmful, judge_subpath


def why_unready(context: CheckContext) -> Finding | None:
    """The first faulty hop that readiness probes of such a pod traverse too."""
    target = context.plan.target
    if not isinstance(target, ServiceTarget):
        return None
    pods = [
        endpoint for endpoint in target.unready[:MAX_DESTINATIONS] if isinstance(endpoint.target, PodFacts)
    ]
    plan = replace(context.plan, target=replace(target, backends=target.unready))
    findings = (
        found for pod in pods for found in judge_subpath(context, plan, pod, context.registry.of_kubelets)
    )
    return next(filter(is_harmful, findings), None)


def unready_pods(context: CheckContext) -> str:
    """The names of these pods; "" if there are none."""
    target = context.plan.target
    unready = target.unready if isinstance(target, ServiceTarget) else ()
    pods = [endpoint.pod_facts.pod for endpoint in unready if endpoint.pod_facts]
    return ", ".join(f"{pod.namespace}/{pod.name}" for pod in pods[:MAX_DESTINATIONS])
