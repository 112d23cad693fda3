"""Why the endpoints of a Service are not Ready, where it has no other: the kubelet of their node reaches them by some
of the hops that the request would take.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from ...api.vocabulary import HopName
from ...plan.plan import PodFacts, ServiceTarget
from ..context import Check, CheckContext
from ..finding.finding import Finding
from .endpoint_map import check_endpoint_lookup
from .interface import check_destination_interface
from .program import check_destination_program, check_reply_program
from .subpath import WALKED, is_harmful, walk_to

_MET_BY_KUBELETS: Final[Mapping[HopName, Check]] = {
    HopName.ENDPOINT_LOOKUP: check_endpoint_lookup,
    HopName.DESTINATION_PROGRAM: check_destination_program,
    HopName.DESTINATION_INTERFACE: check_destination_interface,
    HopName.REPLY_PROGRAM: check_reply_program,
}


def why_unready(context: CheckContext) -> Finding | None:
    """The first hop at which a kubelet's probes of such a pod die too."""
    target = context.plan.target
    if not isinstance(target, ServiceTarget):
        return None
    pods = [endpoint for endpoint in target.unready[:WALKED] if isinstance(endpoint.target, PodFacts)]
    plan = replace(context.plan, target=replace(target, backends=target.unready))
    findings = (found for pod in pods for found in walk_to(context, plan, pod, _MET_BY_KUBELETS))
    return next(filter(is_harmful, findings), None)


def unready_pods(context: CheckContext) -> str:
    """Their names, "" if there are none."""
    target = context.plan.target
    unready = target.unready if isinstance(target, ServiceTarget) else ()
    pods = [endpoint.pod_facts.pod for endpoint in unready if endpoint.pod_facts]
    return ", ".join(f"{pod.namespace}/{pod.name}" for pod in pods[:WALKED])
