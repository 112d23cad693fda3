"""Which settings and IP versions are supported, and what is requested without support."""

import pytest

from datapath_probe.plan.path import expected_path
from datapath_probe.plan.support import unsupported
from datapath_probe.sources.agent.agent_config import from_config_map
from unit.cluster import cluster
from unit.plan.planned import SERVICE, planned

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
