"""Which endpoints are eligible backends, as seen from a node."""

from dataclasses import replace
from ipaddress import ip_address

from datapath_probe.plan.backends import eligible_backends, zone_that_counts
from unit.cluster import DEATHSTAR, cluster, slice_endpoint

PORT = DEATHSTAR.ports[0]
NEAR = slice_endpoint("deathstar-1", "10.244.1.101", "node2")
FAR = slice_endpoint("deathstar-0", "10.244.0.172", "node1")


def test_ready_endpoints_of_all_nodes_are_eligible_in_address_order() -> None:
    assert eligible_backends(DEATHSTAR, PORT, [NEAR, FAR], "node2") == (FAR, NEAR)


def test_an_endpoint_that_is_not_ready_is_not_eligible() -> None:
    assert eligible_backends(DEATHSTAR, PORT, [NEAR, replace(FAR, ready=False)], "node2") == (NEAR,)


def test_terminating_endpoints_serve_only_when_none_is_ready() -> None:
    leaving = replace(FAR, ready=False, terminating=True)
    assert eligible_backends(DEATHSTAR, PORT, [NEAR, leaving], "node2") == (NEAR,)
    assert eligible_backends(DEATHSTAR, PORT, [leaving], "node2") == (leaving,)


def test_a_terminating_endpoint_that_does_not_serve_is_not_eligible() -> None:
    gone = replace(FAR, ready=False, terminating=True, serving=False)
    assert eligible_backends(DEATHSTAR, PORT, [gone], "node2") == ()


def test_with_internal_traffic_policy_local_only_endpoints_of_the_node_are_eligible() -> None:
    local = replace(DEATHSTAR, internal_traffic_policy="Local")
    assert eligible_backends(local, PORT, [NEAR, FAR], "node2") == (NEAR,)
    assert eligible_backends(local, PORT, [FAR], "node2") == ()


def test_other_ports_and_protocols_of_the_slice_are_not_eligible() -> None:
    others = [replace(FAR, port_name="metrics"), replace(FAR, protocol="UDP")]
    assert eligible_backends(DEATHSTAR, PORT, [*others, NEAR], "node2") == (NEAR,)


def test_an_address_in_two_slices_counts_once() -> None:
    assert eligible_backends(DEATHSTAR, PORT, [NEAR, NEAR], "node2") == (NEAR,)


def test_an_endpoint_without_a_node_is_local_to_all_nodes() -> None:
    local, nowhere = replace(DEATHSTAR, internal_traffic_policy="Local"), replace(FAR, node=None)
    assert eligible_backends(local, PORT, [NEAR, nowhere], "node3") == (nowhere,)


def test_only_the_ip_version_of_the_frontend_counts() -> None:
    assert eligible_backends(DEATHSTAR, PORT, [NEAR, replace(FAR, ip=ip_address("fd00::172"))], "node2") == (
        NEAR,
    )


CLOSE = replace(DEATHSTAR, prefers_close=True)
EAST, WEST = replace(NEAR, zones=("east",)), replace(FAR, zones=("west",))


def test_honored_hints_keep_traffic_in_its_zone() -> None:
    assert eligible_backends(CLOSE, PORT, [EAST, WEST], "node2", "east") == (EAST,)
    assert eligible_backends(DEATHSTAR, PORT, [EAST, WEST], "node2", "east") == (WEST, EAST)
    assert eligible_backends(CLOSE, PORT, [EAST, WEST], "node2", None) == (WEST, EAST)


def test_hints_are_ignored_if_one_is_missing_or_none_is_for_the_zone() -> None:
    assert eligible_backends(CLOSE, PORT, [EAST, FAR], "node2", "east") == (FAR, EAST)
    assert eligible_backends(CLOSE, PORT, [EAST, WEST], "node2", "north") == (WEST, EAST)


def test_hints_are_honored_only_if_cilium_is_configured_so_and_the_node_has_a_zone() -> None:
    node = replace(cluster().nodes["node2"], zone="east")
    configured = {"enable-service-topology": "true"}
    assert zone_that_counts(node, configured) == "east"
    assert zone_that_counts(node, {}) is None
    assert zone_that_counts(replace(node, zone=""), configured) is None
    assert zone_that_counts(None, configured) is None
