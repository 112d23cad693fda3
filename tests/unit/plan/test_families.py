"""Which version of IP a path uses: the spec's choice, among those that source and destination have."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address

import pytest

from datapath_probe.addresses import IpAddress, IpFamily
from datapath_probe.api.reasons import Reason
from datapath_probe.plan.pairs.pairs import Pairs, pairs_of
from datapath_probe.plan.plan import CannotRun, Plan, ServiceTarget
from datapath_probe.plan.resolve import resolve_again
from unit.cluster import DEATHSTAR, Cluster, cluster, probe, resolve
from unit.plan.planned import NODE_PORT, POD, SERVICE

V6 = {"xwing": "fd00::127", "deathstar-0": "fd00::172", "deathstar-1": "fd00::101"}
CLUSTER_IPS = (ip_address("10.96.57.217"), ip_address("fd00:10:96::217"))


def dual_stack() -> Cluster:
    """Every pod, node and Service has both versions."""
    made = cluster()
    for name, ip in V6.items():
        pod = made.pods[f"default/{name}"]
        made.pods[f"default/{name}"] = replace(pod, ips=(*pod.ips, ip_address(ip)))
    made.services["default/deathstar"] = replace(DEATHSTAR, cluster_ips=CLUSTER_IPS)
    over_ipv4 = made.endpoints["default/deathstar"]
    over_ipv6 = (replace(one, ip=ip_address(V6[one.pod or ""])) for one in over_ipv4)
    made.endpoints["default/deathstar"] = (*over_ipv4, *over_ipv6)
    for number, name in ((1, "node1"), (2, "node2")):
        node = made.nodes[name]
        ips = (*node.internal_ips, ip_address(f"fd00:172:30::1{number}"))
        made.nodes[name] = replace(node, internal_ips=ips)
    return made


def plans(destination: Mapping[str, object], choice: str, inventory: Cluster) -> list[Plan]:
    found = resolve(probe(destination, ipFamily=choice), inventory)
    return [plan for plan in found if isinstance(plan, Plan)]


@pytest.mark.parametrize("destination", [POD, SERVICE], ids=["pod", "Service"])
@pytest.mark.parametrize(
    ("choice", "families"),
    [
        ("Any", [IpFamily.IPV4]),
        ("IPv4", [IpFamily.IPV4]),
        ("IPv6", [IpFamily.IPV6]),
        ("Both", [IpFamily.IPV4, IpFamily.IPV6]),
    ],
)
def test_the_spec_chooses_the_versions(
    destination: Mapping[str, object], choice: str, families: list[IpFamily]
) -> None:
    made = plans(destination, choice, dual_stack())
    assert [plan.family for plan in made] == families
    for plan in made:
        addresses = [plan.source.ip, *(backend.ip for backend in plan.backends)]
        addresses += [plan.target.frontend.ip] if isinstance(plan.target, ServiceTarget) else []
        assert {address.version for address in addresses} == {plan.family.value}


def test_an_address_of_ipv6_is_the_host_of_the_url() -> None:
    (plan,) = plans(POD, "IPv6", dual_stack())
    assert (plan.request.host, str(plan.backends[0].ip)) == ("fd00::172", "fd00::172")


def test_a_service_is_requested_at_its_address_of_the_version() -> None:
    over_ipv4, over_ipv6 = plans(SERVICE, "Both", dual_stack())
    assert over_ipv4.frontend
    assert over_ipv6.frontend
    assert (over_ipv4.frontend.ip, over_ipv6.frontend.ip) == CLUSTER_IPS
    assert {str(backend.ip) for backend in over_ipv6.backends} == {"fd00::172", "fd00::101"}


def test_paths_of_both_versions_are_two_pairs() -> None:
    inventory = dual_stack()
    over_ipv4, over_ipv6 = plans(POD, "Both", inventory)
    assert over_ipv4.pair[:2] == over_ipv6.pair[:2]
    assert over_ipv4.pair != over_ipv6.pair
    assert resolve_again(over_ipv6, probe(POD, ipFamily="Both"), inventory) == over_ipv6


def test_a_node_port_is_requested_at_the_nodes_address_of_the_version() -> None:
    inventory = dual_stack()
    inventory.config["kube-proxy-replacement"] = "true"
    service = inventory.services["default/deathstar"]
    port = replace(service.ports[0], node_port=30080)
    inventory.services["default/deathstar"] = replace(service, ports=(port,), type="NodePort")
    (plan,) = plans(NODE_PORT, "IPv6", inventory)
    assert (plan.request.host, plan.request.port) == ("fd00:172:30::12", 30080)


@pytest.mark.parametrize("cluster_ip", [ip_address("fd00:10:96::217"), None], ids=["ClusterIP", "headless"])
def test_any_means_ipv6_if_that_is_all_that_the_ends_have_in_common(cluster_ip: IpAddress | None) -> None:
    inventory = dual_stack()
    only = (cluster_ip,) if cluster_ip else ()
    headless = cluster_ip is None
    inventory.services["default/deathstar"] = replace(
        DEATHSTAR, cluster_ip=cluster_ip, cluster_ips=only, headless=headless
    )
    endpoints = inventory.endpoints["default/deathstar"]
    inventory.endpoints["default/deathstar"] = tuple(one for one in endpoints if one.ip.version == 6)
    (plan,) = plans(SERVICE, "Any", inventory)
    assert (plan.family, plan.source.ip) == (IpFamily.IPV6, ip_address("fd00::127"))


@pytest.mark.parametrize("destination", [POD, SERVICE], ids=["pod", "Service"])
def test_a_version_that_an_end_lacks_cannot_run(destination: Mapping[str, object]) -> None:
    found = resolve(probe(destination, ipFamily="Both"), cluster())
    ran, refused = found
    assert isinstance(ran, Plan)
    assert isinstance(refused, CannotRun)
    assert refused.reason is Reason.NO_COMMON_IP_VERSION
    assert "no IPv6 address in common" in refused.message


def test_the_name_server_is_known_if_the_source_can_reach_it_over_another_version() -> None:
    inventory = dual_stack()
    inventory.services["kube-system/kube-dns"] = replace(
        DEATHSTAR,
        namespace="kube-system",
        name="kube-dns",
        cluster_ip=ip_address("10.96.0.10"),
        ports=(replace(DEATHSTAR.ports[0], port=53, protocol="UDP"),),
    )
    (plan,) = plans(SERVICE, "IPv6", inventory)
    assert plan.nameserver is not None
    source = inventory.pods["default/xwing"]
    inventory.pods["default/xwing"] = replace(source, ips=(ip_address("fd00::127"),))
    (plan,) = plans(SERVICE, "IPv6", inventory)
    assert plan.nameserver is None


def test_both_versions_double_the_pairs_of_a_probe() -> None:
    inventory = dual_stack()
    each = {**SERVICE, "backends": "Each"}
    of_one, of_both = (pairs_of(probe(each, ipFamily=choice), inventory) for choice in ("IPv6", "Both"))
    assert isinstance(of_one, Pairs)
    assert isinstance(of_both, Pairs)
    turns = [pair for _, pair in of_both.turns(1)]
    assert len(turns) == len(set(turns)) == len(of_both) == 2 * len(of_one) == 6
    assert list(of_both.among(turns)) == turns
    assert len(list(of_one.among(turns))) == 3
