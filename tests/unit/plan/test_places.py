"""The expected path between ends of every kind: pods, hosts, addresses outside the cluster, and a pod and itself."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from datapath_probe.api.vocabulary import HOP_ORDER, Encapsulation, HopName
from datapath_probe.plan.path import ExpectedPath, expected_path
from datapath_probe.plan.plan import Plan
from unit.cluster import DEATHSTAR, Cluster, cluster, probe, resolve, slice_endpoint

SERVICE = {"service": {"name": "deathstar", "port": 80}}
OF_ENDPOINTS = {HopName.DESTINATION_PROGRAM, HopName.DESTINATION_INTERFACE, HopName.INGRESS_POLICY}
OF_SOURCE_PODS = {HopName.SOURCE_INTERFACE, HopName.SOURCE_PROGRAM, HopName.EGRESS_POLICY}
OF_OVERLAY = {HopName.OVERLAY_ENCAPSULATION, HopName.OVERLAY_DECAPSULATION}


def in_host_network(inventory: Cluster, name: str) -> None:
    pod = inventory.pods[f"default/{name}"]
    address = inventory.nodes[pod.node].internal_ips
    inventory.pods[f"default/{name}"] = replace(pod, host_network=True, ips=address)
    del inventory.cilium_endpoints[f"default/{name}"]


def plan(inventory: Cluster, destination: dict[str, dict[str, object]]) -> Plan:
    (made,) = resolve(probe(destination), inventory)
    assert isinstance(made, Plan), made
    return made


def path(inventory: Cluster, destination: dict[str, dict[str, object]], backend: int = 0) -> ExpectedPath:
    made = plan(inventory, destination)
    return expected_path(made, made.backends[backend])


def names(expected: ExpectedPath) -> list[HopName]:
    found = [hop.name for hop in expected.hops]
    assert found == sorted(found, key=HOP_ORDER.__getitem__)
    return found


@pytest.mark.parametrize("name", ["deathstar-0", "deathstar-1"])
def test_a_host_as_destination_has_no_endpoint_and_no_tunnel(name: str) -> None:
    inventory = cluster()
    in_host_network(inventory, name)
    expected = path(inventory, {"pod": {"name": name, "port": 80}})
    hops = set(names(expected))
    assert not hops & (OF_ENDPOINTS | OF_OVERLAY)
    assert hops >= OF_SOURCE_PODS | {HopName.IPCACHE_LOOKUP, HopName.REPLY_DELIVERY}
    assert expected.encapsulation is Encapsulation.NONE
    assert (HopName.NODE_ROUTING in hops) == expected.cross_node
    assert (HopName.ENDPOINT_LOOKUP in hops) == (not expected.cross_node)


def test_a_host_as_source_uses_the_tunnel_but_has_no_endpoint() -> None:
    inventory = cluster()
    in_host_network(inventory, "xwing")
    far = set(names(path(inventory, {"pod": {"name": "deathstar-0", "port": 80}})))
    near = set(names(path(inventory, {"pod": {"name": "deathstar-1", "port": 80}})))
    assert far >= OF_ENDPOINTS | OF_OVERLAY
    assert near >= OF_ENDPOINTS
    assert not near & OF_OVERLAY
    assert not (far | near) & OF_SOURCE_PODS


def test_packets_of_a_pod_to_another_node_with_a_firewall_pass_the_tunnel() -> None:
    """Their identity travels with them. Packets between hosts go as they are."""
    inventory = cluster()
    inventory.config["enable-host-firewall"] = "true"
    in_host_network(inventory, "deathstar-0")
    to_host = {"pod": {"name": "deathstar-0", "port": 80}}
    back = {HopName.REPLY_ENCAPSULATION, HopName.REPLY_DECAPSULATION}
    assert set(names(path(inventory, to_host))) >= OF_OVERLAY | back
    inventory.config["routing-mode"] = "native"
    assert not set(names(path(inventory, to_host))) & (OF_OVERLAY | back)
    inventory.config["routing-mode"] = "tunnel"
    in_host_network(inventory, "xwing")
    assert not set(names(path(inventory, to_host))) & (OF_OVERLAY | back)


def test_between_hosts_only_the_route_is_checked() -> None:
    inventory = cluster()
    in_host_network(inventory, "xwing")
    in_host_network(inventory, "deathstar-0")
    assert names(path(inventory, {"pod": {"name": "deathstar-0", "port": 80}})) == [
        HopName.NODE_ROUTING,
        HopName.DESTINATION_RESPONSE,
        HopName.REPLY_ROUTING,
    ]


def test_a_service_without_socket_load_balancing_is_not_translated_by_cilium_for_a_host() -> None:
    inventory = cluster()
    in_host_network(inventory, "xwing")
    of_cilium = {HopName.SERVICE_LOOKUP, HopName.SERVICE_TRANSLATION}
    assert not of_cilium & set(names(path(inventory, SERVICE)))
    inventory.config["kube-proxy-replacement"] = "true"
    assert of_cilium <= set(names(path(inventory, SERVICE)))


def test_a_backend_with_a_nodes_address_is_on_that_node() -> None:
    inventory = cluster()
    inventory.endpoints["default/deathstar"] = (slice_endpoint("", "172.30.0.11", "node1", pod=None),)
    made = plan(inventory, SERVICE)
    [backend] = made.backends
    assert backend.host is not None
    assert {node.name for node in made.nodes} == {"node1", "node2"}
    assert expected_path(made, backend).destination_node == "node1"


def test_nothing_is_checked_outside_the_cluster() -> None:
    inventory = cluster()
    outside = replace(slice_endpoint("", "192.0.2.7", ""), pod=None, node=None)
    inventory.endpoints["default/deathstar"] = (outside,)
    expected = path(inventory, SERVICE)
    assert expected.destination_node is None
    assert not set(names(expected)) & (OF_ENDPOINTS | OF_OVERLAY | {HopName.NODE_ROUTING})
    assert HopName.DESTINATION_RESPONSE in names(expected)


def test_a_pod_that_reaches_itself_through_its_service_has_no_ingress_policy() -> None:
    inventory = cluster()
    inventory.endpoints["default/deathstar"] = (slice_endpoint("xwing", "10.244.1.27", "node2"),)
    hops = set(names(path(inventory, SERVICE)))
    assert not hops & {HopName.EGRESS_POLICY, HopName.INGRESS_POLICY, HopName.IPCACHE_LOOKUP}
    assert hops >= {HopName.SERVICE_TRANSLATION, HopName.ENDPOINT_LOOKUP, HopName.REPLY_TRANSLATION}


def test_packets_of_a_pod_to_its_own_address_stay_inside() -> None:
    assert names(path(cluster(), {"pod": {"name": "xwing", "port": 80}})) == [HopName.DESTINATION_RESPONSE]


def test_a_headless_service_adds_only_name_resolution() -> None:
    inventory = cluster()
    inventory.services["default/deathstar"] = replace(DEATHSTAR, cluster_ip=None, headless=True)
    made = plan(inventory, SERVICE)
    assert made.request.host == "deathstar.default.svc"
    hops = set(names(path(inventory, SERVICE)))
    assert HopName.NAME_RESOLUTION in hops
    assert not hops & {HopName.SERVICE_LOOKUP, HopName.SERVICE_TRANSLATION, HopName.REPLY_TRANSLATION}


@pytest.mark.parametrize(("wanted", "requested"), [(80, 80), ("landing", 8080)])
def test_the_port_of_a_headless_service_is_not_translated(wanted: int | str, requested: int) -> None:
    inventory = cluster()
    port = replace(DEATHSTAR.ports[0], name="landing", target_port=8080)
    inventory.services["default/deathstar"] = replace(
        DEATHSTAR, cluster_ip=None, headless=True, ports=(port,)
    )
    inventory.endpoints["default/deathstar"] = (
        slice_endpoint("deathstar-0", "10.244.0.172", "node1", port_name="landing", port=8080),
    )
    made = plan(inventory, {"service": {"name": "deathstar", "port": wanted}})
    assert made.request.port == requested
    assert [backend.port for backend in made.backends] == [requested]


def test_a_manually_created_endpoint_may_have_no_target_reference() -> None:
    inventory = cluster()
    inventory.endpoints["default/deathstar"] = (slice_endpoint("", "10.244.0.172", "node1", pod=None),)
    [backend] = plan(inventory, SERVICE).backends
    assert backend.pod_facts is not None
    assert backend.pod_facts.pod.name == "deathstar-0"


@pytest.mark.parametrize("change", [{"phase": "Succeeded"}, {"host_network": True}])
def test_an_address_that_is_not_the_pods_own_does_not_find_it(change: dict[str, object]) -> None:
    inventory = cluster()
    known = inventory.pods["default/deathstar-0"]
    inventory.pods["default/deathstar-0"] = replace(known, **change)  # type: ignore[arg-type]  # a test's shorthand
    assert inventory.pod_with(ip_address("10.244.0.172")) is None
    assert inventory.pod_with(ip_address("10.244.1.101")) == inventory.pods["default/deathstar-1"]
