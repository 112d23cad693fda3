"""Which endpoints are eligible from a node."""

from dataclasses import replace

from datapath_probe.plan.backends import eligible_backends
from unit.cluster import DEATHSTAR, slice_endpoint

PORT = DEATHSTAR.ports[0]
NEAR = slice_endpoint("deathstar-1", "10.244.1.101", "node2")
FAR = slice_endpoint("deathstar-0", "10.244.0.172", "node1")


def test_ready_endpoints_of_all_nodes_are_eligible_in_address_order() -> None:
    assert eligible_backends(DEATHSTAR, PORT, [NEAR, FAR], "node2") == (FAR, NEAR)


def test_an_endpoint_that_is_not_ready_is_left_out() -> None:
    assert eligible_backends(DEATHSTAR, PORT, [NEAR, replace(FAR, ready=False)], "node2") == (NEAR,)


def test_terminating_endpoints_serve_only_when_none_is_ready() -> None:
    leaving = replace(FAR, ready=False, terminating=True)
    assert eligible_backends(DEATHSTAR, PORT, [NEAR, leaving], "node2") == (NEAR,)
    assert eligible_backends(DEATHSTAR, PORT, [leaving], "node2") == (leaving,)


def test_a_terminating_endpoint_that_does_not_serve_is_no_backend() -> None:
    gone = replace(FAR, ready=False, terminating=True, serving=False)
    assert eligible_backends(DEATHSTAR, PORT, [gone], "node2") == ()


def test_internal_traffic_policy_local_keeps_to_the_node() -> None:
    local = replace(DEATHSTAR, internal_traffic_policy="Local")
    assert eligible_backends(local, PORT, [NEAR, FAR], "node2") == (NEAR,)
    assert eligible_backends(local, PORT, [FAR], "node2") == ()


def test_other_ports_and_protocols_of_the_slice_are_left_out() -> None:
    others = [replace(FAR, port_name="metrics"), replace(FAR, protocol="UDP")]
    assert eligible_backends(DEATHSTAR, PORT, [*others, NEAR], "node2") == (NEAR,)


def test_an_address_in_two_slices_counts_once() -> None:
    assert eligible_backends(DEATHSTAR, PORT, [NEAR, NEAR], "node2") == (NEAR,)
