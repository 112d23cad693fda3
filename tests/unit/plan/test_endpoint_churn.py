"""Changes behind a Service: pods that are not ready or terminating, and when its endpoints last changed."""

from dataclasses import replace

from datapath_probe.plan.endpoint_churn import EndpointChurn, destination_churn, dns_churn
from datapath_probe.plan.plan import Plan
from unit.cluster import DEATHSTAR, Cluster, cluster, pod, probe, resolve

SELECTED = {"class": "deathstar"}


def selecting() -> Cluster:
    """The cluster, with a Service that selects the deathstars by label."""
    inventory = cluster()
    inventory.services["default/deathstar"] = replace(DEATHSTAR, selector=SELECTED)
    for name in ("default/deathstar-0", "default/deathstar-1"):
        inventory.pods[name] = replace(inventory.pods[name], labels=SELECTED)
    return inventory


def planned(inventory: Cluster, destination: dict[str, object]) -> Plan:
    (plan,) = resolve(probe(destination), inventory)
    assert isinstance(plan, Plan)
    return plan


def churn_of(inventory: Cluster) -> EndpointChurn | None:
    plan = planned(inventory, {"service": {"name": "deathstar", "port": 80}})
    return destination_churn(plan, inventory)


def test_ready_pods_are_no_churn() -> None:
    inventory = selecting()
    inventory.changed_at["default/deathstar"] = 900.0
    assert churn_of(inventory) == EndpointChurn("default/deathstar", 900.0, ())


def test_starting_and_terminating_pods_are_churn() -> None:
    inventory = selecting()
    coming = pod("deathstar-2", "", "", labels=SELECTED, ready=False)
    going = replace(inventory.pods["default/deathstar-1"], terminating=True)
    inventory.pods["default/deathstar-2"], inventory.pods["default/deathstar-1"] = coming, going
    churn = churn_of(inventory)
    assert churn is not None
    assert {unready.name for unready in churn.unready} == {"deathstar-1", "deathstar-2"}


def test_a_pod_as_destination_has_no_churn() -> None:
    inventory = selecting()
    plan = planned(inventory, {"pod": {"name": "deathstar-0", "port": 80}})
    assert destination_churn(plan, inventory) is None


def test_the_dns_service_is_found_by_its_usual_name() -> None:
    inventory = selecting()
    assert dns_churn(inventory) is None
    inventory.services["kube-system/kube-dns"] = replace(
        DEATHSTAR, namespace="kube-system", name="kube-dns", selector={"k8s-app": "kube-dns"}
    )
    inventory.changed_at["kube-system/kube-dns"] = 950.0
    assert dns_churn(inventory) == EndpointChurn("kube-system/kube-dns", 950.0, ())
