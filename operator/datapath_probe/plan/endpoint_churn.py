"""What is moving behind the Services that a run depends on: the destination's, and the cluster's DNS.

In: a plan and the inventory. Out: plain records, which `diagnose.verdict.transitions` weighs. Asked only for a run in
doubt, because it walks all pods. Called by `runs.runner`.
"""

from dataclasses import dataclass

from .objects import Inventory, Pod
from .plan import Plan

_DNS = ("kube-system", "kube-dns")


@dataclass(frozen=True, slots=True)
class EndpointChurn:
    """One Service. `endpoints_changed_at`: seconds since the epoch, 0 if unknown; `unready`: pods that it selects and
    that are not ready, or terminating.
    """

    service: str  # namespace/name
    endpoints_changed_at: float
    unready: tuple[Pod, ...]


def destination_churn(plan: Plan, inventory: Inventory) -> EndpointChurn | None:
    """Behind the Service of the plan; None where a pod is addressed by itself."""
    service = plan.service
    return _churn_of(inventory, service.namespace, service.name) if service else None


def dns_churn(inventory: Inventory) -> EndpointChurn | None:
    """Behind the Service that pods resolve names with, where it has its usual name."""
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
