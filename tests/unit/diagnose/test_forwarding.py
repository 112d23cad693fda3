"""Nodes that do not forward packets received on a device, although they have a route: read after a failure."""

import json
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address

import pytest

from datapath_probe.addresses import IpAddress
from datapath_probe.api.reasons import Reason
from datapath_probe.api.vocabulary import HopName
from datapath_probe.diagnose.engine import diagnose
from datapath_probe.diagnose.run.run import PathRun
from datapath_probe.evidence.fact import Fact
from datapath_probe.evidence.reading import Answer
from datapath_probe.evidence.store import Evidence
from datapath_probe.plan.plan import PodFacts
from datapath_probe.sources.agent import agent_endpoint
from datapath_probe.sources.agent.agent_endpoint import AgentEndpoint
from datapath_probe.sources.iproute2 import links, neighbors
from datapath_probe.sources.netfilter import iptables
from datapath_probe.sources.packet import Packet
from unit.recorded import recorded

NO_FORWARDING = Answer(2, b"", b"RTNETLINK answers: No route to host\n", 0.0, 0.0)
OLD_REVERSE_PATH = Answer(2, b"", b"RTNETLINK answers: Invalid cross-device link\n", 0.0, 0.0)
RULES = "*filter\n:FORWARD ACCEPT [0:0]\n[3:180] -A FORWARD -i {} -j DROP\nCOMMIT\n"


def answering(run: PathRun, answers: Mapping[Fact, Answer]) -> PathRun:
    """The run with other answers, each read twice."""
    readings = {**run.evidence.readings, **{q: (answer, answer) for q, answer in answers.items()}}
    return replace(run, evidence=Evidence(readings), second_look=True)


def printed(shown: object) -> Answer:
    return Answer(0, json.dumps(shown).encode(), b"", 0.0, 0.0)


def route(destination: IpAddress, device: str, gateway: IpAddress | None = None) -> Answer:
    via = {"gateway": str(gateway)} if gateway else {}
    return printed([{"dst": str(destination), "dev": device, "flags": [], **via}])


def far(run: PathRun) -> PodFacts:
    target = run.plan.backends[0].pod_facts
    assert target is not None
    return target


def node_ip(pod: PodFacts) -> IpAddress:
    assert pod.node.cilium is not None
    return pod.node.cilium.internal_ips[0]


def device(run: PathRun, pod: PodFacts) -> str:
    """The node's end of the pod's pair."""
    assert pod.endpoint is not None
    asked = agent_endpoint.fact(pod.node.name, pod.endpoint.endpoint_id)
    agent = agent_endpoint.parse(run.evidence.latest(asked))
    assert isinstance(agent, AgentEndpoint)
    return agent.interface_name


def lost() -> tuple[PathRun, Packet]:
    """A native run whose request was lost although all routes are correct; and its packet."""
    run = recorded("native/node-route-missing@1.18.5")
    source, destination = run.plan.source, far(run)
    here, there = source.node.name, destination.node.name
    right = {
        links.route_to(here, destination.ip): route(destination.ip, "eth0", node_ip(destination)),
        links.route_to(there, destination.ip): route(destination.ip, "cilium_host"),
        links.route_to(there, source.ip): route(source.ip, "eth0", node_ip(source)),
        links.route_to(there, node_ip(source)): route(node_ip(source), "eth0"),
        links.route_to(here, node_ip(destination)): route(node_ip(destination), "eth0"),
    }
    packet = Packet("tcp", source.ip, destination.ip, 80, run.request.local_port)
    return answering(run, right), packet


def test_if_every_kernel_forwards_packets_no_hop_is_named() -> None:
    run, _ = lost()
    assert diagnose(run).divergence is None


@pytest.mark.parametrize("refused", [NO_FORWARDING, OLD_REVERSE_PATH])
def test_the_sources_node_that_does_not_forward_is_named(refused: Answer) -> None:
    run, packet = lost()
    here = run.plan.source.node.name
    asked = links.arrival(here, packet, device(run, run.plan.source))
    found = diagnose(answering(run, {asked: refused})).divergence
    assert found is not None
    assert (found.hop, found.node, found.reason) == (HopName.NODE_ROUTING, here, Reason.NODE_ROUTE_MISSING)


@pytest.mark.parametrize("answer", [NO_FORWARDING, route(ip_address("10.0.0.1"), "eth1")])
def test_the_destinations_node_that_does_not_forward_or_elsewhere_is_named(answer: Answer) -> None:
    run, packet = lost()
    there = far(run).node.name
    found = diagnose(answering(run, {links.arrival(there, packet, "eth0"): answer})).divergence
    assert found is not None
    assert (found.hop, found.node, found.reason) == (HopName.NODE_ROUTING, there, Reason.NODE_ROUTE_MISSING)


def test_a_wrong_route_for_all_packets_is_reported_by_its_own_hop() -> None:
    run, packet = lost()
    pod = far(run)
    answers = {
        links.route_to(pod.node.name, pod.ip): route(pod.ip, "eth1"),
        links.arrival(pod.node.name, packet, "eth0"): route(pod.ip, "eth1"),
    }
    found = diagnose(answering(run, answers)).divergence
    assert found is not None
    assert (found.hop, found.reason) == (HopName.ENDPOINT_LOOKUP, Reason.ENDPOINT_ROUTE_MISSING)


def test_a_filter_by_the_name_of_the_pods_device_is_found() -> None:
    run, _ = lost()
    here = run.plan.source.node.name
    rules = RULES.format(device(run, run.plan.source))
    answers = {iptables.fact(here): Answer(0, rules.encode(), b"", 0.0, 0.0)}
    found = diagnose(answering(run, answers)).divergence
    assert found is not None
    assert (found.hop, found.reason) == (HopName.NODE_ROUTING, Reason.NETFILTER_DROPS)


@pytest.mark.parametrize(("state", "is_named"), [("FAILED", True), ("REACHABLE", False)])
def test_a_gateway_that_does_not_answer_is_named(state: str, is_named: bool) -> None:
    run = recorded("overlay-dropped-on-the-wire")
    here, other = run.plan.source.node.name, node_ip(far(run))
    answers = {
        links.route_to(here, other): route(other, "eth0", ip_address("172.30.0.99")),
        neighbors.neighbor(here, ip_address("172.30.0.99"), "eth0"): printed(
            [{"dst": "172.30.0.99", "state": [state]}]
        ),
    }
    found = diagnose(answering(run, answers)).divergence
    assert (found is not None) is is_named
    if found:
        assert (found.hop, found.reason) == (HopName.NODE_ROUTING, Reason.NEIGHBOR_UNREACHABLE)
        assert "172.30.0.99" in found.message
