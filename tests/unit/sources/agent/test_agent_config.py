"""The configuration of the agent, with defaults and settings that the recorded lab does not have."""

import pytest

from datapath_probe.evidence.reading import Unavailable
from datapath_probe.sources.agent import agent_config
from unit.sources.golden import printed


def configured(**keys: str) -> agent_config.AgentConfig:
    """The configuration from a ConfigMap with these keys."""
    return agent_config.from_config_map({key.replace("_", "-"): value for key, value in keys.items()})


def test_without_keys_the_agents_defaults_apply() -> None:
    config = configured()
    assert (config.routing_mode, config.tunnel_protocol, config.tunnel_port) == ("tunnel", "vxlan", 8472)
    assert (config.ipam, config.datapath_mode) == ("cluster-pool", "veth")
    assert (config.ipv4, config.ipv6) == (True, True)
    assert not any((config.socket_lb, config.endpoint_routes, config.auto_direct_node_routes))
    assert config.monitor_flags == {"syn", "fin", "rst"}


def test_each_tunnel_protocol_has_its_port_unless_one_is_set() -> None:
    assert configured(tunnel_protocol="geneve").tunnel_port == 6081
    assert configured(tunnel_protocol="geneve", tunnel_port="0").tunnel_port == 6081
    assert configured(tunnel_port="4789").tunnel_port == 4789


def test_socket_load_balancing_applies_to_pods_unless_limited_to_the_host() -> None:
    assert configured(kube_proxy_replacement="true").socket_lb
    assert configured(bpf_lb_sock="true").socket_lb
    assert not configured(kube_proxy_replacement="true", bpf_lb_sock_hostns_only="true").socket_lb
    only_hosts = configured(kube_proxy_replacement="true", bpf_lb_sock_hostns_only="true")
    assert only_hosts.host_socket_lb
    assert not configured(kube_proxy_replacement="false", bpf_lb_sock="false").socket_lb


def test_encryption_is_named() -> None:
    assert configured().encryption is None
    assert configured(enable_wireguard="true").encryption == "wireguard"
    assert configured(enable_ipsec="true").encryption == "ipsec"


class RecordingConfigMap(dict[str, str]):
    """A ConfigMap that records the requested keys."""

    def __init__(self, values: dict[str, str], asked: set[str]) -> None:
        super().__init__(values)
        self.asked = asked

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]  # enough here
        self.asked.add(key)
        return super().get(key, default)


def test_exactly_the_relevant_keys_are_read() -> None:
    counted: set[str] = set()
    everything_on = {"kube-proxy-replacement": "true", "enable-bpf-masquerade": "true"}
    for values in ({}, everything_on, {"enable-ipv4-masquerade": "false"}):
        agent_config.from_config_map(RecordingConfigMap(values, counted))
    assert sorted(agent_config.KEYS) == sorted(counted)


def test_keys_may_be_unset() -> None:
    parsed = agent_config.parse(printed(f"{agent_config.FOLDER}/routing-mode:native\n", exit_code=2))
    assert parsed == configured(routing_mode="native")


@pytest.mark.parametrize("stdout", ["", "no file name\n", "/etc/passwd:root\n"])
def test_other_output_is_not_a_configuration(stdout: str) -> None:
    assert isinstance(agent_config.parse(printed(stdout, exit_code=2)), Unavailable)
