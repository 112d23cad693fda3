"""Destinations outside the cluster: which are planned, and which are refused."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName
from datapath_probe.plan.outside import AddressRestrictions
from datapath_probe.plan.path import expected_path
from datapath_probe.plan.plan import AddressTarget, Backend, CannotRun, Plan
from datapath_probe.plan.restrictions import Restrictions
from unit.cluster import Cluster, cluster, probe, resolve

OUTSIDE = "203.0.113.10"


def planned(host: str, restrictions: Restrictions, inventory: Cluster | None = None) -> Plan | CannotRun:
    destination = {"address": {"host": host, "port": 443}}
    (result,) = resolve(probe(destination), inventory or cluster(), restrictions)
    return result


def allowing(*networks: str) -> Restrictions:
    return Restrictions(addresses=AddressRestrictions(allowed=tuple(map(ip_network, networks))))


def denying(*networks: str) -> Restrictions:
    return Restrictions(addresses=AddressRestrictions(denied=tuple(map(ip_network, networks))))


def test_an_address_is_its_own_backend_without_an_owner() -> None:
    plan = planned(OUTSIDE, Restrictions())
    assert isinstance(plan, Plan)
    assert plan.target == AddressTarget(
        f"{OUTSIDE}:443", OUTSIDE, 443, (Backend(ip_address(OUTSIDE), 443, None),)
    )
    assert not plan.by_name


def test_a_name_is_resolved_in_the_pod() -> None:
    plan = planned("www.example.org", Restrictions())
    assert isinstance(plan, Plan)
    assert (plan.by_name, plan.backends, plan.request.host) == (True, (), "www.example.org")
    assert plan.may_reach(Backend(ip_address(OUTSIDE), 443, None))


def test_the_path_ends_where_packets_leave_the_node() -> None:
    plan = planned(OUTSIDE, Restrictions())
    assert isinstance(plan, Plan)
    hops = [hop.name for hop in expected_path(plan, plan.backends[0]).hops]
    assert hops == [
        HopName.IPAM,
        HopName.SOURCE_INTERFACE,
        HopName.SOURCE_PROGRAM,
        HopName.IPCACHE_LOOKUP,
        HopName.EGRESS_POLICY,
        HopName.MASQUERADE,
        HopName.CLUSTER_EXIT,
        HopName.DESTINATION_RESPONSE,
        HopName.REPLY_DELIVERY,
    ]


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("169.254.169.254", "link-local"),
        ("224.0.0.1", "multicast"),
        ("0.0.0.0", "no address of a host"),  # noqa: S104
        ("255.255.255.255", "no address of a host"),
        ("172.30.0.11", "an address of node node1"),
        ("::1", "loopback"),
        ("fe80::1", "link-local"),
        ("fd00:ec2::254", "metadata"),
        ("fd20:ce::254", "metadata"),
        ("100.100.100.200", "metadata"),
        ("168.63.129.16", "metadata"),
        ("::ffff:100.100.100.200", "metadata"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:169.254.169.254", "link-local"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("64:ff9b::172.30.0.11", "an address of node node1"),
        ("2002:7f00:1::", "loopback"),
        ("2002:a9fe:a9fe::1", "link-local"),
        ("0.0.0.1", "no address of a host"),
    ],
)
def test_addresses_that_mean_more_than_a_host_are_refused(host: str, kind: str) -> None:
    why = AddressRestrictions().why_forbidden(ip_address(host), cluster())
    assert kind in why
    assert "--allow-addresses" in why


def test_hosts_behind_a_nat64_gateway_are_judged_by_their_own_address() -> None:
    behind = ip_address("64:ff9b::203.0.113.10")
    assert AddressRestrictions().why_forbidden(behind, cluster()) == ""
    for denied in ("203.0.113.0/24", "64:ff9b::/96"):
        restrictions = AddressRestrictions((), (ip_network(denied),))
        assert denied in restrictions.why_forbidden(behind, cluster())
        assert denied in restrictions.why_no_endpoint(behind)


@pytest.mark.parametrize("denied", ["10.0.0.0/8", "::ffff:10.0.0.0/104", "::ffff:0:0/96"])
@pytest.mark.parametrize("host", ["10.1.1.1", "::ffff:10.1.1.1", "2002:a01:101::"])
def test_a_range_is_denied_however_it_and_the_address_are_written(denied: str, host: str) -> None:
    restrictions = AddressRestrictions((), (ip_network(denied),))
    assert "which the operator denies" in restrictions.why_no_endpoint(ip_address(host))


def test_the_operator_refuses_before_anything_is_sent() -> None:
    refused = planned("169.254.169.254", Restrictions())
    assert isinstance(refused, CannotRun)
    assert refused.reason is Reason.ADDRESS_FORBIDDEN


def test_what_is_forbidden_by_default_can_be_allowed() -> None:
    assert isinstance(planned("169.254.169.254", allowing("169.254.0.0/16")), Plan)


def test_a_denied_range_is_denied_even_if_allowed() -> None:
    everything = AddressRestrictions((ip_network("0.0.0.0/0"),), (ip_network("203.0.113.0/24"),))
    refused = planned(OUTSIDE, Restrictions(addresses=everything))
    assert isinstance(refused, CannotRun)
    assert "203.0.113.0/24" in refused.message
    assert isinstance(planned("198.51.100.1", denying("203.0.113.0/24")), Plan)


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("node1.example", "an address of node node1.example"),
        ("metadata.google.internal", "link-local"),
        ("any.localhost", "loopback"),
    ],
)
def test_names_whose_addresses_are_known_are_refused_like_these(host: str, kind: str) -> None:
    inventory = cluster()
    inventory.nodes["node1"] = inventory.nodes["node1.example"] = replace(
        inventory.nodes["node1"], name="node1.example"
    )
    refused = planned(host, Restrictions(), inventory)
    assert isinstance(refused, CannotRun)
    assert refused.reason is Reason.ADDRESS_FORBIDDEN
    assert refused.message.startswith(f"{host} resolves to a forbidden address: ")
    assert kind in refused.message
    anything = allowing("127.0.0.0/8", "::1/128", "169.254.0.0/16", "172.30.0.0/16")
    assert isinstance(planned(host, anything, inventory), Plan)


def test_names_can_be_forbidden() -> None:
    refused = planned("www.example.org", Restrictions(names=True))
    assert isinstance(refused, CannotRun)
    assert refused.reason is Reason.NAME_FORBIDDEN
    assert isinstance(planned(OUTSIDE, Restrictions(names=True)), Plan)


def test_a_name_that_the_search_list_makes_a_service_is_none_outside() -> None:
    refused = planned("deathstar.default", Restrictions())
    assert isinstance(refused, CannotRun)
    assert refused.reason is Reason.UNSUPPORTED_DESTINATION
    assert "Service default/deathstar" in refused.message
    assert isinstance(planned("deathstar.example", Restrictions()), Plan)


@pytest.mark.parametrize("host", [OUTSIDE, "www.example.org"])
def test_nothing_outside_is_requested_where_only_pods_may_be(host: str) -> None:
    refused = planned(host, Restrictions(host_network=True))
    assert isinstance(refused, CannotRun)
    assert refused.reason is Reason.HOST_NETWORK_FORBIDDEN


@pytest.mark.parametrize(
    ("host", "owner"),
    [("10.244.0.172", "pod default/deathstar-0"), ("10.96.57.217", "Service default/deathstar")],
)
def test_an_address_of_the_cluster_is_none_outside(host: str, owner: str) -> None:
    refused = planned(host, Restrictions())
    assert isinstance(refused, CannotRun)
    assert refused.reason is Reason.UNSUPPORTED_DESTINATION
    assert owner in refused.message
