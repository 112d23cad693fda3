"""Addresses of EndpointSlices: whose they are, and which ones can't be right."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from datapath_probe.plan.backends import eligible_backends
from datapath_probe.plan.facts import Facts
from datapath_probe.plan.listed_address import backend_of
from datapath_probe.plan.objects import SliceEndpoint
from datapath_probe.plan.plan import Backend
from unit.cluster import DEATHSTAR, VXLAN, Cluster, cluster, pod, slice_endpoint

POOL = {"ipam": "cluster-pool", "cluster-pool-ipv4-cidr": "10.244.0.0/16"}
DEFAULT_POOL = {"ipam": "cluster-pool", "cluster-pool-ipv4-cidr": "10.0.0.0/8"}


def endpoint(ip: str, of_pod: str | None = None, **changes: object) -> SliceEndpoint:
    """An endpoint of a slice that was written by hand."""
    listed = slice_endpoint("", ip, "", slice_name="by-hand", **changes)
    return replace(listed, pod=of_pod, node=None)


def backend(
    made: SliceEndpoint, inventory: Cluster | None = None, config: Mapping[str, str] = VXLAN
) -> Backend:
    found = inventory or cluster()
    found.config = {**found.config, **config}
    return backend_of(made, "default", Facts(found))


@pytest.mark.parametrize(
    ("ip", "config", "said"),
    [
        ("10.244.1.99", {}, "10.244.1.0/24, the pod CIDR of node node2"),
        ("10.244.99.9", {}, "10.244.0.0/16, the range of the nodes' pod CIDRs"),
        ("10.244.99.9", POOL, "10.244.0.0/16, the cluster's pool of pod CIDRs"),
        ("10.244.1.99", DEFAULT_POOL, "the pod CIDR of node node2"),
    ],
)
def test_an_address_of_pods_that_no_pod_has_is_wrong(ip: str, config: Mapping[str, str], said: str) -> None:
    found = backend(endpoint(ip), config=config)
    assert found.target is None
    assert found.wrongly_listed.startswith(
        f"EndpointSlice default/by-hand lists {ip}:80 as ready, but no pod"
    )
    assert said in found.wrongly_listed


@pytest.mark.parametrize(
    ("ip", "config"),
    [
        ("203.0.113.9", {}),
        ("10.20.30.40", {}),
        ("10.20.30.40", POOL),
        ("10.20.30.40", DEFAULT_POOL),
        ("10.244.99.9", DEFAULT_POOL),
        ("10.244.99.9", {"ipam": "eni"}),
    ],
)
def test_an_address_outside_the_cluster_is_legitimate(ip: str, config: Mapping[str, str]) -> None:
    found = backend(endpoint(ip), config=config)
    assert (found.target, found.wrongly_listed) == (None, "")


@pytest.mark.parametrize("ip", ["10.244.0.172", "172.30.0.11"])
def test_an_address_of_a_pod_or_a_node_is_legitimate_although_listed_by_hand(ip: str) -> None:
    found = backend(endpoint(ip))
    assert found.target is not None
    assert not found.wrongly_listed


def test_a_pod_that_does_not_exist_has_no_address_anywhere() -> None:
    found = backend(endpoint("198.51.100.7", "gone"))
    assert "as pod gone, but no pod and no node has this address" in found.wrongly_listed


def test_an_address_that_a_pod_had_before_it_was_recreated_is_wrong() -> None:
    found = backend(endpoint("10.244.0.9", "deathstar-0"))
    assert found.target is None
    assert "as pod deathstar-0, but no pod and no node has this address" in found.wrongly_listed


def test_an_address_that_another_pod_has_by_now_is_wrong_and_leads_to_that_pod() -> None:
    found = backend(endpoint("10.244.1.101", "deathstar-0"))
    assert found.pod_facts is not None
    assert found.pod_facts.pod.name == "deathstar-1"
    assert "but pod default/deathstar-1 has this address" in found.wrongly_listed


def test_another_address_of_a_pod_outside_the_ranges_of_pods_is_legitimate() -> None:
    """A second network of the pod, which Kubernetes does not know."""
    found = backend(endpoint("192.168.7.7", "deathstar-0"))
    assert found.pod_facts is not None
    assert not found.wrongly_listed


def test_a_pod_whose_status_has_no_address_yet_is_believed() -> None:
    inventory = cluster()
    inventory.pods["default/deathstar-0"] = replace(inventory.pods["default/deathstar-0"], ips=())
    assert not backend(endpoint("10.244.0.172", "deathstar-0"), inventory).wrongly_listed


def test_an_address_of_a_pod_that_ended_is_wrong() -> None:
    inventory = cluster()
    inventory.pods["default/job"] = pod("job", "10.244.0.77", "node1", phase="Succeeded")
    assert backend(endpoint("10.244.0.77"), inventory).wrongly_listed


def test_cilium_balances_to_no_endpoint_of_another_cluster_and_not_to_the_ingress_itself() -> None:
    mirrored = endpoint("10.9.0.1", managed_by="endpointslice-mesh-controller.cilium.io")
    ingress = endpoint("192.192.192.192", port=9999)
    near = slice_endpoint("deathstar-1", "10.244.1.101", "node2")
    assert eligible_backends(DEATHSTAR, DEATHSTAR.ports[0], [mirrored, ingress, near], "node2") == (near,)
