"""Endpoints of the agent that the recorded lab does not have."""

import pytest

from datapath_probe.evidence.errors import EvidenceError
from datapath_probe.evidence.reading import Unavailable
from datapath_probe.sources.agent import agent_endpoint
from unit.sources.golden import printed


def endpoint(**networking: str) -> object:
    """The parsed endpoint with these members of `networking`."""
    values = {
        "addressing": '[{"ipv4":"10.0.0.1"}]',
        "interface-name": '"lxc1"',
        "interface-index": "9",
        "mac": '"AA:bb:CC:dd:ee:01"',
        "host-mac": '"AA:bb:CC:dd:ee:02"',
    } | {name.replace("_", "-"): value for name, value in networking.items()}
    members = ",".join(f'"{name}":{value}' for name, value in values.items())
    status = f'"state":"ready","identity":{{"id":300}},"networking":{{{members}}}'
    return agent_endpoint.parse(printed(f'[{{"id":7,"status":{{{status}}}}}]'))


def test_an_endpoint_may_lack_the_name_of_the_pods_interface_and_an_ipv4_address() -> None:
    found = endpoint(addressing='[{"ipv6":"fd00::1"}]')
    assert isinstance(found, agent_endpoint.AgentEndpoint)
    assert (found.container_interface_name, list(map(str, found.ips))) == ("eth0", ["fd00::1"])
    assert (found.mac, found.host_mac) == ("aa:bb:cc:dd:ee:01", "aa:bb:cc:dd:ee:02")


def test_an_unreachable_agent_does_not_mean_absent() -> None:
    stderr = "Error: Cannot get endpoint 7: dial unix /var/run/cilium/cilium.sock: connection refused\n"
    result = agent_endpoint.parse(printed("", exit_code=1, stderr=stderr))
    assert isinstance(result, Unavailable)
    assert result.reason == EvidenceError.COMMAND_FAILED


@pytest.mark.parametrize("name", ['""', '"../x"', '"-x"', "null", "7"])
def test_an_endpoint_with_an_invalid_interface_is_unparsable(name: str) -> None:
    assert isinstance(endpoint(interface_name=name), Unavailable)
    if name != "null":
        assert isinstance(endpoint(container_interface_name=name), Unavailable)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("mac", '"\\ud800"'),  # an unpaired surrogate: valid JSON, but it can't be encoded
        ("mac", "7"),
        ("interface-index", "true"),
        ("interface-index", '"9"'),
        ("interface-index", "9.0"),
        ("addressing", '"10.0.0.1"'),
    ],
)
def test_a_value_of_another_type_is_unparsable(member: str, value: str) -> None:
    assert isinstance(endpoint(**{member: value}), Unavailable)
