"""Which settings and IP versions are supported, and what is requested without support."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from datapath_probe.addresses import IpAddress
from datapath_probe.api.reasons import Reason
from datapath_probe.plan.path import expected_path
from datapath_probe.plan.plan import CannotRun
from datapath_probe.plan.support import unsupported
from datapath_probe.sources.agent.agent_config import from_config_map
from unit.cluster import DEATHSTAR, cluster, probe, resolve
from unit.plan.planned import POD, SERVICE, planned

UNJUDGED = [
    ("tunnel-protocol", "gre", "tunnel-protocol 'gre'"),
    ("routing-mode", "hybrid", "routing-mode 'hybrid'"),
    ("underlay-protocol", "ipv6", "underlay-protocol 'ipv6'"),
    ("enable-wireguard", "true", "encryption by wireguard"),
    ("enable-ipsec", "true", "encryption by ipsec"),
    ("enable-ztunnel", "true", "encryption by ztunnel"),
    ("datapath-mode", "netkit", "datapath-mode netkit"),
    ("datapath-mode", "netkit-l2", "datapath-mode netkit-l2"),
    ("cni-chaining-mode", "aws-cni", "cni-chaining-mode aws-cni"),
    ("cluster-id", "3", "cluster-id 3"),
]


@pytest.mark.parametrize(("key", "value", "words"), UNJUDGED)
def test_with_an_unsupported_setting_the_request_is_still_sent(key: str, value: str, words: str) -> None:
    inventory = cluster()
    inventory.config[key] = value
    said = unsupported(from_config_map(inventory.config))
    assert said is not None
    assert words in said
    plan = planned(SERVICE, inventory)
    assert [expected_path(plan, backend).hops for backend in (None, *plan.backends)]


def test_without_ipv4_no_request_is_sent() -> None:
    inventory = cluster()
    inventory.config["enable-ipv4"] = "false"
    (refused,) = resolve(probe(POD), inventory)
    assert isinstance(refused, CannotRun)
    assert (refused.reason, "IPv6 only" in refused.message) == (Reason.UNSUPPORTED_CONFIGURATION, True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tunnel-protocol", "geneve"),
        ("routing-mode", "native"),
        ("cni-chaining-mode", "none"),
        ("cni-chaining-mode", "portmap"),
        ("cluster-id", "0"),
        ("kube-proxy-replacement", "true"),
        ("enable-endpoint-routes", "true"),
        ("enable-l7-proxy", "true"),  # irrelevant until a policy redirects traffic to it
    ],
)
def test_a_supported_setting_is_not_reported(key: str, value: str) -> None:
    assert unsupported(from_config_map(cluster().config | {key: value})) is None


def test_all_unsupported_settings_are_reported_together() -> None:
    said = unsupported(from_config_map({"datapath-mode": "netkit", "cluster-id": "3"}))
    assert said == "datapath-mode netkit, a cluster mesh (cluster-id 3)"


def test_the_tunnel_protocol_is_irrelevant_with_native_routing() -> None:
    assert unsupported(from_config_map({"routing-mode": "native", "tunnel-protocol": "gre"})) is None


def test_of_two_ip_versions_ipv4_is_requested() -> None:
    inventory = cluster()
    xwing = inventory.pods["default/xwing"]
    inventory.pods["default/xwing"] = replace(xwing, ips=(ip_address("fd00::27"), *xwing.ips))
    inventory.services["default/deathstar"] = replace(DEATHSTAR, cluster_ip=None, headless=True)
    far, near = inventory.endpoints["default/deathstar"]
    inventory.endpoints["default/deathstar"] = (far, replace(far, ip=ip_address("fd00::172")), near)
    plan = planned(POD, inventory)
    assert plan.source.pod.ips == (xwing.ip, ip_address("fd00::27"))
    dual = planned(SERVICE, inventory)
    assert {backend.ip for backend in dual.backends} == {far.ip, near.ip}


@pytest.mark.parametrize("cluster_ip", [ip_address("fd00::96"), None])
def test_ends_with_only_ipv6_in_common_are_not_requested(cluster_ip: IpAddress | None) -> None:
    inventory = cluster()
    xwing = inventory.pods["default/xwing"]
    inventory.pods["default/xwing"] = replace(xwing, ips=(*xwing.ips, ip_address("fd00::27")))
    inventory.services["default/deathstar"] = replace(
        DEATHSTAR, cluster_ip=cluster_ip, headless=cluster_ip is None
    )
    far, _ = inventory.endpoints["default/deathstar"]
    inventory.endpoints["default/deathstar"] = (replace(far, ip=ip_address("fd00::172")),)
    (refused,) = resolve(probe(SERVICE), inventory)
    assert isinstance(refused, CannotRun)
    assert refused.reason is Reason.UNSUPPORTED_DESTINATION
    assert "only IPv6 in common" in refused.message
    assert refused.destination == "default/deathstar:80"
