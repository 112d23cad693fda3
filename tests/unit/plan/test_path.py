"""The expected hops of a packet, by location of both ends and mode."""

from dataclasses import replace
from ipaddress import ip_address

from datapath_probe.api.vocabulary import HOP_ORDER, Encapsulation, HopName, Locality
from datapath_probe.plan.path import ExpectedPath, expected_path
from datapath_probe.plan.plan import Backend, Plan
from unit.cluster import DEATHSTAR, VXLAN, cluster, probe, resolve

FAR, NEAR, SERVICE = (
    {"pod": {"name": "deathstar-0", "port": 80}},
    {"pod": {"name": "deathstar-1", "port": 80}},
    {"service": {"name": "deathstar", "port": 80}},
)
OVERLAY = {HopName.OVERLAY_ENCAPSULATION, HopName.OVERLAY_DECAPSULATION}
OF_SERVICES = {
    HopName.NAME_RESOLUTION,
    HopName.SERVICE_LOOKUP,
    HopName.SERVICE_TRANSLATION,
    HopName.REPLY_TRANSLATION,
}


def path(destination: dict[str, dict[str, object]], backend: int | None = 0, **config: str) -> ExpectedPath:
    inventory = cluster()
    inventory.config = VXLAN | {key.replace("_", "-"): value for key, value in config.items()}
    (plan,) = resolve(probe(destination), inventory)
    assert isinstance(plan, Plan)
    return expected_path(plan, None if backend is None else plan.backends[backend])


def names(expected: ExpectedPath) -> set[HopName]:
    return {hop.name for hop in expected.hops}


def test_hops_are_in_the_order_of_ciliums_code() -> None:
    for expected in (path(FAR), path(NEAR), path(SERVICE)):
        order = [HOP_ORDER[hop.name] for hop in expected.hops]
        assert order == sorted(order)


def test_packets_between_nodes_pass_the_overlay() -> None:
    expected = path(FAR)
    assert names(expected) >= OVERLAY | {HopName.LOCALITY_LOOKUP, HopName.NODE_ROUTING}
    assert (expected.locality, expected.encapsulation) == (Locality.CROSS_NODE, Encapsulation.VXLAN)
    assert {hop.node for hop in expected.hops if hop.name is HopName.OVERLAY_DECAPSULATION} == {"node1"}


def test_packets_within_a_node_are_not_encapsulated() -> None:
    expected = path(NEAR)
    assert not names(expected) & (OVERLAY | {HopName.LOCALITY_LOOKUP, HopName.NODE_ROUTING})
    assert (expected.locality, expected.encapsulation) == (Locality.SAME_NODE, Encapsulation.NONE)
    assert {hop.node for hop in expected.hops} == {"node2"}


def test_native_routing_has_a_route_and_no_overlay() -> None:
    expected = path(FAR, routing_mode="native")
    assert HopName.NODE_ROUTING in names(expected)
    assert not names(expected) & OVERLAY


def test_a_service_adds_its_hops() -> None:
    assert names(path(SERVICE)) >= OF_SERVICES
    assert not names(path(FAR)) & OF_SERVICES


def test_socket_load_balancing_does_not_translate_replies() -> None:
    assert HopName.REPLY_TRANSLATION not in names(path(SERVICE, kube_proxy_replacement="true"))


def test_a_node_port_has_the_hops_of_a_service_but_no_name() -> None:
    inventory = cluster()
    inventory.config = VXLAN | {"kube-proxy-replacement": "true"}
    port = replace(DEATHSTAR.ports[0], node_port=30080)
    inventory.services["default/deathstar"] = replace(DEATHSTAR, ports=(port,))
    (plan,) = resolve(probe({"service": {**SERVICE["service"], "frontend": "NodePort"}}), inventory)
    assert isinstance(plan, Plan)
    by_name = path(SERVICE, kube_proxy_replacement="true")
    assert names(by_name) - names(expected_path(plan, plan.backends[0])) == {HopName.NAME_RESOLUTION}


def test_without_a_known_backend_the_path_ends_at_the_backend_selection() -> None:
    expected = path(SERVICE, backend=None)
    assert expected.hops[-1].name is HopName.SERVICE_TRANSLATION
    assert expected.locality is None


def test_for_a_backend_that_only_the_datapath_has_the_path_ends_there() -> None:
    (plan,) = resolve(probe(SERVICE), cluster())
    assert isinstance(plan, Plan)
    assert (
        expected_path(plan, Backend(ip_address("192.0.2.1"), 80, None)).hops[-1].name
        is HopName.SERVICE_TRANSLATION
    )
