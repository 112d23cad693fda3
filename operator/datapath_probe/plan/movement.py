"""What is moving behind the Services that a run depends on: the destination's, and the cluster's DNS.

In: a plan and the inventory. Out: plain records, which `diagnose.verdict.transitions` weighs. Asked only for a run in
doubt, because it walks all pods. Called by `runs.runner`.
"""

from dataclasses import dataclass

from .objects import Inventory, Pod
from .plan import Plan

_DNS = ("kube-system", "kube-dns")


@dataclass(frozen=True, slots=True)
class Movement:
    """One Service. `endpoints_changed_at`: seconds since the epoch, 0 if unknown; `unready`: pods that it selects and
    that are not ready, or on their way out.
    """

    service: str  # namespace/name
    endpoints_changed_at: float
    unready: tuple[Pod, ...]


def destination_movement(plan: Plan, inventory: Inventory) -> Movement | None:
    """Behind the Service of the plan; None where a pod is addressed by itself."""
    service = plan.frontend.service if plan.frontend else plan.headless
    return _movement(inventory, service.namespace, service.name) if service else None


def dns_movement(inventory: Inventory) -> Movement | None:
    """Behind the Service that pods resolve names with, where it has its usual name."""
    return _movement(inventory, *_DNS)


def _movement(inventory: Inventory, namespace: str, name: str) -> Movement | None:
    service = inventory.service(namespace, name)
    if service is None:
        return None
    pods = inventory.selected_pods(namespace, service.selector)
    return Movement(
        service=f"{namespace}/{name}",
        endpoints_changed_at=inventory.endpoints_changed_at(namespace, name),
        unready=tuple(pod for pod in pods if pod.terminating or not pod.ready),
    )
