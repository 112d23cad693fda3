"""Changes of the Services that a run depends on: the destination's Service and the cluster's DNS.

In: a plan and the inventory. Out: records that `diagnose.verdict.transitions` evaluates. Called by `runs.path_runner`,
and only for runs in doubt, because it iterates over all pods.
"""

from dataclasses import dataclass

from .objects import Inventory, Pod
from .plan import Plan

_DNS = ("kube-system", "kube-dns")


@dataclass(frozen=True, slots=True)
class EndpointChurn:
    """The changes of one Service. `endpoints_changed_at`: seconds since the epoch, 0 if unknown; `unready`: selected
    pods that are not ready or are terminating.
    """

    service: str  # namespace/name
    endpoints_changed_at: float
    unready: tuple[Pod, ...]


def destination_churn(plan: Plan, inventory: Inventory) -> EndpointChurn | None:
    """The changes of the plan's Service; None if a pod is requested directly."""
    service = plan.service
    return _churn_of(inventory, service.namespace, service.name) if service else None


def dns_churn(inventory: Inventory) -> EndpointChurn | None:
    """The changes of the cluster's DNS Service, if it has its usual name."""
    return _churn_of(inventory, *_DNS)


def _churn_of(inventory: Inventory, namespace: str, name: str) -> EndpointChurn | None:
    service = inventory.service(namespace, name)
    if service is None:
        return None
    pods = inventory.selected_pods(namespace, service.selector)
    return EndpointChurn(
        service=f"{namespace}/{name}",
        endpoints_changed_at=inventory.endpoints_changed_at(namespace, name),
        unready=tuple(pod for pod in pods if pod.terminating or not pod.ready),
    )
