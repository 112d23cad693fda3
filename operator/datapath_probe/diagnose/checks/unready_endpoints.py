"""Why the endpoints of a Service are not Ready, where it has no other: the kubelet of their node reaches them by some
of the hops that the request would take.
"""

from dataclasses import replace

from ...plan.plan import PodFacts, ServiceTarget
from ..context import CheckContext
from ..finding.finding import Finding
from .subpath import WALKED, is_harmful, walk_to


def why_unready(context: CheckContext) -> Finding | None:
    """The first hop at which a kubelet's probes of such a pod die too."""
    target = context.plan.target
    if not isinstance(target, ServiceTarget):
        return None
    pods = [endpoint for endpoint in target.unready[:WALKED] if isinstance(endpoint.target, PodFacts)]
    plan = replace(context.plan, target=replace(target, backends=target.unready))
    findings = (found for pod in pods for found in walk_to(context, plan, pod, context.registry.of_kubelets))
    return next(filter(is_harmful, findings), None)


def unready_pods(context: CheckContext) -> str:
    """Their names, "" if there are none."""
    target = context.plan.target
    unready = target.unready if isinstance(target, ServiceTarget) else ()
    pods = [endpoint.pod_facts.pod for endpoint in unready if endpoint.pod_facts]
    return ", ".join(f"{pod.namespace}/{pod.name}" for pod in pods[:WALKED])
