"""What moves behind a Service: pods that are not ready or leave, and when its endpoints last changed."""

from dataclasses import replace

from datapath_probe.plan.endpoint_churn import EndpointChurn, destination_churn, dns_churn
from datapath_probe.plan.plan import Plan
from datapath_probe.plan.resolve import resolve
from unit.cluster import DEATHSTAR, Cluster, cluster, pod, probe

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


def behind(inventory: Cluster) -> EndpointChurn | None:
    plan = planned(inventory, {"service": {"name": "deathstar", "port": 80}})
    return destination_churn(plan, inventory)


def test_ready_pods_do_not_move() -> None:
    inventory = selecting()
    inventory.changed_at["default/deathstar"] = 900.0
    assert behind(inventory) == EndpointChurn("default/deathstar", 900.0, ())


def test_pods_that_come_or_go_do() -> None:
    inventory = selecting()
    coming = pod("deathstar-2", "", "", labels=SELECTED, ready=False)
    going = replace(inventory.pods["default/deathstar-1"], terminating=True)
    inventory.pods["default/deathstar-2"], inventory.pods["default/deathstar-1"] = coming, going
    churn = behind(inventory)
    assert churn is not None
    assert {unready.name for unready in churn.unready} == {"deathstar-1", "deathstar-2"}


def test_there_is_nothing_behind_a_pod() -> None:
    inventory = selecting()
    plan = planned(inventory, {"pod": {"name": "deathstar-0", "port": 80}})
    assert destination_churn(plan, inventory) is None


def test_dns_is_looked_for_under_its_usual_name() -> None:
    inventory = selecting()
    assert dns_churn(inventory) is None
    inventory.services["kube-system/kube-dns"] = replace(
        DEATHSTAR, namespace="kube-system", name="kube-dns", selector={"k8s-app": "kube-dns"}
    )
    inventory.changed_at["kube-system/kube-dns"] = 950.0
    assert dns_churn(inventory) == EndpointChurn("kube-system/kube-dns", 950.0, ())
