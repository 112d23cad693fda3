"""Paths over IPv6 in a dual-stack lab (LAB_IP=dual): healthy, with the values that the exercises print by hand."""

import pytest

from e2e.api import Object
from e2e.by_hand import Commands
from e2e.galaxy import Galaxy
from e2e.probes import Probes, brief, facts
from e2e.specs import SERVICE, landing, to_pod
from lab.cluster import Lab

SHIP = "xwing"
SETTLED_S = 90.0


@pytest.fixture(autouse=True)
def _dual_stack(lab: Lab) -> None:
    if not lab.settings.dual_stack:
        pytest.skip("the lab has only IPv4: LAB_IP=dual")


@pytest.fixture(scope="module")
def commands(lab: Lab) -> Commands:
    return Commands(lab)


def paths(galaxy: Galaxy) -> dict[str, Object]:
    return {
        "near": to_pod(SHIP, galaxy.near(SHIP)),
        "far": to_pod(SHIP, galaxy.far(SHIP)),
        "service": landing(SHIP, SERVICE),
    }


def assert_both_healthy(probes: Probes, name: str, spec: Object) -> None:
    """A probe over both versions of IP has two paths, one for each."""
    status = probes.create(name, {**spec, "ipFamily": "Both"}).settle(SETTLED_S)
    assert status["pathCounts"]["total"] == 2, brief(status)
    assert status["pathCounts"]["healthy"] == 2, brief(status)
    sources = [path["source"]["ip"] for path in status["paths"]]
    assert sorted(":" in ip for ip in sources) == [False, True]


@pytest.mark.parametrize("where", ["near", "far", "service"])
def test_both_versions_are_two_healthy_paths(galaxy: Galaxy, probes: Probes, where: str) -> None:
    assert_both_healthy(probes, f"both-{where}", paths(galaxy)[where])


def test_maps_and_addresses_are_those_that_are_printed_by_hand(
    galaxy: Galaxy, probes: Probes, commands: Commands
) -> None:
    status = probes.create("ipv6-far", {**paths(galaxy)["far"], "ipFamily": "IPv6"}).settle(SETTLED_S)
    [path] = status["paths"]
    source, destination = path["source"], path["destination"]
    for hop, node, of, behind in (
        ("ipcache-lookup", source["node"], destination["ip"], destination["node"]),
        ("reply-ipcache", destination["node"], source["ip"], source["node"]),
    ):
        seen, printed = facts(status, hop, "programmed"), commands.ipcache(node, of)
        assert seen["identity"] == printed["identity"]
        # the tunnel between the nodes has IPv4
        assert seen["tunnelEndpoint"] == printed["tunnelendpoint"] == commands.node_ip(behind)
    seen = facts(status, "endpoint-lookup", "programmed")
    printed = commands.endpoint(destination["node"], destination["ip"])
    assert (seen["endpointID"], seen["ifindex"]) == (printed["id"], printed["ifindex"])
    local = f"{source['ip']}:{path['request']['localPort']} -> {destination['ip']}:80"
    assert len(commands.connections(source["node"], "TCP OUT", local)) == 1
    [incoming] = commands.connections(destination["node"], "TCP IN", local)
    assert incoming["SourceSecurityID"] == str(source["identity"])


def test_the_service_is_translated_at_its_address_of_ipv6(
    galaxy: Galaxy, probes: Probes, commands: Commands
) -> None:
    status = probes.create("ipv6-service", {**paths(galaxy)["service"], "ipFamily": "IPv6"}).settle(SETTLED_S)
    [path] = status["paths"]
    source, destination = path["source"], path["destination"]
    assert ":" in destination["serviceIP"]
    listed = commands.backends(source["node"], f"[{destination['serviceIP']}]:80")
    assert f"[{destination['ip']}]:80" in listed
    assert facts(status, "service-lookup", "programmed")["backends"] == listed
