"""The values in a status equal those that the exercises print by hand."""

import pytest

from e2e.by_hand import Commands
from e2e.probes import Probe, facts
from lab.cluster import Lab

Demo = dict[str, Probe]
PATHS = ["same-node", "cross-node", "service-from-tiefighter", "service-from-xwing"]


@pytest.fixture(scope="module")
def commands(lab: Lab) -> Commands:
    return Commands(lab)


@pytest.mark.parametrize("name", PATHS)
def test_exercise_2_addresses_and_identities(demo: Demo, commands: Commands, name: str) -> None:
    status = demo[name].wait_for("Healthy")
    [path] = status["paths"]
    seen = facts(status, "ipam", "intent")
    assert seen["ipam"] == commands.setting("ipam")
    for role, pod in (("source", path["source"]["pod"]), ("destination", path["destination"]["name"])):
        identity, ip = commands.identity_and_ip("default", pod)
        assert (seen[f"{role}Identity"], seen[f"{role}IP"]) == (identity, ip)
        assert (str(path[role]["identity"]), path[role]["ip"]) == (identity, ip)
        assert seen[f"{role}PodCIDRs"] == commands.pod_cidrs(path[role]["node"])
    assert facts(status, "ipam", "programmed")["endpointID"] == commands.endpoint_id(
        "default", path["source"]["pod"]
    )


@pytest.mark.parametrize("name", PATHS)
def test_exercise_3_both_ends_of_the_veth_pairs(demo: Demo, commands: Commands, name: str) -> None:
    status = demo[name].wait_for("Healthy")
    [path] = status["paths"]
    ends = (
        ("source-interface", path["source"]["pod"], path["source"]["node"]),
        ("destination-interface", path["destination"]["name"], path["destination"]["node"]),
    )
    for hop, pod, node in ends:
        seen = facts(status, hop, "programmed")
        inside = commands.pod_interface("default", pod)
        outside = commands.node_interface(node, inside["link_index"])
        assert (seen["podIfindex"], seen["podPeerIfindex"]) == (
            str(inside["ifindex"]),
            str(inside["link_index"]),
        )
        assert (seen["hostIfindex"], seen["hostPeerIfindex"]) == (
            str(outside["ifindex"]),
            str(outside["link_index"]),
        )
        assert (seen["podMAC"], seen["hostMAC"]) == (inside["address"], outside["address"])
        assert facts(status, hop, "intent")["interface"] == outside["ifname"]


@pytest.mark.parametrize("name", PATHS)
def test_exercise_4_the_program_at_the_sources_interface(demo: Demo, commands: Commands, name: str) -> None:
    status = demo[name].wait_for("Healthy")
    device = facts(status, "source-interface", "intent")["interface"]
    [program] = commands.programs(status["paths"][0]["source"]["node"], device)
    seen = facts(status, "source-program", "programmed")
    assert (seen["programs"], seen["programID"]) == (program["name"], str(program["prog_id"]))
    assert program["kind"] == f"{seen['attach']}/ingress"


@pytest.mark.parametrize("name", PATHS)
def test_exercise_5_ipcache_and_endpoint_map(demo: Demo, commands: Commands, name: str) -> None:
    status = demo[name].wait_for("Healthy")
    source, destination = status["paths"][0]["source"], status["paths"][0]["destination"]
    for hop, node, of in (
        ("ipcache-lookup", source["node"], destination["ip"]),
        ("reply-ipcache", destination["node"], source["ip"]),
    ):
        seen, printed = facts(status, hop, "programmed"), commands.ipcache(node, of)
        assert seen["identity"] == printed["identity"]
        assert (seen["tunnelEndpoint"] or "0.0.0.0") == printed["tunnelendpoint"]  # noqa: S104 (means "none")
    seen, printed = (
        facts(status, "endpoint-lookup", "programmed"),
        commands.endpoint(destination["node"], destination["ip"]),
    )
    assert (seen["endpointID"], seen["ifindex"]) == (printed["id"], printed["ifindex"])
    assert (seen["mac"], seen["nodeMAC"]) == (printed["mac"].lower(), printed["nodemac"].lower())


def test_exercise_6_the_tunnel_between_the_nodes(demo: Demo, commands: Commands) -> None:
    status = demo["cross-node"].wait_for("Healthy")
    source, destination = status["paths"][0]["source"], status["paths"][0]["destination"]
    assert facts(status, "ipcache-lookup", "programmed")["tunnelEndpoint"] == commands.node_ip(
        destination["node"]
    )
    assert facts(status, "reply-ipcache", "programmed")["tunnelEndpoint"] == commands.node_ip(source["node"])
    protocol = commands.setting("tunnel-protocol")
    for hop, node, direction in (
        ("overlay-encapsulation", source["node"], "egress"),
        ("overlay-decapsulation", destination["node"], "ingress"),
    ):
        assert facts(status, hop, "intent")["tunnelProtocol"] == protocol
        seen = facts(status, hop, "programmed")
        attached = [
            p for p in commands.programs(node, f"cilium_{protocol}") if p["kind"] == f"tcx/{direction}"
        ]
        assert seen["programs"] == ", ".join(program["name"] for program in attached)
        assert {seen["ifindex"]} == {str(program["ifindex"]) for program in attached}


@pytest.mark.parametrize("name", ["service-from-tiefighter", "service-from-xwing"])
def test_exercise_7_the_service(demo: Demo, commands: Commands, name: str) -> None:
    status = demo[name].wait_for("Healthy")
    source, destination = status["paths"][0]["source"], status["paths"][0]["destination"]
    frontend = f"{destination['serviceIP']}:80"
    backend = f"{destination['ip']}:{destination['port']}"
    listed = commands.backends(source["node"], frontend)
    assert facts(status, "service-lookup", "programmed")["backends"] == listed
    assert backend in listed
    local = f"{source['ip']}:{status['paths'][0]['request']['localPort']}"
    [translated] = commands.connections(source["node"], "SVC", f"{local} -> {frontend}")
    seen = facts(status, "service-translation", "observed")
    assert (seen["backend"], seen["backendID"]) == (backend, translated["BackendID"])
    assert seen["revNAT"] == translated["RevNAT"]


@pytest.mark.parametrize("name", PATHS)
def test_exercise_7_the_connection_in_conntrack(demo: Demo, commands: Commands, name: str) -> None:
    """Both nodes have entries of exactly the connection in the status."""
    status = demo[name].wait_for("Healthy")
    source, destination = status["paths"][0]["source"], status["paths"][0]["destination"]
    five_tuple = f"{source['ip']}:{status['paths'][0]['request']['localPort']} -> {destination['ip']}:80"
    assert len(commands.connections(source["node"], "TCP OUT", five_tuple)) == 1
    [incoming] = commands.connections(destination["node"], "TCP IN", five_tuple)
    assert incoming["SourceSecurityID"] == str(source["identity"])
