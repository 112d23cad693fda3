"""Why the endpoints of a Service are not Ready, where it has no other: the kubelet of their node reaches them by some
of the hops that the request would take.
"""

from dataclasses import replace

from ..context import CheckContext
from ..finding.finding import Finding
from .subpath import WALKED, is_harmful, walk_to


def why_unready(context: CheckContext) -> Finding | None:
    """The first hop at which a kubelet's probes of such a pod die too."""
    pods = [endpoint for endpoint in context.plan.unready[:WALKED] if endpoint.target and not endpoint.host]
    plan = replace(context.plan, backends=context.plan.unready)
    findings = (found for pod in pods for found in walk_to(context, plan, pod, context.registry.of_kubelets))
    return next(filter(is_harmful, findings), None)


def unready_pods(context: CheckContext) -> str:
    """Their names, "" if there are none."""
    pods = [endpoint.target.pod for endpoint in context.plan.unready if endpoint.target]
    return ", ".join(f"{pod.namespace}/{pod.name}" for pod in pods[:WALKED])
